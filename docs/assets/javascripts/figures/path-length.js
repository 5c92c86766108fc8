// The figure of docs/why-attention/path-length.md: a stack of layers, and the inputs that an output of
// it depends on. A layer is told by the positions that its output at a position is made of.
import { address, choice, phrase, press, slider, spoken } from "../figure.js";

const N = 16;
const all = Array.from({ length: N }, (_, position) => position);
const SOURCES = {
  attention: () => all,
  recurrent: (_, i) => [i - 1], // and its own input, which every step takes in
  convolution({ k, dilation, causal }, i, layer) {
    const apart = Math.min(dilation ** (layer - 1), N); // farther out there is nothing
    const first = i - (causal ? k - 1 : (k - 1) / 2) * apart;
    return Array.from({ length: k }, (_, index) => first + index * apart);
  },
  restricted: ({ r }, i) => all.filter((j) => Math.abs(i - j) <= r),
};
const isRecurrent = ({ kind }) => kind === "recurrent";
const isCausal = (settings) => settings.causal || isRecurrent(settings);

/** The positions below that the output of a layer at i is made of; layers count from 1. */
function sources(settings, i, layer) {
  const last = isCausal(settings) ? i : N - 1;
  return SOURCES[settings.kind](settings, i, layer).filter((j) => j >= 0 && j <= last);
}

/** The inputs that each output depends on after 0, 1, … N layers: a bit an input. */
function reach(settings) {
  const own = (i) => (isRecurrent(settings) ? 1 << i : 0);
  const levels = [all.map((i) => (1 << i) ^ own(i))]; // before its first step a state is empty
  for (let layer = 1; layer <= N; layer += 1) {
    const below = levels[layer - 1];
    const collect = (i) => sources(settings, i, layer).reduce((bits, j) => bits | below[j], own(i));
    levels.push(all.map(collect));
  }
  return levels;
}

const has = (bits, j) => (bits >> j) & 1;
/** After how many layers output i depends on input j, or -1. */
const hops = (levels, i, j) => levels.findIndex((level, layer) => layer > 0 && has(level[i], j));

/** The maximum path length: of all pairs that may be connected, or -1. */
function longest(settings, levels) {
  const pairs = all.flatMap((i) => all.map((j) => [i, j]));
  const lengths = pairs
    .filter(([i, j]) => j <= i || !isCausal(settings))
    .map(([i, j]) => hops(levels, i, j));
  return lengths.includes(-1) ? -1 : Math.max(...lengths);
}

/** A shortest path from the chosen input to the chosen output: its positions, from the top down. */
function shortest(settings, levels) {
  const { output, input, depth } = settings;
  const length = hops(levels, output, input);
  if (length < 0 || length > depth) return [];
  if (isRecurrent(settings)) return [...all.slice(input, output + 1).reverse(), input];
  const path = [output];
  for (let layer = depth; layer > 0; layer -= 1) {
    const [here] = path.slice(-1);
    // Above its last hop it stands still; below, each hop leads to what depends on the input.
    const next = (j) => (layer > length ? j === here : has(levels[layer - 1][j], input));
    path.push(sources(settings, here, layer).find(next));
  }
  return path;
}

/** Which positions on which level the chosen output is made of. */
function cone(settings) {
  const lit = Array.from({ length: settings.depth + 1 }, () => new Set());
  lit[settings.depth].add(settings.output);
  for (let layer = settings.depth; layer > 0; layer -= 1) {
    for (const i of lit[layer]) {
      if (isRecurrent(settings)) lit[0].add(i);
      if (isRecurrent(settings) && layer === 1) continue;
      for (const j of sources(settings, i, layer)) lit[layer - 1].add(j);
    }
  }
  return lit;
}

/** Numbers as "0, 2, 4 to 9". */
function ranges(numbers, to) {
  const runs = [];
  for (const one of numbers) {
    if (runs.at(-1)?.[1] === one - 1) runs.at(-1)[1] = one;
    else runs.push([one, one]);
  }
  return runs.map(([a, b]) => (a === b ? a : `${a} ${to} ${b}`)).join(", ");
}

// The drawing: where positions and levels stand.
const [LEFT, PITCH, TOP, BOTTOM] = [64, 36, 44, 336];
const across = (position) => LEFT + PITCH * (position + 0.5);

/** The stack: a line from what is read to what is made of it, for all that the output is made of. */
function draw(settings, path, name) {
  const { depth, output, input } = settings;
  const lit = cone(settings);
  const down = (level) => Math.round(BOTTOM - ((BOTTOM - TOP) * level) / depth);
  const line = (from, to, level) => `M${across(from)} ${down(level - 1)}L${across(to)} ${down(level)}`;
  // An input that a step takes in, past the states below it.
  const bow = (i, level) =>
    `M${across(i)} ${BOTTOM}Q${across(i) + 14} ${(BOTTOM + down(level)) / 2} ${across(i)} ${down(level)}`;
  const reads = [];
  const circles = { true: "", false: "" };
  const radius = Math.min(8, Math.round((0.3 * (BOTTOM - TOP)) / depth));
  lit.forEach((level, layer) => {
    for (const i of all) {
      const made = level.has(i);
      circles[made] += `<circle cx="${across(i)}" cy="${down(layer)}" r="${radius}"/>`;
      if (!made || layer === 0) continue;
      if (isRecurrent(settings)) reads.push(bow(i, layer));
      for (const j of sources(settings, i, layer)) {
        if (lit[layer - 1].has(j) && !(isRecurrent(settings) && layer === 1)) reads.push(line(j, i, layer));
      }
    }
  });
  const whole = path.slice(1).map((position, index) => {
    const taken = isRecurrent(settings) && index === path.length - 2;
    return taken ? bow(position, depth - index) : line(position, path[index], depth - index);
  });
  const every = Math.ceil(depth / 8);
  const names = lit.slice(1).map((_, index) => {
    const words = `<tspan class="wide">${name} </tspan>${index + 1}`;
    const y = Math.round((down(index) + down(index + 1)) / 2) + 4;
    return index % every ? "" : `<text class="layer" x="58" y="${y}">${words}</text>`;
  });
  const number = (position, y, chosen) =>
    `<text x="${across(position)}" y="${y}"${chosen ? ' class="chosen"' : ""}>${position}</text>`;
  const opacity = Math.min(0.6, Math.max(0.1, 60 / reads.length)).toFixed(2);
  return (
    `<path class="reads" stroke-opacity="${opacity}" d="${reads.join("")}"/>` +
    `<path class="path" d="${whole.join("")}"/>` +
    `<g class="dark">${circles.false}</g><g class="lit">${circles.true}</g>` +
    `<g class="shape">${names.join("")}</g>` +
    all.map((one) => number(one, 24, one === output) + number(one, 368, one === input)).join("")
  );
}

export default function start(figure) {
  const forms = [...figure.querySelectorAll("form")];
  const [svg, says] = [figure.querySelector("svg"), figure.querySelector(".says")];
  const say = spoken(figure.querySelector(".spoken"));
  const text = says.dataset;
  const write = { dilation: (factor) => `× ${factor}` };
  const ranged = forms.flatMap((form) =>
    [...form.querySelectorAll("[type=range]")].map(({ name }) => [name, slider(form, name, { write: write[name] })]),
  );
  const { causal } = forms[0].elements;
  const controls = {
    kind: choice(forms[0], "kind"),
    causal: Object.defineProperty({}, "value", {
      get: () => causal.checked,
      set: (value) => (causal.checked = value),
    }),
    ...Object.fromEntries(ranged),
  };
  const each = (call) =>
    Object.fromEntries(Object.entries(controls).map(([name, one]) => [name, call(one)]));
  const settings = () => each((control) => control.value);
  const state = address("path-length", settings(), each((control) => control.allows));

  function update() {
    const chosen = settings();
    const { kind, depth, output, input } = chosen;
    for (const part of figure.querySelectorAll("[data-of]")) {
      part.classList.toggle("off", !part.dataset.of.split(" ").includes(kind));
    }
    const unit = isRecurrent(chosen) ? "step" : "layer";
    const count = (number) => `${number} ${text[number === 1 ? unit : `${unit}s`]}`;
    const levels = reach(chosen);
    const seen = all.filter((j) => has(levels[depth][output], j));
    const [length, needed] = [hops(levels, output, input), longest(chosen, levels)];
    const path = shortest(chosen, levels);
    Object.assign(svg.dataset, { seen: seen.join(" "), path: path.join(" "), length, needed });
    svg.innerHTML = draw(chosen, path, text[unit]);

    const future = isCausal(chosen) && input > output;
    const route = future ? "future" : length < 0 ? "never" : length > depth ? "beyond" : "reached";
    const full = needed < 0 ? "nowhere" : isCausal(chosen) ? "before" : "full";
    const values = { output, input, seen: ranges(seen, text.to), depth: count(depth) };
    says.textContent = [text.sees, text[route], text[full]]
      .map((one) => phrase(one, { ...values, hops: count(length), needed: count(needed) }))
      .join(" ");
    say(says.textContent);
    state.write(chosen);
  }

  for (const [name, value] of Object.entries(state.read())) controls[name].value = value;
  for (const form of forms) {
    form.addEventListener("input", update);
    form.hidden = false;
  }
  press(svg, (x, y) => {
    const end = y < (TOP + BOTTOM) / 2 ? "output" : "input";
    controls[end].value = Math.max(0, Math.min(N - 1, Math.floor((x - LEFT) / PITCH)));
    update();
  });
  update();
}
