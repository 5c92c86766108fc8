// The first figure of docs/derivations/scale.md. Nothing is computed here: docs/assets/figures/scale.py
// has measured every width, and the table in scale.html holds each number with the curve that is
// drawn. tests/site/test_figures_model.py holds the table to the page's Python, and the drawing to it.
import { address, slider, spoken } from "../figure.js";

const [WIDTH, BASE, HEIGHT] = [196, 104, 84]; // of a panel
const QUERIES = 200;
const KEYS = 64;
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

// What stands in the cells of a row, divided and not; how its curve becomes a drawing, and how its
// number is called within the panel.
const PANELS = {
  scores: (curve) => bars(curve.map((count) => count / (0.7 * QUERIES * KEYS))),
  weights: (curve) => bars(curve.map((part) => part / 10000)),
  gradients: (curve) => area(curve.map((part) => part / 5000)), // no norm is above 1/2
};

export default function start(figure) {
  const form = figure.querySelector("form");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const d_k = slider(form, "d_k", { scale: (position) => 2 ** position });
  const state = address("scale", { d_k: d_k.value }, { d_k: d_k.allows });
  const say = spoken(figure.querySelector(".spoken"));

  const update = () => {
    const cells = [...rows.find((row) => Number(row.cells[0].textContent) === d_k.value).cells].slice(1);
    Object.entries(PANELS).forEach(([name, draw], index) => {
      ["scaled", "raw"].forEach((way, column) => {
        const cell = cells[2 * index + column];
        const panel = figure.querySelector(`[data-panel="${way} ${name}"]`);
        panel.querySelector(".area").setAttribute("d", draw(cell.dataset.curve.split(" ").map(Number)));
        const shown = panel.querySelector("[data-shows]");
        shown.textContent = shown.dataset.text.replace("{}", cell.textContent);
        shown.dataset.value = cell.dataset.value;
      });
    });
    for (const row of rows) row.classList.toggle("chosen", row.contains(cells[0]));
    const numbers = [d_k.value, ...cells.map((cell) => cell.textContent)];
    for (const told of [figure.querySelector("desc"), say]) {
      const text = figure.querySelector(".spoken").dataset.text.replace(/{(\d)}/g, (_, n) => numbers[n]);
      if (told === say) say(text);
      else told.textContent = text;
    }
    state.write({ d_k: d_k.value });
  };

  d_k.value = state.read().d_k;
  form.addEventListener("input", update);
  form.hidden = false;
  update();
}
