// The first figure of docs/model/attention.md: three keys, their values, and a query to be dragged.
// Keys and values stand in docs/assets/figures/attention.html. tests/site/test_figures_model.py holds
// every number to snippets/attention.py.
import { address, drag, spoken } from "../figure.js";

const [UNIT, MIDDLE, REACH] = [26, 120, 4]; // of the planes: pixels a unit, the origin, the edge
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const dot = (a, b) => sum(a.map((one, axis) => one * b[axis]));
const numbers = (text) => text.split(" ").map(Number);
const place = ([x, y]) => [MIDDLE + UNIT * x, MIDDLE - UNIT * y];
const write = (number, digits = 2) => number.toFixed(digits).replace("-", "−").replace(/^−(0\.0+)$/, "$1");
const point = (xy, digits) => `(${xy.map((one) => write(one, digits)).join(", ")})`;

/** Equation (1) for one query: the products, scores and weights of all keys, and the output. */
function attend(query, keys, values, scaled) {
  const products = keys.map((key) => dot(query, key));
  const scores = products.map((product) => (scaled ? product / Math.sqrt(query.length) : product));
  const largest = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp(score - largest));
  const weights = exponentials.map((one) => one / sum(exponentials));
  const output = query.map((_, axis) => dot(weights, values.map((value) => value[axis])));
  return { products, scores, weights, output };
}

/** Put a group's dot at a point and its name beside it, on the side away from the origin. */
function put(group, xy, away = 15) {
  const [x, y] = place(xy);
  const length = Math.hypot(...xy) || 1;
  for (const circle of group.querySelectorAll("circle")) {
    circle.setAttribute("cx", x);
    circle.setAttribute("cy", y);
  }
  const name = group.querySelector("text");
  name.setAttribute("x", (x + (away * xy[0]) / length).toFixed(1));
  name.setAttribute("y", (y - (away * (xy[1] || 1)) / length + 4.5).toFixed(1));
}

export default function start(figure) {
  const find = (selector) => figure.querySelector(selector);
  const form = find("form");
  const rows = [...figure.querySelectorAll("tbody tr")];
  const keys = rows.map((row) => numbers(row.dataset.key));
  const values = rows.map((row) => numbers(row.dataset.hands));
  const handle = find(".handle");
  const shares = figure.querySelectorAll(".mixture b");
  const within = (number) => Math.abs(number) <= REACH;
  const state = address("attention", { x: 1, y: 1, scaled: true }, { x: within, y: within });
  const say = spoken(find(".spoken"));
  let query;

  const show = (node, text, value) => {
    node.textContent = text;
    node.dataset.value = value;
  };
  const update = () => {
    const scaled = form.elements.scaled.checked;
    const { products, scores, weights, output } = attend(query, keys, values, scaled);
    rows.forEach(({ cells, className }, index) => {
      const weight = weights[index];
      show(cells[1], write(products[index]), products[index]);
      show(cells[2], write(scores[index]), scores[index]);
      show(cells[3].firstChild, write(weight), weight);
      cells[3].lastChild.style.setProperty("--share", weight.toFixed(3));
      shares[index].textContent = write(weight);
      // In the plane of the values the area of a circle is the weight.
      const value = find(`.values .${className}`);
      value.querySelector("circle").setAttribute("r", (2 + 12 * Math.sqrt(weight)).toFixed(1));
      const path = value.querySelector("path");
      path.setAttribute("d", `M${place(values[index])}L${place(output).map((one) => one.toFixed(1))}`);
      path.style.setProperty("--width", (0.3 + 4 * weight).toFixed(1));
    });
    find(".query path").setAttribute("d", `M${MIDDLE} ${MIDDLE}L${place(query)}`);
    const atEdge = Math.max(...query.map(Math.abs)) > REACH - 0.7;
    put(handle, query, atEdge ? -17 : 17); // its name stays within the plane
    put(find(".output"), output);
    const [x, y] = place(output);
    const name = find(".output text"); // on the side of the origin, where the triangle is
    name.setAttribute("x", x.toFixed(1));
    name.setAttribute("y", (y + (y > MIDDLE ? -19 : 28)).toFixed(1));
    show(find("[data-of=query]"), point(query, 1), query.join(" "));
    show(find("[data-of=output]"), point(output), output.join(" "));
    const words = { query: point(query, 1), output: point(output), weights: weights.map((one) => write(one)).join(", ") };
    handle.setAttribute("aria-valuenow", query[0]);
    handle.setAttribute("aria-valuetext", words.query);
    say(find(".spoken").dataset.text.replace(/{(\w+)}/g, (_, name) => words[name]));
    state.write({ x: query[0], y: query[1], scaled });
  };
  const move = (x, y) => {
    const onGrid = (number) => Math.round(10 * Math.min(REACH, Math.max(-REACH, number))) / 10 + 0;
    query = [onGrid(x), onGrid(y)];
    update();
  };

  keys.forEach((key, index) => {
    const [group, value] = ["keys", "values"].map((plane) => find(`.${plane} .pair-${index + 1}`));
    group.querySelector("path").setAttribute("d", `M${MIDDLE} ${MIDDLE}L${place(key)}`);
    put(group, key);
    put(value, values[index], 22);
  });
  find(".triangle").setAttribute("d", `M${values.map(place).join("L")}Z`);
  const tells = { tabindex: 0, role: "slider", "aria-label": handle.dataset.name };
  Object.entries(tells).forEach((one) => handle.setAttribute(...one));
  find(".keys").setAttribute("role", "group");
  drag(find(".keys"), handle, {
    move: (x, y) => move((x - MIDDLE) / UNIT, (MIDDLE - y) / UNIT),
    keys: (dx, dy) => move(query[0] + dx / 10, query[1] - dy / 10),
  });
  form.addEventListener("input", update);
  form.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-query]");
    if (button) move(...numbers(button.dataset.query));
  });
  const { x, y, scaled } = state.read();
  form.elements.scaled.checked = scaled;
  form.hidden = false;
  move(x, y);
}
