// The search of the translator, drawn as a tree and written as a list.

const SVG = "http://www.w3.org/2000/svg";
const SIZE = { letter: 6.6, gap: 30, row: 21, top: 14 }; // in the drawing's units, which are pixels

function make(name, attributes, ...inside) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

/** The nodes in columns, one a step; children stand in the order of their parents. */
function columnsOf(nodes) {
  const columns = [];
  for (const node of nodes) (columns[node.step] ??= []).push(node);
  const rows = new Map();
  for (const column of columns) {
    column.sort((a, b) => (rows.get(a.parent) ?? 0) - (rows.get(b.parent) ?? 0) || b.logProbability - a.logProbability);
    column.forEach((node, row) => rows.set(node.id, row));
  }
  return { columns, rows };
}

/**
 * Draw a search from left to right, a column a step.
 *
 * @param {Element} target is emptied first
 * @param {{nodes: object[], best: number[]}} tree
 * @param {{nameOf: Function, describe: Function}} words
 */
export function drawTree(target, { nodes, best }, { nameOf, describe }) {
  const { columns, rows } = columnsOf(nodes);
  const path = new Set(best);
  const x = [];
  let width = 4;
  for (const column of columns) {
    x.push(width);
    width += SIZE.letter * Math.max(...column.map((node) => nameOf(node).length)) + SIZE.gap;
  }
  const height = SIZE.top + SIZE.row * Math.max(...columns.map((column) => column.length));
  const y = (node) => SIZE.top + SIZE.row * rows.get(node.id);
  const end = (node) => x[node.step] + SIZE.letter * nameOf(node).length + 4;
  const kind = (node) =>
    `${path.has(node.id) ? "best" : node.finished ? "finished" : node.kept ? "kept" : "dropped"}`;
  const lines = nodes.slice(1).map((node) => {
    const parent = nodes[node.parent];
    const [from, to] = [end(parent), x[node.step] - 4];
    const bend = to - (SIZE.gap - 8) / 2;
    return make("path", {
      class: kind(node),
      d: `M${from} ${y(parent) - 4}H${to - SIZE.gap + 8}C${bend} ${y(parent) - 4} ${bend} ${y(node) - 4} ${to} ${y(node) - 4}`,
    });
  });
  const texts = nodes.map((node) => {
    const made = make("g", { class: kind(node) });
    if (node.finished) {
      const box = { x: x[node.step] - 3, y: y(node) - 14, width: end(node) - x[node.step] + 2, height: 18, rx: 2 };
      made.append(make("rect", box));
    }
    made.append(make("title", {}, describe(node)), make("text", { x: x[node.step], y: y(node) }, nameOf(node)));
    return made;
  });
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, ...lines, ...texts);
  target.replaceChildren(svg);
}

/**
 * Write a search as nested lists; a chain without branches is one item.
 *
 * @param {Element} target is emptied first
 * @param {{nodes: object[]}} tree
 * @param {(node: object) => string} describe
 */
export function listTree(target, { nodes }, describe) {
  const children = new Map(nodes.map((node) => [node.id, []]));
  for (const node of nodes.slice(1)) children.get(node.parent).push(node);
  const list = (siblings) => {
    const made = document.createElement("ul");
    for (const node of siblings) {
      const item = document.createElement("li");
      item.append(describe(node));
      const next = children.get(node.id);
      if (next.length) item.append(list(next));
      made.append(item);
    }
    return made;
  };
  target.replaceChildren(list(children.get(nodes[0].id)));
}
