// The first figure of docs/derivations/scale.md. Nothing is computed here: docs/assets/scale.py has
// measured every width on the page's own queries and keys, and data/scale.json holds the numbers with
// the curves. It is fetched when the reader first reaches for the slider.
// tests/site/test_figures_model.py holds the record to the page's Python, and the drawing to it.
import { address, slider, spoken } from "../figure.js";

const RECORD = new URL("../../data/scale.json", import.meta.url);
const [WIDTH, BASE, HEIGHT] = [196, 104, 84]; // of a panel
const [SCORES, SHARES] = [200 * 64, 10000]; // all scores; the parts of a weight or a norm
const short = (number) => Number(number.toFixed(1));

/** The outline of bars that stand side by side, each a share of the panel's height. */
function bars(shares) {
  const tops = shares.map((share) => short(BASE - HEIGHT * share));
  const steps = tops.map((top, index) =>
    top === tops[index + 1] ? "" : `V${top}H${short((WIDTH * (index + 1)) / tops.length)}`,
  );
  return `M0 ${BASE}${steps.join("")}V${BASE}Z`;
}

/** The area under points at equal distances. */
function area(shares) {
  const points = shares.map((share, index) => [
    short((WIDTH * index) / (shares.length - 1)),
    short(BASE - HEIGHT * share),
  ]);
  return `M0 ${BASE}L${points.join("L")}V${BASE}Z`;
}

// How the curve of each panel is drawn: a bin of 0.7 of all scores fills the height, a weight of 1,
// and a norm of 1/2, the largest that the Jacobian of softmax has.
const DRAW = {
  scores: (curve) => bars(curve.map((count) => count / (0.7 * SCORES))),
  weights: (curve) => bars(curve.map((part) => part / SHARES)),
  gradients: (curve) => area(curve.map((part) => part / (0.5 * SHARES))),
};

export default function start(figure) {
  const form = figure.querySelector("form");
  const words = figure.querySelector(".spoken");
  const d_k = slider(form, "d_k", { scale: (position) => 2 ** position });
  const defaults = { d_k: d_k.value };
  const state = address("scale", defaults, { d_k: d_k.allows });
  const say = spoken(words);

  let record;
  const fetched = () => {
    record ??= fetch(RECORD).then((response) => {
      if (!response.ok) throw new Error(response.statusText);
      return response.json();
    });
    record.catch(() => (record = undefined)); // the next move asks again
    return record;
  };

  const update = async () => {
    const chosen = d_k.value;
    state.write({ d_k: chosen });
    figure.classList.add("waiting"); // pale, while the drawing is that of another width
    const panels = await fetched().then((all) => all[chosen], () => undefined);
    if (!panels || chosen !== d_k.value) return;
    figure.classList.remove("waiting");
    for (const [name, { value, text, curve }] of Object.entries(panels)) {
      const panel = figure.querySelector(`[data-panel="${name}"]`);
      panel.querySelector(".area").setAttribute("d", DRAW[name.split(" ")[1]](curve));
      const shown = panel.querySelector("[data-shows]");
      shown.textContent = shown.dataset.text.replace("{}", text);
      shown.dataset.value = value;
    }
    const text = words.dataset.text.replace(/{([^}]+)}/g, (_, name) => panels[name]?.text ?? chosen);
    figure.querySelector("desc").textContent = text;
    say(text);
  };

  d_k.value = state.read().d_k;
  form.addEventListener("input", update);
  form.addEventListener("pointerenter", fetched);
  form.addEventListener("focusin", fetched);
  form.hidden = false;
  if (d_k.value !== defaults.d_k || !words.textContent) update();
}
