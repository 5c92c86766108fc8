// The second figure of docs/model/masks.md: a mask to be pressed, and the weights that three readers
// make of it. docs/assets/figures/masks.html holds the words. tests/site/test_figures_model.py holds
// the mask to snippets/masks.py, and the weights to snippets/attention.py and PyTorch.
import { address, spoken } from "../figure.js";

const WORDS = 2; // of the four tokens; the others are padding
const SCORE = 1; // of a word with itself; 0 with every other
const READERS = {
  site: { hidden: false, empty: 0 },
  plain: { hidden: false, empty: NaN },
  module: { hidden: true, empty: NaN },
};

const causalMask = (query, key) => key <= query;
const paddingMask = (_, key) => key < WORDS;

/** The weights of one query: softmax over the keys that the reader of the mask lets it see. */
function attend(query, row, { hidden, empty }) {
  const exponentials = row.map((is, key) => (is === hidden ? 0 : Math.exp(key === query ? SCORE : 0)));
  const total = exponentials.reduce((sum, one) => sum + one, 0);
  return exponentials.map((one) => (total ? one / total : empty));
}

export default function start(figure) {
  const cells = (name) =>
    [...figure.querySelectorAll(`.${name} tbody tr`)].map((row) => [...row.querySelectorAll("td")]);
  const [buttons, weights] = [cells("mask"), cells("weights")];
  const names = [...figure.querySelectorAll(".mask tbody th")].map((head) => head.textContent);
  const inputs = Object.fromEntries(
    [...figure.querySelectorAll("[name]")].filter((one) => one.type !== "radio").map((one) => [one.name, one]),
  );
  const radios = [...figure.querySelectorAll("[name=reader]")];
  const told = figure.querySelector(".told");
  const say = spoken(told);
  const state = address(
    "masks",
    { causal: true, padding: true, cells: "", reader: "site" },
    { cells: (text) => /^([01]{16})?$/.test(text), reader: (name) => name in READERS },
  );
  let mask;

  const written = () => mask.flat().map(Number).join("");
  const made = () =>
    names.map((_, query) =>
      names.map(
        (_, key) =>
          (!inputs.causal.checked || causalMask(query, key)) &&
          (!inputs.padding.checked || paddingMask(query, key)),
      ),
    );
  const update = () => {
    const reader = radios.find((radio) => radio.checked).value;
    const { hidden, empty } = READERS[reader];
    const left = [];
    mask.forEach((row, query) => {
      const shares = attend(query, row, READERS[reader]);
      if (!(shares.reduce((sum, one) => sum + one) > 0)) left.push(query);
      row.forEach((is, key) => {
        const [button, cell, share] = [buttons[query][key], weights[query][key], shares[key]];
        button.textContent = is ? "True" : "False";
        button.classList.toggle("allows", is);
        button.dataset.value = is;
        button.setAttribute("aria-selected", is);
        button.setAttribute("aria-label", `${names[query]}, ${names[key]}: ${button.textContent}`);
        cell.textContent = Number.isNaN(share) ? "NaN" : share ? share.toFixed(2) : "0";
        cell.dataset.value = share;
        cell.className = Number.isNaN(share) ? "none" : share ? "share" : "";
        cell.classList.toggle("wrong", hidden && share > 0);
        cell.style.setProperty("--share", share || 0);
      });
    });
    const rows = left.map((query) => `${names[query]} (${query + 1})`).join(", ");
    const parts = [
      hidden && "reversed",
      left.length && (Number.isNaN(empty) ? "nan" : "zeros"),
    ].filter(Boolean);
    say((parts.length ? parts : ["right"]).map((part) => told.dataset[part].replace("{rows}", rows)).join(" "));
    const { causal, padding } = inputs;
    const edited = written() !== made().flat().map(Number).join("");
    state.write({ causal: causal.checked, padding: padding.checked, cells: edited ? written() : "", reader });
  };
  const anew = () => {
    mask = made();
    update();
  };
  const press = (query, key) => {
    mask[query][key] = !mask[query][key];
    update();
  };
  const choose = (name) => radios.forEach((radio) => (radio.checked = radio.value === name));

  // One stop of the tab key; arrows go from cell to cell.
  figure.querySelector(".mask").setAttribute("role", "grid");
  buttons.forEach((row, query) =>
    row.forEach((button, key) => {
      button.setAttribute("role", "gridcell");
      button.tabIndex = query + key ? -1 : 0;
      button.addEventListener("click", () => press(query, key));
      button.addEventListener("focus", () => {
        for (const one of buttons.flat()) one.tabIndex = one === button ? 0 : -1;
      });
      button.addEventListener("keydown", (event) => {
        const [down, across] =
          { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [];
        if (event.key === " " || event.key === "Enter") press(query, key);
        else if (down !== undefined) buttons[query + down]?.[key + across]?.focus();
        else return;
        event.preventDefault();
      });
    }),
  );
  inputs.causal.addEventListener("input", anew);
  inputs.padding.addEventListener("input", anew);
  for (const radio of radios) radio.addEventListener("input", update);
  inputs.empty.addEventListener("click", () => {
    mask[1].fill(false);
    update();
  });
  inputs.back.addEventListener("click", () => {
    inputs.causal.checked = inputs.padding.checked = true;
    choose("site");
    anew();
  });
  const read = state.read();
  inputs.causal.checked = read.causal;
  inputs.padding.checked = read.padding;
  choose(read.reader);
  mask = made();
  if (read.cells) mask = mask.map((row, query) => row.map((_, key) => read.cells[4 * query + key] === "1"));
  for (const form of figure.querySelectorAll("form")) form.hidden = false;
  update();
}
