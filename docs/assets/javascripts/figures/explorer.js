// The explorer of docs/why-attention/complexity.md: what each layer of Table 1 costs at the sizes
// and on the machine that its sliders choose. docs/assets/explorer.html holds its words, the sliders
// and the settings of its buttons, and what it shows at the defaults.
import { address, later, slider, spoken } from "../figure.js";

const cost = (flops, memory, traffic, steps, path) => ({ flops, memory, traffic, steps, path });

// The formulas of snippets/layer_costs.py, to which tests/site/test_explorer.py holds every cell of
// the table. All numbers in them are integers below 2^53, which a double holds exactly.
const costs = {
  stored({ n, d, h }) {
    const largest = Math.max(3 * n * d + 3 * h * n * (n + 1), 6 * n * d + h * n * n);
    const made = 7 * n * d + 4 * h * n * n;
    return cost(8 * n * d ** 2 + 4 * n ** 2 * d, 4 * largest, 8 * made, 15, 1);
  },
  fused({ n, d }) {
    const made = 5 * n * d;
    return cost(8 * n * d ** 2 + 4 * n ** 2 * d, 4 * made, 8 * made, 7, 1);
  },
  recurrent({ n, d }) {
    return cost(4 * n * d ** 2, 12 * n * d, 40 * n * d, 3 * n + 1, n);
  },
  convolutional({ n, d, k }) {
    const made = (k + 1) * n * d + (n + k - 1) * d;
    const path = Math.max(1, Math.ceil((2 * (n - 1)) / (k - 1)));
    return cost(2 * k * n * d ** 2, 4 * made, 8 * made, 3, path);
  },
  restricted({ n, d, r: reach }) {
    const path = Math.max(1, Math.ceil((n - 1) / reach));
    const r = Math.min(reach, Math.max(n - 1, 1));
    const queries = Math.ceil(n / r) * r; // the last block is filled up
    const pieces = (4 * queries + 4 * r) * d;
    const mask = 3 * r * queries;
    const distances = 3 * r * r;
    const flops = 8 * n * d ** 2 + 12 * queries * r * d;
    const memory = 4 * (3 * n * d + pieces) + 5 * mask;
    const traffic = 2 * (4 * (5 * n * d + pieces) + 5 * mask + 17 * distances);
    return cost(flops, memory, traffic, 10, path);
  },
};

// Predictions that differ by less are too close to call. Each line has a band of the root of this
// factor to either side, so that the bands of two such predictions overlap.
const FACTOR = 3;
const BAND = Math.sqrt(FACTOR);

/** What a layer costs, with the seconds of computing, moving and waiting, and their sum. */
function predict(layer, settings) {
  const made = costs[layer](settings);
  const computing = made.flops / settings.flops;
  const moving = made.traffic / settings.bandwidth;
  const waiting = made.steps * settings.latency;
  return { ...made, parts: [computing, moving, waiting], seconds: computing + moving + waiting };
}

/** A number to two digits, with all of those before the point. */
const rounded = (number) => Number(number.toPrecision(2));
const integer = (number) => number.toLocaleString("en");

/** A number to two digits, in the first unit that makes it less than a thousand. */
function human(number, units, base = 1000) {
  let unit = 0;
  for (; rounded(number) >= 1000 && unit < units.length - 1; unit += 1) number /= base;
  return `${integer(rounded(number))}\u00a0${units[unit]}`;
}

const heads = (d) => Math.max(1, d / 64);
const prefixed = (unit) => ["", "k", "M", "G", "T", "P"].map((prefix) => prefix + unit);
const duration = (seconds) => human(seconds * 1e9, ["ns", "µs", "ms", "s"]);

// The columns of the table whose least entry is marked, in order, and how each is written.
const COLUMNS = {
  flops: (number) => human(number, prefixed("FLOP")),
  memory: (number) => human(number, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024),
  steps: integer,
  path: integer,
  seconds: duration,
};

const doubling = (position) => 2 ** position;
const digit = (position) => {
  const decade = Math.floor(position / 9);
  return Number(`${1 + position - 9 * decade}e${decade}`);
};
// What a slider's position stands for, and how that is written.
const SLIDERS = {
  n: { scale: doubling, write: integer },
  d: { scale: doubling, write: integer },
  k: { write: integer },
  r: { scale: doubling, write: integer },
  flops: { scale: digit, write: (rate) => human(rate, prefixed("FLOP/s")) },
  bandwidth: { scale: digit, write: (rate) => human(rate, prefixed("B/s")) },
  latency: { scale: digit, write: duration },
};

/** Show the explorer and let it follow its sliders. */
export default function start(explorer) {
  const words = explorer.dataset;
  const [form, figure] = [explorer.querySelector("form"), explorer.querySelector("figure")];
  const rows = [...explorer.querySelectorAll("tbody tr")];
  const layers = rows.map((row) => row.className);
  const names = Object.fromEntries(rows.map((row) => [row.className, row.dataset.name]));
  const fill = (template, values) => template.replace(/\{(\w+)\}/g, (_, name) => values[name]);

  const sliders = Object.entries(SLIDERS).map(([name, how]) => [name, slider(form, name, how)]);
  const chosen = () => Object.fromEntries(sliders.map(([name, { value }]) => [name, value]));
  const allows = Object.fromEntries(sliders.map(([name, { allows }]) => [name, allows]));
  const state = address("explorer", chosen(), allows);
  const choose = (settings) =>
    sliders.forEach(([name, one]) => {
      one.value = settings[name];
    });
  const buttons = [...form.querySelectorAll("button")].map((button) => {
    const given = button.dataset.set.split(" ").map((pair) => pair.split("="));
    return [button, Object.fromEntries(given.map(([name, value]) => [name, Number(value)]))];
  });

  /** Write what the layers cost into the table; mark the least, and what is too close to call. */
  function tabulate(results) {
    Object.entries(COLUMNS).forEach(([column, write], index) => {
      const values = results.map((result) => result[column]);
      const least = Math.min(...values);
      const close = column === "seconds" && values.filter((one) => one < FACTOR * least).length > 1;
      rows.forEach((row, layer) => {
        const [cell, value] = [row.cells[index + 1], values[layer]];
        const marked = close ? value < FACTOR * least : value === least;
        cell.dataset.value = value;
        cell.innerHTML = marked
          ? `<strong>${write(value)}</strong> <small>${close ? words.close : words.least}</small>`
          : write(value);
      });
    });
    results.forEach(({ parts, seconds }, layer) => {
      const cell = rows[layer].lastElementChild;
      const numbers = cell.querySelectorAll("span");
      let before = 0;
      const bar = parts.map((part, index) => {
        const share = (100 * part) / seconds;
        const [x, width] = [before.toFixed(1), share.toFixed(1)];
        numbers[index].textContent = Math.floor(share + 0.5);
        before += share;
        return `<rect class="part-${index}" x="${x}" width="${width}" height="1"/>`;
      });
      cell.querySelector("svg").innerHTML = bar.join("");
      cell.dataset.value = parts.join(" ");
    });
  }

  /** What can be said of the times, and who wins where the numbers are exact. */
  function verdict(results) {
    const order = layers.map((layer, index) => ({ name: names[layer], ...results[index] }));
    order.sort((a, b) => a.seconds - b.seconds);
    const [first, last] = [order[0], order.at(-1)];
    const times = (one) => integer(rounded(one.seconds / first.seconds));
    const close = order.filter((one) => one.seconds < FACTOR * first.seconds);
    const winner = (column) => {
      const best = order.reduce((one, other) => (other[column] < one[column] ? other : one));
      return `${best.name}, ${COLUMNS[column](best[column])}`;
    };
    const said = [];
    if (close.length === 1) {
      const values = { name: first.name, time: duration(first.seconds), times: times(order[1]) };
      said.push(fill(words.sayFastest, values));
    } else {
      const all = close.map((one) => `${one.name}, ${duration(one.seconds)}`).join("; ");
      said.push(fill(words.sayClose, { all }));
    }
    if (close.length < order.length) {
      const largest = last.parts.indexOf(Math.max(...last.parts));
      said.push(
        fill(words.saySlowest, {
          name: last.name,
          time: duration(last.seconds),
          times: times(last),
          share: Math.floor((100 * last.parts[largest]) / last.seconds + 0.5),
          part: words.parts.split(" ")[largest],
        }),
      );
    }
    said.push(fill(words.sayLeast, { flops: winner("flops"), memory: winner("memory") }));
    return said.join(" ");
  }

  let size = figure.getBoundingClientRect(); // read once, because asking lays out the whole page
  /** Draw the predicted times against n, both logarithmic, with the chosen n marked. */
  function draw(settings) {
    const { width, height } = size;
    if (!width) return;
    const [min, max] = [form.elements.n.min, form.elements.n.max].map(Number);
    const lengths = Array.from({ length: max - min + 1 }, (_, index) => doubling(min + index));
    const curves = layers.map((layer) =>
      lengths.map((n) => predict(layer, { ...settings, n }).seconds),
    );
    const low = Math.floor(Math.log10(Math.min(...curves.flat()) / BAND));
    const high = Math.ceil(Math.log10(Math.max(...curves.flat()) * BAND));
    const [left, right, top, bottom] = [high > 3 ? 78 : 52, width - 114, 34, height - 36];
    const x = (n) => left + ((right - left) * (Math.log2(n) - min)) / (max - min);
    const y = (time) => bottom - ((bottom - top) * (Math.log10(time) - low)) / (high - low);
    const point = (n, time) => `${x(n).toFixed(1)} ${y(time).toFixed(1)}`;

    const parts = [];
    const text = (across, down, anchor, said, what = "") =>
      parts.push(`<text${what} x="${across}" y="${down}" text-anchor="${anchor}">${said}</text>`);
    const step = Math.ceil((high - low) / 6);
    for (let decade = low; decade <= high; decade += step) {
      const down = y(10 ** decade);
      parts.push(`<path d="M${left} ${down}H${right}"/>`);
      text(left - 6, down + 4, "end", duration(Number(`1e${decade}`)));
    }
    const apart = right - left < 220 ? 6 : 4;
    for (const n of lengths.filter((_, index) => index % apart === 0)) {
      text(x(n), bottom + 16, "middle", integer(n));
    }
    text(left, 12, "start", words.time, ' class="axis"');
    text((left + right) / 2, height - 5, "middle", words.length, ' class="axis"');
    const here = x(settings.n);
    parts.push(`<path class="here" d="M${here} ${top}V${bottom}"/>`);
    text(here, top - 6, "middle", `n = ${integer(settings.n)}`);

    // The bands lie below all lines. Names stand at the ends of the lines, moved apart where lines
    // end close together.
    curves.forEach((curve, layer) => {
      const above = lengths.map((n, at) => point(n, curve[at] * BAND));
      const below = lengths.map((n, at) => point(n, curve[at] / BAND)).reverse();
      const around = [...above, ...below].join("L");
      parts.push(`<path class="band ${layers[layer]}" d="M${around}Z"/>`);
    });
    const ends = curves.map((curve, layer) => ({ layer, curve, end: y(curve.at(-1)) }));
    ends.sort((a, b) => a.end - b.end);
    ends.forEach((one, index) => {
      one.name = index ? Math.max(one.end, ends[index - 1].name + 15) : one.end;
    });
    ends.forEach(({ layer, curve, end, name }, index) => {
      const down = Math.min(name, bottom - 15 * (ends.length - 1 - index));
      const points = lengths.map((n, at) => point(n, curve[at]));
      const time = curve[lengths.indexOf(settings.n)];
      parts.push(`<g class="${layers[layer]}"><path d="M${points.join("L")}"/>`);
      parts.push(`<path class="leader" d="M${right + 1} ${end}L${right + 9} ${down}"/>`);
      parts.push(`<circle cx="${here}" cy="${y(time)}" r="3.5" data-value="${time}"/>`);
      text(right + 12, down + 4, "start", names[layers[layer]]);
      parts.push("</g>");
    });
    const svg = figure.querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = parts.join("");
  }

  const [shows, says] = [".shows", ".says"].map((name) => explorer.querySelector(name));
  const say = spoken(explorer.querySelector(".spoken"));
  const write = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  /** Show what the sliders choose, at once; only what is spoken waits. */
  function update() {
    const settings = chosen();
    settings.h = heads(settings.d);
    for (const node of explorer.querySelectorAll("[data-of]")) {
      const name = node.dataset.of;
      write(node, SLIDERS[name] ? SLIDERS[name].write(settings[name]) : integer(settings[name]));
    }
    const results = layers.map((layer) => predict(layer, settings));
    let shown = words.own;
    for (const [button, given] of buttons) {
      const pressed = sliders.every(([name]) => given[name] === settings[name]);
      button.setAttribute("aria-pressed", pressed);
      if (pressed) shown = button.dataset.shows;
    }
    tabulate(results);
    draw(settings);
    write(shows, shown);
    write(says, verdict(results));
    say(`${shown} ${says.textContent}`);
    state.write(chosen());
  }

  choose(state.read());
  form.addEventListener("input", update);
  for (const [button, given] of buttons) {
    button.addEventListener("click", () => {
      choose(given);
      update();
    });
  }
  form.hidden = figure.hidden = false;
  update();
  const follow = later(() => draw({ ...chosen(), h: heads(chosen().d) }), 0);
  new ResizeObserver(([entry]) => {
    if (entry.contentRect.width === size.width && entry.contentRect.height === size.height) return;
    size = entry.contentRect;
    follow();
  }).observe(figure);
}
