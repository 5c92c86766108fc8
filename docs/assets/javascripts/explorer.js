// The explorer of docs/why-attention/complexity.md: what each layer of Table 1 costs at the sizes
// and on the machine that its sliders choose. docs/assets/explorer.html holds the sliders with
// their defaults, the table at those defaults for readers without scripts, and the tag that loads
// this file: whenever the page arrives, also by instant navigation.
(() => {
  const cost = (flops, memory, traffic, steps, path) => ({ flops, memory, traffic, steps, path });

  // The formulas of snippets/layer_costs.py, to which tests/site/test_explorer.py holds every cell of the
  // table. All numbers in them are integers below 2^53, which a double holds exactly.
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

  /** What a layer costs, with the seconds of computing, moving and waiting, and their sum. */
  function predict(layer, settings) {
    const made = costs[layer](settings);
    const computing = made.flops / settings.flops;
    const moving = made.traffic / settings.bandwidth;
    const waiting = made.steps * settings.latency;
    return { ...made, parts: [computing, moving, waiting], seconds: computing + moving + waiting };
  }

  /** A number to three digits, in the first unit that makes it less than a thousand. */
  function human(number, units, base = 1000) {
    const rounded = () => Number(number.toPrecision(3));
    let unit = 0;
    for (; rounded() >= 1000 && unit < units.length - 1; unit += 1) number /= base;
    return `${rounded().toLocaleString("en")}\u00a0${units[unit]}`;
  }

  const integer = (number) => number.toLocaleString("en");
  const count = (number, noun) => `${integer(number)}\u00a0${noun}${number === 1 ? "" : "s"}`;
  const heads = (d) => Math.max(1, d / 64);
  const prefixed = (unit) => ["", "k", "M", "G", "T", "P"].map((prefix) => prefix + unit);
  const duration = (seconds) => human(seconds * 1e9, ["ns", "µs", "ms", "s"]);

  // The columns of the table that have a least entry, in order, and how each is written.
  const COLUMNS = {
    flops: (number) => human(number, prefixed("FLOP")),
    memory: (number) => human(number, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024),
    steps: integer,
    path: integer,
    seconds: duration,
  };

  // What a slider's position stands for.
  const SCALES = {
    plain: (position) => position,
    doubling: (position) => 2 ** position,
    decade(position) {
      const decade = Math.floor(position / 3);
      return Number(`${[1, 2, 5][position - 3 * decade]}e${decade}`);
    },
  };

  // How a slider's value is written beside it, and said by a screen reader.
  const VALUES = {
    n: (n) => count(n, "position"),
    d: (d) => `${count(d, "feature")}, ${count(heads(d), "head")}`,
    k: (k) => count(k, "position"),
    r: (r) => count(r, "position"),
    flops: (rate) => human(rate, prefixed("FLOP/s")),
    bandwidth: (rate) => human(rate, prefixed("B/s")),
    latency: duration,
  };

  const explorer = document.querySelector(".explorer");
  const form = explorer.querySelector("form");
  const figure = explorer.querySelector("figure");
  form.hidden = figure.hidden = false;
  const rows = [...explorer.querySelectorAll("tbody tr")];
  const layers = rows.map((row) => row.className);

  /** The sizes and rates that the sliders choose, each written beside its slider. */
  function read() {
    const settings = {};
    for (const input of form.querySelectorAll("input")) {
      const value = SCALES[input.dataset.scale](input.valueAsNumber);
      const text = VALUES[input.name](value);
      settings[input.name] = value;
      form.querySelector(`output[for=${input.id}]`).value = text;
      input.setAttribute("aria-valuetext", text);
      explorer.querySelector(`caption [data-of=${input.name}]`).textContent = text;
    }
    return { ...settings, h: heads(settings.d) };
  }

  /** Write what the layers cost into the table and mark the least of every column. */
  function fill(results) {
    Object.entries(COLUMNS).forEach(([column, write], index) => {
      const values = results.map((result) => result[column]);
      rows.forEach((row, layer) => {
        const cell = row.cells[index + 1];
        const text = write(values[layer]);
        const least = values[layer] === Math.min(...values);
        cell.dataset.value = values[layer];
        cell.innerHTML = least ? `<strong>${text}</strong> <small>least</small>` : text;
      });
    });
    results.forEach(({ parts, seconds }, layer) => {
      const cell = rows[layer].lastElementChild;
      const [numbers, bar] = [cell.querySelectorAll("span"), cell.querySelectorAll("rect")];
      let before = 0;
      parts.forEach((part, index) => {
        const share = (100 * part) / seconds;
        numbers[index].textContent = Math.floor(share + 0.5);
        bar[index].setAttribute("x", before.toFixed(1));
        bar[index].setAttribute("width", share.toFixed(1));
        before += share;
      });
      cell.dataset.value = parts.join(" ");
    });
  }

  /** What wins in the three columns that a reader asks for first. */
  function summarize(results) {
    const winners = (column) => {
      const least = Math.min(...results.map((result) => result[column]));
      const names = rows.filter((_, layer) => results[layer][column] === least);
      return `${names.map((row) => row.dataset.name).join(" and ")}, ${COLUMNS[column](least)}`;
    };
    return (
      `Predicted fastest: ${winners("seconds")}. Fewest operations: ${winners("flops")}. ` +
      `Least memory: ${winners("memory")}.`
    );
  }

  let size = figure.getBoundingClientRect(); // read once, because asking lays out the whole page
  /** Draw the predicted times against n, both logarithmic, with the chosen n marked. */
  function draw(settings) {
    const { width, height } = size;
    const { min, max } = form.elements.n;
    const lengths = Array.from({ length: max - min + 1 }, (_, index) => 2 ** (index + Number(min)));
    const curves = layers.map((layer) =>
      lengths.map((n) => predict(layer, { ...settings, n }).seconds),
    );
    const low = Math.floor(Math.log10(Math.min(...curves.flat())));
    const high = Math.ceil(Math.log10(Math.max(...curves.flat())));
    const [left, right, top, bottom] = [high > 3 ? 78 : 56, width - 112, 22, height - 26];
    const x = (n) => left + ((right - left) * (Math.log2(n) - min)) / (max - min);
    const y = (time) => bottom - ((bottom - top) * (Math.log10(time) - low)) / (high - low);

    const parts = [];
    const text = (across, down, anchor, words) =>
      parts.push(`<text x="${across}" y="${down}" text-anchor="${anchor}">${words}</text>`);
    const step = Math.ceil((high - low) / 6);
    for (let decade = low; decade <= high; decade += step) {
      const down = y(10 ** decade);
      parts.push(`<path d="M${left} ${down}H${right}"/>`);
      text(left - 6, down + 4, "end", duration(Number(`1e${decade}`)));
    }
    const apart = right - left < 180 ? 6 : 4;
    for (const n of lengths.filter((_, index) => index % apart === 0)) {
      text(x(n), bottom + 19, "middle", integer(n));
    }
    const here = x(settings.n);
    parts.push(`<path class="here" d="M${here} ${top}V${bottom}"/>`);
    text(here, top - 8, "middle", `n = ${integer(settings.n)}`);

    // Names stand at the ends of the lines, moved apart where lines end close together.
    const ends = curves.map((curve, layer) => ({ layer, curve, end: y(curve.at(-1)) }));
    ends.sort((a, b) => a.end - b.end);
    ends.forEach((one, index) => {
      one.name = index ? Math.max(one.end, ends[index - 1].name + 15) : one.end;
    });
    ends.forEach(({ layer, curve, end, name }, index) => {
      const down = Math.min(name, bottom - 15 * (ends.length - 1 - index));
      const points = lengths.map((n, at) => `${x(n).toFixed(1)} ${y(curve[at]).toFixed(1)}`);
      parts.push(`<g class="${layers[layer]}"><path d="M${points.join("L")}"/>`);
      parts.push(`<path class="leader" d="M${right + 1} ${end}L${right + 9} ${down}"/>`);
      parts.push(`<circle cx="${here}" cy="${y(curve[lengths.indexOf(settings.n)])}" r="3.5"/>`);
      text(right + 12, down + 4, "start", rows[layer].dataset.name);
      parts.push("</g>");
    });
    const svg = figure.querySelector("svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.innerHTML = parts.join("");
  }

  const announced = explorer.querySelector("[aria-live=polite]");
  let pause;
  /** Show what the sliders choose; the summary waits, so that a screen reader is not flooded. */
  function update() {
    const settings = read();
    const results = layers.map((layer) => predict(layer, settings));
    fill(results);
    draw(settings);
    clearTimeout(pause);
    pause = setTimeout(() => {
      const summary = summarize(results);
      if (announced.textContent !== summary) announced.textContent = summary;
    }, 500);
  }

  form.addEventListener("input", update);
  form.querySelector("button").addEventListener("click", () => {
    form.reset();
    update();
  });
  update();
  new ResizeObserver(([entry]) => {
    size = entry.contentRect;
    draw(read());
  }).observe(figure);
})();
