// The figure of docs/model/transformer.md: how the copier of the page learns, and where it looks while
// it writes. docs/assets/copier.py has recorded it from a run of the page's program.
import { address, choice, dress, numbers, phrase, press, slider, spoken } from "../figure.js";

// The drawing of the loss: the step of training across, the loss down, logarithmic.
const [LEFT, RIGHT, TOP, BOTTOM] = [40, 350, 12, 112];
const [MOST, LEAST] = [10, 0.001];
// The drawing of the weights: a row a token that is written, a column a token of the source.
const [EDGE, HEAD, CELL] = [54, 36, 33];

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

export default async function start(figure) {
  const data = fetch(new URL("../../data/copier.json", import.meta.url));
  const [answer] = await Promise.all([data, dress(figure)]);
  if (!answer.ok) return; // what stands there without scripts goes on standing there
  const { source, losses, moments } = await answer.json();
  const form = figure.querySelector("form");
  const [says, plot] = [figure.querySelector(".says"), figure.querySelector(".loss")];
  const text = says.dataset;
  const say = spoken(figure.querySelector(".spoken"));
  const [step, token] = ["step", "token"].map((name) => slider(form, name));
  const [layer, head] = ["layer", "head"].map((name) => choice(form, name));
  const controls = { step, token, layer, head };
  const each = (call) =>
    Object.fromEntries(Object.entries(controls).map(([name, one]) => [name, call(one)]));
  const state = address("transformer", each((one) => one.value), each((one) => one.allows));
  const drawn = (name) => figure.querySelector(`[data-drawn=${name}]`);

  const last = losses.length;
  const across = (at) => (LEFT + ((RIGHT - LEFT) * at) / last).toFixed(1);
  const down = (loss) => {
    const share = Math.log(loss / LEAST) / Math.log(MOST / LEAST);
    return (BOTTOM - (BOTTOM - TOP) * share).toFixed(1);
  };
  const curve = losses
    .map((loss, index) => `${across(index + 1)} ${down(loss)}`)
    .filter((_, index) => index === 0 || index % 3 === 2) // at the moments, and between them
    .join("L");

  /** The weights of the chosen layer: of a head, or the mean of all. */
  function weights({ attention }) {
    const heads = attention[layer.value - 1];
    if (head.value !== "mean") return heads[head.value - 1].map((row) => row.map((one) => one / 1000));
    return heads[0].map((row, i) => row.map((_, j) => mean(heads.map((one) => one[i][j])) / 1000));
  }

  /** What is written, and for every token of it where the model looked. */
  function draw(moment, rows, chosen) {
    const parts = source.map((name, j) => `<text x="${EDGE + CELL * (j + 0.5)}" y="30">${name}</text>`);
    rows.slice(0, chosen).forEach((row, i) => {
      const y = HEAD + CELL * i;
      const name = moment.written[i];
      const wrong = name !== source[i];
      const words = wrong ? `${name} ≠ ${source[i]}` : name;
      parts.push(`<text x="${EDGE - 6}" y="${y + 21}" class="name${wrong ? " wrong" : ""}">${words}</text>`);
      row.forEach((weight, j) => {
        const x = EDGE + CELL * j;
        const at = `data-value="${weight}" x="${x}" y="${y}"`;
        const opacity = weight.toFixed(2);
        if (weight < 0.005) return;
        parts.push(`<rect ${at} width="${CELL}" height="${CELL}" fill-opacity="${opacity}"/>`);
        if (weight < 0.095) return;
        const pale = weight > 0.55 ? ' class="pale"' : "";
        parts.push(`<text${pale} x="${x + CELL / 2}" y="${y + 21}">${opacity.replace("0.", ".")}</text>`);
      });
    });
    const size = CELL * source.length;
    const grid = source.map((_, j) => `M${EDGE} ${HEAD + CELL * j}h${size}M${EDGE + CELL * j} ${HEAD}v${size}`);
    const y = HEAD + CELL * (chosen - 1);
    return (
      `${parts.join("")}<path class="grid" d="${grid.join("")}M${EDGE} ${HEAD + size}h${size}v-${size}"/>` +
      `<rect class="now" x="${EDGE}" y="${y}" width="${size}" height="${CELL}"/>`
    );
  }

  const now = () => moments.find((one) => one.step === step.value);
  const written = (moment) => Math.min(token.value, moment.written.length);
  const box = figure.querySelector("details");
  const tabulate = numbers(box, () => ({
    caption: box.querySelector("summary").textContent,
    rows: now().written.slice(0, written(now())),
    columns: source,
    values: weights(now()),
    write: (weight) => weight.toFixed(2),
  }));

  function update() {
    const moment = now();
    const chosen = written(moment);
    const loss = losses[Math.max(0, moment.step - 1)];
    const rows = weights(moment);
    const row = rows[chosen - 1];
    const most = row.indexOf(Math.max(...row));
    const [x, y] = [across(moment.step), down(loss)];
    drawn("loss").innerHTML =
      `<path d="M${curve}"/><path class="optional" d="M${x} ${TOP}V${BOTTOM}"/><circle cx="${x}" cy="${y}" r="6"/>`;
    drawn("weights").innerHTML = draw(moment, rows, chosen);
    const right = moment.written[chosen - 1] === source[chosen - 1];
    const values = {
      step: moment.step,
      loss,
      i: chosen,
      token: moment.written[chosen - 1],
      wanted: source[chosen - 1],
      probability: moment.probability[chosen - 1].toFixed(2),
      read: source[most],
      j: most + 1,
      weight: row[most].toFixed(2),
    };
    const ended = chosen < token.value ? text.ended : "";
    says.textContent = [text.trained, ended, right ? text.right : text.wrong, text.reads]
      .map((one) => phrase(one, values))
      .join(" ");
    say(says.textContent);
    tabulate();
    state.write(each((one) => one.value));
  }

  for (const [name, value] of Object.entries(state.read())) controls[name].value = value;
  form.addEventListener("input", update);
  press(plot, (x) => {
    const nearest = (last * (x - LEFT)) / (RIGHT - LEFT);
    const apart = (moment) => Math.abs(moment.step - nearest);
    step.value = moments.reduce((best, one) => (apart(one) < apart(best) ? one : best)).step;
    update();
  });
  form.hidden = box.hidden = false;
  update();
}
