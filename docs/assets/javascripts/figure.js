// What the figures that react have in common. A figure is made of three files:
//
// 1. docs/assets/figures/NAME.html, which a page embeds by --8<--. It holds the controls, hidden, all
//    words that a reader sees, so that they can be translated, and what stands there without scripts,
//    a drawing or a table at the defaults. Its own styles are stylesheets/figures/NAME.css.
//
//      <link rel="stylesheet" href="../../assets/stylesheets/figure.css">
//      <link rel="stylesheet" href="../../assets/stylesheets/figures/NAME.css">
//      <div class="reacts" data-figure="NAME">
//      <form autocomplete="off" hidden>
//      <div class="control"><label for="NAME-n">Length</label> <output for="NAME-n"></output>
//      <input id="NAME-n" name="n" type="range" min="0" max="9" value="4"></div>
//      </form>
//      <svg class="diagram" viewBox="…" role="img" aria-label="…" data-drawn></svg>
//      <p class="spoken unseen" aria-live="polite" data-drawn></p>
//      <script type="module" src="../../assets/javascripts/near.js"></script>
//      </div>
//
//    What the module fills has data-drawn. `make generated` lets it draw and writes there what it has
//    drawn (docs/assets/fragments.py), but none of what only a figure with its module has: role,
//    tabindex, data-value, aria-… (aria-hidden stays) on what stands within, and the contents of an
//    element with data-live. It waits for the words with aria-live: every figure has such.
//
// 2. docs/assets/javascripts/figures/NAME.js, which near.js loads when the figure comes near the
//    view, and whose default export starts it:
//
//      import { address, slider, spoken } from "../figure.js";
//
//      export default function start(figure) {
//        const form = figure.querySelector("form");
//        const n = slider(form, "n", { scale: (p) => 2 ** p, write: (n) => `${n} positions` });
//        const state = address("NAME", { n: n.value }, { n: n.allows });
//        const say = spoken(figure.querySelector(".spoken"));
//        const update = () => { … n.value …; state.write({ n: n.value }); say("…"); };
//        n.value = state.read().n;
//        form.addEventListener("input", update);
//        form.hidden = false;
//        update();
//      }
//
//    It draws with classes and var(--…), listens on its own elements and not on the window (a
//    module is run once, its figure comes and goes with the page), and writes its numbers in full
//    precision into data-value attributes, and nowhere else; no style hangs on them.
// 3. A test in tests/site/, test_figures_….py, which holds these numbers to the page's Python.

export { near } from "./near.js";

/**
 * A range input whose value is written beside it and said by a screen reader, at once.
 *
 * @param {HTMLFormElement} form with an input of this name, and an output for it
 * @param {string} name
 * @param {{scale?: (position: number) => any, write?: (value: any) => string}} options what a
 *   position stands for (itself), and how that is written
 * @returns {{input: HTMLInputElement, value: any, allows: (value: any) => boolean}} the value can be
 *   set to any that a position stands for; `allows` says whether one does
 */
export function slider(form, name, { scale = (position) => position, write = String } = {}) {
  const input = form.elements[name];
  const output = form.querySelector(`output[for="${input.id}"]`);
  const [min, max, step] = [input.min, input.max, input.step || 1].map(Number);
  const positions = Array.from({ length: Math.floor((max - min) / step + 1e-9) + 1 }, (_, index) =>
    Number((min + index * step).toPrecision(12)),
  );
  const find = (value) => positions.findIndex((position) => Object.is(scale(position), value));
  const show = () => {
    const text = write(scale(input.valueAsNumber));
    output.value = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", show);
  form.addEventListener("reset", () => setTimeout(show));
  show();
  return {
    input,
    allows: (value) => find(value) >= 0,
    get value() {
      return scale(input.valueAsNumber);
    },
    set value(value) {
      const index = find(value);
      if (index < 0) throw new RangeError(`no position of ${name} stands for ${value}`);
      input.value = positions[index];
      show();
    },
  };
}

/**
 * The state of one figure in the page's address: ?KEY.NAME=VALUE for what is not at its default.
 * Writing waits for a pause, makes no entry in the history, and leaves the rest as it is.
 *
 * @param {string} key of the figure
 * @param {Object<string, number|string|boolean>} defaults by name; a value has its default's type
 * @param {Object<string, (value: any) => boolean>} allows what a value read has to pass
 * @returns {{read: () => Object, write: (state: Object) => void}} what is missing or broken in the
 *   address is read as the default
 */
export function address(key, defaults, allows = {}) {
  const page = location.pathname;
  const kinds = {
    number: (text) => (text.trim() ? Number(text) : NaN),
    boolean: (text) => ({ true: true, false: false })[text],
    string: (text) => text,
  };
  const parse = (text, name) => {
    const value = text === null ? defaults[name] : kinds[typeof defaults[name]](text);
    const broken = value === undefined || Number.isNaN(value) || allows[name]?.(value) === false;
    return broken ? defaults[name] : value;
  };
  const put = later((state) => {
    if (location.pathname !== page) return; // the reader has gone on
    const url = new URL(location);
    for (const [name, value] of Object.entries(state)) {
      if (Object.is(value, defaults[name])) url.searchParams.delete(`${key}.${name}`);
      else url.searchParams.set(`${key}.${name}`, value);
    }
    try {
      if (url.href !== location.href) history.replaceState(history.state, "", url);
    } catch {
      // Some browsers refuse it to a page on disk, or after many calls: the figure works without.
    }
  }, 300);
  return {
    read() {
      const query = new URLSearchParams(location.search);
      const names = Object.keys(defaults);
      return Object.fromEntries(
        names.map((name) => [name, parse(query.get(`${key}.${name}`), name)]),
      );
    },
    write: (state) => put({ ...state }),
  };
}

/**
 * The last of several calls, made once there has been a pause.
 *
 * @param {Function} call
 * @param {number} pause in milliseconds
 */
export function later(call, pause = 500) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(call, pause, ...values);
  };
}

/**
 * Writes into an element with aria-live what a screen reader says after a pause: the last text, and
 * nothing that stands there already.
 *
 * @param {Element} element
 * @returns {(text: string) => void}
 */
export function spoken(element) {
  return later((text) => {
    if (element.textContent !== text) element.textContent = text;
  });
}

/**
 * A sentence of the fragment with values in the places that it names.
 *
 * @param {string} text as "Output {output} sees {count} inputs."
 * @param {Object<string, any>} values by name
 */
export const phrase = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

/**
 * The radio buttons of a name as one value, like a slider.
 *
 * @param {HTMLFormElement} form
 * @param {string} name
 * @returns {{value: string, allows: (value: string) => boolean}}
 */
export function choice(form, name) {
  const buttons = form.elements[name];
  return {
    allows: (value) => [...buttons].some((button) => button.value === value),
    get value() {
      return buttons.value;
    },
    set value(value) {
      buttons.value = value;
    },
  };
}

/**
 * A drawing that is pressed, or drawn over from side to side; up and down, a finger moves the page.
 * What is pressed has to be reached by the keys too: this goes with a slider.
 *
 * @param {SVGSVGElement} svg
 * @param {(x: number, y: number) => void} call with the pointer in the drawing's units
 */
export function press(svg, call) {
  svg.style.touchAction = "pan-y";
  const at = (event) => {
    if (event.type === "pointerdown" ? event.button : !svg.hasPointerCapture(event.pointerId)) return;
    svg.setPointerCapture(event.pointerId);
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(svg.getScreenCTM().inverse());
    call(x, y);
  };
  svg.addEventListener("pointerdown", at);
  svg.addEventListener("pointermove", at);
}

/**
 * Load figure.css, for a figure whose fragment leaves it out: without scripts it needs none of it.
 *
 * @param {Element} figure whose own style sheet says where the style sheets are
 * @returns {Promise<void>} kept when the style sheet is there, or cannot be had
 */
export function dress(figure) {
  const href = new URL("../figure.css", figure.querySelector("link").href).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return Promise.resolve();
  const link = make("link", { rel: "stylesheet", href });
  const loaded = new Promise((done) => (link.onload = link.onerror = () => done()));
  document.head.append(link);
  return loaded;
}

/**
 * The colours of the page, for a canvas; anything else is drawn with classes and var(--…).
 *
 * @param {Element} element whose style counts
 * @param {() => void} changed is called when the reader chooses another palette
 * @returns {(name: string) => string} what a custom property, "--ink", is now
 */
export function palette(element, changed = () => {}) {
  new MutationObserver(() => element.isConnected && changed()).observe(document.body, {
    attributeFilter: ["data-md-color-scheme"],
  });
  return (name) => getComputedStyle(element).getPropertyValue(name).trim();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const arrow = ({ key, altKey, ctrlKey, metaKey }) =>
  altKey || ctrlKey || metaKey ? undefined : ARROWS[key];

/**
 * A handle in a drawing that follows the pointer and the arrow keys.
 *
 * @param {SVGSVGElement} svg
 * @param {SVGElement} handle can be focused and has a name: <g tabindex="0" role="slider"
 *   aria-label="…" aria-valuenow="…">; by figure.css the page does not scroll under the finger; what it says of itself, aria-valuetext, its figure writes
 * @param {{move: (x: number, y: number) => void, keys: (dx: number, dy: number) => void}} options
 *   `move` gets the pointer in the drawing's units; `keys` gets one step to the right and down as
 *   (1, 1), ten with the shift key
 */
export function drag(svg, handle, { move, keys }) {
  handle.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    handle.focus({ preventScroll: true });
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const point = new DOMPoint(event.clientX, event.clientY);
    const { x, y } = point.matrixTransform(svg.getScreenCTM().inverse());
    move(x, y);
  });
  handle.addEventListener("keydown", (event) => {
    const step = arrow(event);
    if (!step) return;
    event.preventDefault();
    keys(...step.map((one) => one * (event.shiftKey ? 10 : 1)));
  });
}

const make = (name, attributes = {}, ...inside) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
};

/**
 * The numbers of a figure as a table in a closed box, made when the box is opened.
 *
 * @param {HTMLDetailsElement} box with its summary
 * @param {() => {caption: string, rows: string[], columns: string[], values: number[][],
 *   write: (value: number) => string}} read gives what the table shows now
 * @returns {() => void} makes the table anew, where the box is open
 */
export function numbers(box, read) {
  const tabulate = () => {
    if (!box.open) return;
    const { caption, rows, columns, values, write } = read();
    const head = (scope, name) => make("th", { scope }, name);
    const line = (name, row) =>
      make("tr", {}, head("row", name), ...values[row].map((value) => make("td", {}, write(value))));
    const table = make(
      "table",
      {},
      make("caption", {}, caption),
      make("thead", {}, make("tr", {}, make("td"), ...columns.map((name) => head("col", name)))),
      make("tbody", {}, ...rows.map(line)),
    );
    box.querySelector("table")?.remove();
    box.append(table);
  };
  box.addEventListener("toggle", tabulate);
  return tabulate;
}

/**
 * A heat map: one stop of the tab key, in which arrows, Home and End go from cell to cell. Hovering,
 * tapping and focusing select a cell. The same numbers stand as a table in a closed box below.
 *
 * @param {Element} target is emptied first
 * @param {object} options
 * @param {string[]} options.rows names
 * @param {string[]} options.columns names
 * @param {number[][]} options.values a list a row; NaN is shown as no number
 * @param {string} options.caption of the map and its table
 * @param {string} options.table what the closed box is called
 * @param {(row: number, column: number, value: number) => string} options.describe what a cell
 *   says
 * @param {(value: number) => string} options.write how the table writes a value
 * @param {number} options.largest the value of a full colour; negative ones have another hue
 * @param {(row: number, column: number) => void} options.onselect
 * @param {(row: number, column: number) => void} options.onpress for a click, Enter or the space
 *   bar on a cell, where pressing does something
 * @returns {{update: (values: number[][]) => void, select: (row: number, column: number) => void}}
 *   `update` keeps rows, columns and the selected cell; `select` does not call `onselect`
 */
export function heatmap(
  target,
  {
    rows,
    columns,
    values,
    caption,
    table,
    describe = (row, column, value) => `${rows[row]}, ${columns[column]}: ${write(value)}`,
    write = (value) => value.toFixed(2),
    largest = 1,
    onselect = () => {},
    onpress,
  },
) {
  const each = (names, call) => names.map((name, index) => call(index, name));
  const cells = each(rows, () => each(columns, () => make("span", { role: "gridcell" })));
  const heads = {
    rows: each(rows, (_, name) => make("span", { role: "rowheader" }, name)),
    columns: each(columns, (_, name) => make("span", { role: "columnheader" }, make("b", {}, name))),
  };
  const line = (...inside) => make("span", { role: "row" }, ...inside);
  const grid = make(
    "div",
    { class: "heatmap", role: "grid", "aria-label": caption },
    line(make("span", { role: "gridcell", class: "corner" }), ...heads.columns),
    ...each(rows, (row) => line(heads.rows[row], ...cells[row])),
  );
  grid.style.setProperty("--columns", columns.length);
  grid.classList.toggle("pressed", Boolean(onpress));
  const box = make("details", { class: "numbers" }, make("summary", {}, table));
  const tabulate = numbers(box, () => ({ caption, rows, columns, values, write }));
  target.replaceChildren(grid, box);

  let chosen;
  const select = (row, column) => {
    if (chosen) cells[chosen[0]][chosen[1]].tabIndex = -1;
    chosen = [row, column];
    cells[row][column].tabIndex = 0;
    const mark = (element, is) => element.classList.toggle("chosen", is);
    each(rows, (one) => mark(heads.rows[one], one === row));
    each(columns, (one) => mark(heads.columns[one], one === column));
    each(rows, (one) => each(columns, (two) => mark(cells[one][two], one === row && two === column)));
  };
  const update = (next) => {
    values = next;
    each(rows, (row) =>
      each(columns, (column) => {
        const [cell, value] = [cells[row][column], values[row][column]];
        cell.dataset.value = value;
        cell.setAttribute("aria-label", describe(row, column, value));
        cell.style.setProperty("--share", `${Math.min(100, (100 * Math.abs(value)) / largest) || 0}%`);
        cell.classList.toggle("negative", value < 0);
        cell.classList.toggle("none", Number.isNaN(value));
      }),
    );
    tabulate();
  };
  const place = (event) => {
    const cell = event.target.closest("[data-value]");
    const row = cells.findIndex((line) => line.includes(cell));
    return row < 0 ? undefined : [row, cells[row].indexOf(cell)];
  };
  const go = (at) => {
    if (!at || (at[0] === chosen[0] && at[1] === chosen[1])) return;
    select(...at);
    onselect(...at);
  };
  grid.addEventListener("pointerover", (event) => go(place(event)));
  grid.addEventListener("focusin", (event) => go(place(event)));
  grid.addEventListener("click", (event) => {
    const at = place(event);
    if (!at) return;
    cells[at[0]][at[1]].focus();
    onpress?.(...at);
  });
  grid.addEventListener("keydown", (event) => {
    const at = place(event);
    const step = arrow(event);
    if (!at) return;
    if (onpress && ["Enter", " "].includes(event.key)) onpress(...at);
    else if (step) {
      const end = [rows.length - 1, columns.length - 1];
      const [row, column] = [at[0] + step[1], at[1] + step[0]];
      cells[Math.min(end[0], Math.max(0, row))][Math.min(end[1], Math.max(0, column))].focus();
    } else if (event.key === "Home") cells[at[0]][0].focus();
    else if (event.key === "End") cells[at[0]].at(-1).focus();
    else return;
    event.preventDefault();
  });
  for (const cell of cells.flat()) cell.tabIndex = -1;
  update(values);
  select(0, 0);
  return { update, select };
}
