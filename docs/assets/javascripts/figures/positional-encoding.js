// The figure of docs/model/positional-encoding.md: the hands of two positions on the clock of every
// pair of features, and the dot product of the two encodings.
import { address, phrase, press, slider, spoken } from "../figure.js";

const FEATURES = 16;
const speeds = Array.from({ length: FEATURES / 2 }, (_, i) => 10000 ** ((-2 * i) / FEATURES));
const product = (distance) => speeds.reduce((sum, speed) => sum + Math.cos(speed * distance), 0);
const number = (value) => value.toFixed(2).replace("-", "−");
const turn = (speed) => Number(((2 * Math.PI) / speed).toPrecision(3)).toLocaleString("en");

// The curve's drawing: where a distance and a product stand.
const [LEFT, WIDTH, BOTTOM, HEIGHT] = [60, 560, 172, 160];
const across = (distance, longest) => LEFT + (WIDTH * distance) / longest;
const down = (value) => BOTTOM - (HEIGHT * value) / speeds.length;

/** The pair of features that turns at a speed: two hands, and the angle from one to the other. */
function dial(speed, p, q) {
  const [one, other] = [p, q].map((at) => [Math.sin(speed * at), Math.cos(speed * at)]);
  const tip = ([sin, cos], length) => `${(length * sin).toFixed(1)} ${(-length * cos).toFixed(1)}`;
  const angle = (speed * (q - p)) % (2 * Math.PI);
  const arc = `A13 13 0 ${Number(angle > Math.PI)} 1 ${tip(other, 13)}`;
  const added = one[0] * other[0] + one[1] * other[1];
  return (
    `<span><small>λ = ${turn(speed)}</small>` +
    `<svg viewBox="-25 -25 50 50" aria-hidden="true"><circle class="rim" r="21"/>` +
    `<path class="angle" d="M0 0L${tip(one, 13)}${arc}Z"/><path class="p" d="M0 0L${tip(one, 21)}" data-value="${one.join(" ")}"/>` +
    `<path class="q" d="M0 0L${tip(other, 21)}" data-value="${other.join(" ")}"/></svg><b data-value="${added}">${number(added)}</b></span>`
  );
}

export default function start(figure) {
  const form = figure.querySelector("form");
  const [p, k] = ["p", "k"].map((name) => slider(form, name));
  const state = address("positional-encoding", { p: p.value, k: k.value }, { p: p.allows, k: k.allows });
  const say = spoken(figure.querySelector(".spoken"));
  const { says } = figure.querySelector(".spoken").dataset;
  const drawn = (name) => figure.querySelector(`[data-drawn=${name}]`);
  const longest = Number(k.input.max);
  const points = Array.from({ length: 2 * longest + 1 }, (_, index) =>
    [across(index / 2, longest), down(product(index / 2))].map((one) => one.toFixed(1)).join(" "),
  );

  function update() {
    const [at, distance] = [p.value, k.value];
    const value = product(distance);
    const [x, y] = [across(distance, longest), down(value)].map((one) => one.toFixed(1));
    const beside = distance > longest / 2 ? -12 : 12;
    drawn("dials").innerHTML = speeds.map((speed) => dial(speed, at, at + distance)).join("");
    drawn("curve").innerHTML =
      `<path d="M${points.join("L")}"/><path class="optional" d="M${x} ${y}V${BOTTOM}"/>` +
      `<circle cx="${x}" cy="${y}" r="6" data-value="${value}"/><text x="${Number(x) + beside}" ` +
      `y="${Number(y) - 8}" style="text-anchor:${beside < 0 ? "end" : "start"}">${number(value)}</text>`;
    const values = { p: at, q: at + distance, k: distance, product: number(value) };
    for (const name of ["p", "q", "product"]) drawn(name).textContent = values[name];
    say(phrase(says, values));
    state.write({ p: at, k: distance });
  }

  ({ p: p.value, k: k.value } = state.read());
  form.addEventListener("input", update);
  press(figure.querySelector(".curve"), (x) => {
    const distance = Math.round((longest * (x - LEFT)) / WIDTH);
    k.value = Math.max(0, Math.min(longest, distance));
    update();
  });
  form.hidden = false;
  update();
}
