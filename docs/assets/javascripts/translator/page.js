// The translator of docs/training/translator.md: the reader's side of it. model.js translates, in
// worker.js; docs/assets/figures/translator.html holds the controls and all words that are shown.
// Nothing of the model is loaded before the reader asks for it.
import { address, heatmap, later, near, slider, spoken } from "../figure.js";
import { changes, withMarks } from "./compare.js";
import { connect } from "./connect.js";
import { drawTree, listTree } from "./tree.js";

const KINDS = ["encoder", "self", "cross"];
const SWITCHES = ["positions", "causal", "scaled"];
const VIEWS = ["steps", "attention", "search"];
const PAUSE = { typing: 350, step: 800 }; // milliseconds
const SHADES = [0.08, 0.2, 0.4, 0.7]; // from which weight on a small map is darker
const SVG = "http://www.w3.org/2000/svg";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`;
const signed = (number, digits) => number.toFixed(digits).replace("-", "−");
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function make(name, attributes = {}, ...inside) {
  const element = name.startsWith("svg:")
    ? document.createElementNS(SVG, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

/** The matrices of one kind of attention, as rows: of one head, or their mean. */
function rowsOf(result, kind, head) {
  const maps = result.attention[kind];
  const columns = kind === "self" ? result.inputs.length : result.source.length;
  const chosen = head === "mean" ? maps.flat() : [maps[head[0] - 1][head[1] - 1]];
  return Array.from({ length: chosen[0].length / columns }, (_, row) =>
    Array.from({ length: columns }, (_, column) =>
      chosen.reduce((sum, map) => sum + map[row * columns + column], 0) / chosen.length,
    ),
  );
}

function start(root) {
  const words = root.dataset;
  const form = root.querySelector("form");
  const find = (selector) => root.querySelector(selector);
  const field = form.elements.text;
  const live = find(".live");
  const say = spoken(find(".spoken"));
  const models = {}; // by direction, those that are loaded
  const asTrained = new Map(); // translations without changes
  let result, player, shownText, limit, requested, latest = 0;

  const picks = Object.fromEntries(
    [...form.querySelectorAll(".picks")].map((group) => [
      group.dataset.of,
      [...group.children].map((button) => button.textContent),
    ]),
  );
  const defaults = {
    direction: "de-en",
    text: field.value,
    beam: 1,
    off: "",
    positions: true,
    causal: true,
    scaled: true,
    view: "steps",
    kind: "cross",
    head: "mean",
    step: 1,
    word: 1,
  };
  const beam = slider(form, "beam");
  const place = address("translator", defaults, {
    direction: (value) => value in picks,
    beam: beam.allows,
    off: (value) => /^([esc][1-9][1-9])*$/.test(value),
    view: (value) => VIEWS.includes(value),
    kind: (value) => KINDS.includes(value),
    head: (value) => /^(mean|[1-9][1-9])$/.test(value),
    step: (value) => Number.isInteger(value) && value > 0,
    word: (value) => Number.isInteger(value) && value > 0,
  });
  const state = place.read();
  // A sentence that the reader types enters the address, and with it requests, only on request.
  const open = new Set([...Object.values(picks).flat(), state.text]);
  const keep = () => place.write({ ...state, text: open.has(state.text) ? state.text : defaults.text });
  const model = () => models[state.direction];
  const off = () => state.off.match(/.../g) ?? [];
  const code = (kind, layer, head) => `${kind[0]}${layer}${head}`;
  const untouched = () => !state.off && SWITCHES.every((name) => state[name]);

  // Names

  const names = {
    encoder: () => result.source.map((token) => nameOf(token, shownText)),
    inputs: () => result.inputs.map((piece) => nameOf({ piece })),
    target: () => result.target.map((token) => nameOf(token)),
  };
  const rowNames = (kind) => (kind === "encoder" ? names.encoder() : names.target());
  const columnNames = (kind) => (kind === "self" ? names.inputs() : names.encoder());

  /** A token as a reader sees it: without the sign for a space, and special ones in words. */
  function nameOf({ piece, start, end, known }, text) {
    if (piece === "<s>") return words.start;
    if (piece === "</s>") return words.end;
    if (known === false) return text.slice(start, end).trim() || piece;
    return piece.replaceAll("▁", "") || "␣";
  }

  const headName = (head) =>
    head === "mean" ? words.mean : fill(words.head, { layer: head[0], head: head[1] });

  // Loading

  function status(text, trouble = false) {
    find(".status").textContent = text;
    find(".status").classList.toggle("trouble", trouble);
  }

  async function load() {
    const [progress, button] = [find("progress"), find(".load")];
    const { direction } = state;
    const url = new URL(`${root.dataset.models}${direction}/translator.bin`, document.baseURI);
    let worker;
    button.disabled = true;
    progress.hidden = false;
    progress.value = 0;
    try {
      await new Promise((resolve, reject) => {
        worker = connect(url.href, (message) => {
          if (models[direction]) broke(direction, message);
          else reject(new Error(message));
        });
        worker
          .load(({ loaded, total }) => {
            if (total) progress.value = loaded / total;
            const values = { loaded: megabytes(loaded), total: megabytes(total) };
            status(fill(total ? words.loading : words.loadingSome, values));
          })
          .then(({ maxSource }) => {
            limit = maxSource;
            resolve();
          }, reject);
      });
      models[direction] = worker;
    } catch (error) {
      worker?.close();
      fails(error);
    } finally {
      button.disabled = false;
      progress.hidden = true;
    }
  }

  /** Say in the page's own words what went wrong. */
  function fails({ code, message }) {
    const named = { empty: "empty", "too-long": "tooLong", offline: "offline", missing: "missing", damaged: "damaged" };
    status(fill(words[named[code] ?? "failed"], { limit, message }), code !== "empty");
  }

  function broke(direction, message) {
    models[direction].close();
    delete models[direction];
    fails({ message });
    controls();
  }

  // Translating

  const options = (changed) => ({
    beam: state.beam,
    off: changed
      ? off().map(([kind, layer, head]) => ({
          where: KINDS.find((name) => name[0] === kind),
          layer: layer - 1,
          head: head - 1,
        }))
      : [],
    ...Object.fromEntries(SWITCHES.map((name) => [name, changed ? state[name] : true])),
  });

  const request = () => JSON.stringify([state.direction, state.text, options(true)]);

  /** Translate what is asked for now; an answer that comes too late is not shown. */
  async function translate() {
    const mine = ++latest;
    requested = request();
    const { direction, text } = state;
    if (!model() || !field.isConnected) return;
    live.classList.add("stale");
    const wanted = () => mine === latest && direction === state.direction;
    try {
      if (!text.trim()) throw Object.assign(new Error(), { code: "empty" });
      const key = JSON.stringify([direction, text, state.beam]);
      const known = untouched() || asTrained.has(key);
      if (!known) asTrained.set(key, (await model().translate(text, options(false))).text);
      if (!wanted()) return;
      const found = await model().translate(text, options(true), ({ rows }) => {
        if (wanted() && rows?.length && live.hidden) status(`${rows[0].text} …`);
      });
      if (!wanted()) return;
      if (untouched()) asTrained.set(key, found.text);
      [result, shownText] = [found, text];
      live.classList.remove("stale");
      status(words.ready);
      show(asTrained.get(key));
    } catch (error) {
      if (!wanted()) return;
      live.hidden = true;
      find(".sample").hidden = false;
      fails(error);
      say("");
    }
  }

  const translateSoon = later(() => request() !== requested && translate(), PAUSE.typing);

  // Showing

  function controls() {
    for (const radio of form.elements.direction) {
      radio.checked = radio.value === state.direction;
      if (radio.checked) {
        field.lang = radio.dataset.from;
        form.elements.translation.lang = find(".before q").lang = find(".strip.target").lang = radio.dataset.into;
        find(".strip.source").lang = radio.dataset.from;
      }
    }
    for (const group of form.querySelectorAll(".picks")) group.hidden = group.dataset.of !== state.direction;
    if (field.value !== state.text) field.value = state.text;
    for (const name of SWITCHES) form.elements[name].checked = state[name];
    for (const radio of form.elements.kind) radio.checked = radio.value === state.kind;
    beam.value = state.beam;
    find(".load").hidden = Boolean(model());
    find(".translate").hidden = !model();
    for (const tab of form.querySelectorAll("[role=tab]")) {
      const chosen = tab.dataset.view === state.view;
      tab.setAttribute("aria-selected", chosen);
      tab.tabIndex = chosen ? 0 : -1;
      find(`#${tab.getAttribute("aria-controls")}`).hidden = !chosen;
    }
    keep();
  }

  function show(before) {
    const { text } = result;
    find(".sample").hidden = true;
    live.hidden = false;
    const changed = !untouched();
    const [old, now] = changes(before ?? text, text);
    find(".before").hidden = !changed;
    const label = find(".after span");
    label.textContent = changed ? label.dataset.changed : label.dataset.plain;
    find(".before q").replaceChildren(...withMarks(old));
    form.elements.translation.replaceChildren(...(changed ? withMarks(now) : [text]));
    const unknown = [...new Set(result.source.filter((token) => !token.known).map((token) => nameOf(token, shownText)))];
    const notes = [];
    if (unknown.length) notes.push(fill(words.unknown, { characters: unknown.join(", ") }));
    if (result.target.at(-1).piece !== "</s>") notes.push(words.unfinished);
    if (changed && before === text) notes.push(words.same);
    find(".note").textContent = notes.join(" ");
    find(".note").hidden = !notes.length;
    state.step = Math.min(state.step, result.target.length);
    state.word = Math.min(state.word, result.source.length);
    showModel();
    showStrips();
    showHeads();
    showMap();
    showStep();
    showSearch();
    keep();
    say(fill(words.said, { text }));
  }

  /** How much of the model is switched off. */
  function showModel() {
    const count = off().length;
    const all = KINDS.reduce((sum, kind) => sum + result.attention[kind].flat().length, 0);
    find(".heads").textContent = count ? fill(words.off, { count, all }) : "";
    find(".restore").hidden = untouched();
  }

  // The tokens, and what the chosen one reads

  const reader = () => (state.kind === "encoder" ? state.word : state.step) - 1;

  function showStrips() {
    const chip = (token, name, place) => {
      const made = make("span", { role: "option", class: "token", "data-at": place }, name);
      made.classList.toggle("joined", place > 0 && !/^(▁|<)/.test(token.piece));
      made.classList.toggle("unknown", token.known === false);
      return made;
    };
    const sources = names.encoder();
    find(".strip.source").replaceChildren(...result.source.map((token, i) => chip(token, sources[i], i + 1)));
    const written = [{ piece: "<s>" }, ...result.target];
    find(".strip.target").replaceChildren(...written.map((token, i) => chip(token, nameOf(token), i)));
    shade();
  }

  /** Shade the tokens by how much the chosen one reads of them, or another that is pointed at. */
  function shade(kind = state.kind, row = reader()) {
    const weights = rowsOf(result, kind, state.head)[row];
    const [source, target] = [find(".strip.source"), find(".strip.target")];
    const [reading, read] = [kind === "encoder" ? source : target, kind === "self" ? target : source];
    for (const strip of [source, target]) {
      [...strip.children].forEach((token, place) => {
        const at = Number(token.dataset.at);
        const chosen = strip === reading && at === row + 1;
        const value = strip === read ? weights[place] ?? 0 : 0;
        token.style.setProperty("--share", `${100 * value}%`);
        token.dataset.value = value;
        token.setAttribute("aria-selected", chosen);
        token.classList.toggle("later", strip === target && kind !== "encoder" && at > row + 1);
      });
      const stop = strip === reading ? row + 1 : strip === source ? state.word : state.step;
      for (const token of strip.children) token.tabIndex = Number(token.dataset.at) === stop ? 0 : -1;
    }
    const columns = columnNames(kind);
    const best = [...weights.keys()].sort((a, b) => weights[b] - weights[a]).slice(0, 3);
    const text = fill(words.reads, {
      reader: `“${rowNames(kind)[row]}”`,
      read: best.map((column) => `“${columns[column]}” ${percent(weights[column])}`).join(", "),
    });
    find(".reading-of").textContent = `${headName(state.head)}. ${text}`;
    return text;
  }

  /** Choose the token that reads; a source token reads in the encoder only. */
  function choose(kind, row) {
    if (kind !== state.kind) {
      state.kind = kind;
      showHeads();
    }
    if (kind === "encoder") state.word = row + 1;
    else state.step = row + 1;
    controls();
    showMap();
    showStep();
    say(shade());
  }

  const tokenAt = ({ target }) => {
    const token = target.closest?.(".token");
    if (!token) return undefined;
    const isSource = Boolean(token.closest(".source"));
    const row = Math.max(0, Number(token.dataset.at) - 1);
    return { kind: isSource ? "encoder" : state.kind === "encoder" ? "cross" : state.kind, row, token };
  };
  find(".strips").addEventListener("pointerover", (event) => {
    const at = event.pointerType === "mouse" && tokenAt(event);
    if (at) shade(at.kind, at.row);
  });
  find(".strips").addEventListener("pointerleave", () => result && shade());
  find(".strips").addEventListener("click", (event) => {
    const at = tokenAt(event);
    if (!at) return;
    stop();
    choose(at.kind, at.row);
    at.token.focus();
  });
  find(".strips").addEventListener("keydown", (event) => {
    const at = tokenAt(event);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!at || !step) return;
    event.preventDefault();
    stop();
    const tokens = [...at.token.parentElement.children].filter((token) => Number(token.dataset.at) > 0);
    const next = Math.min(Math.max(tokens.indexOf(at.token) + step, 0), tokens.length - 1);
    choose(at.kind, next);
    tokens[next].focus();
  });

  // The steps

  function showStep() {
    const { step } = state;
    const chosen = result.target[step - 1];
    const range = form.elements.step;
    range.max = result.target.length;
    range.value = step;
    const before = names.inputs().slice(0, step);
    const text = fill(words.doing, {
      step,
      steps: result.target.length,
      before: before.map((name) => `“${name}”`).join(" "),
      piece: `“${nameOf(chosen)}”`,
    });
    range.setAttribute("aria-valuetext", text);
    find(".doing").textContent = text;
    const likely = chosen.alternatives.some(({ id }) => id === chosen.id)
      ? chosen.alternatives
      : [...chosen.alternatives, chosen];
    find(".likely").replaceChildren(
      ...likely.map((token) => {
        const bar = make("span", { class: "bar" });
        bar.style.setProperty("--share", `${100 * token.probability}%`);
        const name = make("span", { class: "piece", lang: form.elements.translation.lang }, nameOf(token));
        const row = make("li", { "data-value": token.probability }, name, bar, make("span", {}, percent(token.probability)));
        row.classList.toggle("written", token.id === chosen.id);
        return row;
      }),
    );
    find("[data-go=first]").disabled = find("[data-go=back]").disabled = step === 1;
    find("[data-go=last]").disabled = find("[data-go=forward]").disabled = step === result.target.length;
    return text;
  }

  function goTo(step, speak = true) {
    state.step = Math.min(Math.max(step, 1), result.target.length);
    if (state.kind === "encoder") {
      state.kind = "cross";
      showHeads();
    }
    const text = showStep();
    shade();
    showMap();
    controls();
    if (speak) say(text);
  }

  function stop() {
    clearInterval(player);
    player = undefined;
    const button = find("[data-go=play]");
    button.classList.remove("playing");
    button.setAttribute("aria-label", words.play);
  }

  function play() {
    if (state.step === result.target.length) goTo(1, false);
    const button = find("[data-go=play]");
    button.classList.add("playing");
    button.setAttribute("aria-label", words.pause);
    player = setInterval(() => {
      if (!root.isConnected) return clearInterval(player);
      goTo(state.step + 1, state.step + 1 === result.target.length);
      if (state.step === result.target.length) stop();
    }, PAUSE.step);
  }

  find(".player").addEventListener("click", ({ target }) => {
    const go = target.closest("[data-go]")?.dataset.go;
    if (!go) return;
    const playing = player;
    stop();
    if (go === "play") return playing ? undefined : play();
    goTo({ first: 1, back: state.step - 1, forward: state.step + 1, last: Infinity }[go]);
  });

  // The heads

  function showHeads() {
    const group = find(".heads-of");
    const maps = result.attention[state.kind];
    const columns = maps[0][0].length / rowNames(state.kind).length;
    const look = (head, ...inside) =>
      make("button", { type: "button", "data-head": head, "aria-pressed": head === state.head, "aria-label": headName(head) }, ...inside);
    const toggle = (codes, label) => {
      const box = make("input", { type: "checkbox", "data-off": codes.join(""), "aria-label": label });
      const count = codes.filter((one) => off().includes(one)).length;
      box.checked = count < codes.length;
      box.indeterminate = count > 0 && count < codes.length;
      return box;
    };
    const rows = maps.map((heads, index) => {
      const layer = index + 1;
      const codes = heads.map((_, head) => code(state.kind, layer, head + 1));
      return [
        make("label", { class: "layer" }, toggle(codes, fill(words.layerOn, { layer })), fill(words.layer, { layer })),
        ...heads.map((map, head) =>
          make(
            "span",
            { class: "one" },
            look(`${layer}${head + 1}`, thumbnail(map, columns)),
            make("label", {}, toggle([codes[head]], fill(words.headOn, { layer, head: head + 1 }))),
          ),
        ),
      ];
    });
    group.style.setProperty("--heads", maps[0].length);
    const held = group.contains(document.activeElement) && document.activeElement.dataset;
    group.replaceChildren(make("span", { class: "mean" }, look("mean", words.mean)), ...rows.flat());
    if (held) group.querySelector(held.off ? `[data-off="${held.off}"]` : `[data-head="${held.head}"]`)?.focus();
  }

  /** A matrix as a small picture: a path for each shade. */
  function thumbnail(map, columns) {
    const rows = map.length / columns;
    const paths = SHADES.map(() => "");
    map.forEach((weight, index) => {
      const shade = SHADES.findLastIndex((least) => weight >= least);
      if (shade >= 0) paths[shade] += `M${index % columns} ${Math.floor(index / columns)}h1v1h-1z`;
    });
    return make(
      "svg:svg",
      { viewBox: `0 0 ${columns} ${rows}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      ...paths.map((d, shade) => make("svg:path", { d, class: `shade-${shade + 1}` })),
    );
  }

  find(".heads-of").addEventListener("click", ({ target }) => {
    const head = target.closest("button[data-head]")?.dataset.head;
    if (!head) return;
    state.head = head;
    for (const button of form.querySelectorAll("button[data-head]")) button.setAttribute("aria-pressed", button.dataset.head === head);
    controls();
    showMap();
    say(`${headName(head)}. ${shade()}`);
  });
  find(".heads-of").addEventListener("change", ({ target }) => {
    const codes = target.dataset.off.match(/.../g);
    const kept = off().filter((one) => !codes.includes(one));
    state.off = (target.checked ? kept : [...kept, ...codes]).sort().join("");
    showModel();
    showHeads();
    controls();
    translate();
  });

  // The large map

  let map, mapOf;

  function showMap() {
    const { kind, head } = state;
    const values = rowsOf(result, kind, head);
    if (mapOf?.result === result && mapOf.kind === kind && mapOf.head === head) {
      if (mapOf.row !== reader()) map.select(reader(), values[reader()].indexOf(Math.max(...values[reader()])));
    } else {
      const [rows, columns] = [rowNames(kind), columnNames(kind)];
      const name = form.querySelector(`[name=kind][value=${kind}]`).dataset.name;
      const longest = Math.max(...rows.map((row) => row.length));
      find(".map").style.setProperty("--letters", Math.min(longest, 10));
      map = heatmap(find(".map"), {
        rows,
        columns,
        values,
        caption: fill(words.map, { kind: name, head: headName(head) }),
        table: words.numbers,
        describe: (row, column, value) =>
          fill(words.cell, { row: rows[row], column: columns[column], share: percent(value) }),
        onselect: (row) => {
          if (row === reader()) return;
          stop();
          if (kind === "encoder") state.word = row + 1;
          else state.step = row + 1;
          mapOf.row = row;
          showStep();
          shade();
          controls();
        },
      });
      map.select(reader(), values[reader()].indexOf(Math.max(...values[reader()])));
    }
    mapOf = { result, kind, head, row: reader() };
  }

  // The search

  function showSearch() {
    const { nodes } = result.tree;
    const count = (is) => nodes.slice(1).filter(is).length;
    find(".tree-says").textContent =
      state.beam === 1
        ? words.greedy
        : fill(words.tree, {
            beam: state.beam,
            kept: count((node) => node.kept),
            dropped: count((node) => !node.kept),
            finished: count((node) => node.finished),
          });
    const fate = (node) => (node.finished ? words.finished : node.kept ? words.kept : words.dropped);
    const describe = (node) =>
      fill(words.node, { piece: nameOf(node), score: signed(node.logProbability, 2), fate: fate(node) });
    drawTree(find(".tree"), result.tree, { nameOf, describe, fate });
    find(".hypotheses").replaceChildren(
      ...result.hypotheses.map(({ text, score }) =>
        make(
          "li",
          { "data-value": score },
          make("q", { lang: form.elements.translation.lang }, text),
          make("span", {}, signed(score, 3)),
        ),
      ),
    );
    const branches = find(".branches");
    branches.replaceChildren();
    if (branches.closest("details").open) listTree(branches, result.tree, describe);
  }

  find(".branches").closest("details").addEventListener("toggle", () => result && showSearch());

  // What the reader does

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const first = !model();
    state.text = field.value;
    controls();
    if (first) await load();
    controls();
    await translate();
    if (first && model() && !live.hidden && !still.matches && state.step === 1 && state.view === "steps") play();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  field.addEventListener("input", () => {
    stop();
    find(".linked").textContent = "";
    state.text = field.value;
    state.step = state.word = 1;
    keep();
    translateSoon();
  });
  for (const group of form.querySelectorAll(".picks")) {
    group.addEventListener("click", ({ target }) => {
      if (target.localName !== "button") return;
      stop();
      Object.assign(state, { text: target.textContent, step: 1, word: 1 });
      controls();
      translate();
    });
  }
  form.addEventListener("change", ({ target }) => {
    const { name } = target;
    if (name === "direction") {
      stop();
      const index = picks[state.direction].indexOf(state.text);
      const other = picks[target.value][Math.max(index, 0)];
      const back = index < 0 && result && shownText === state.text ? result.text : other;
      Object.assign(state, { direction: target.value, text: back, step: 1, word: 1 });
      result = undefined;
      live.hidden = true;
      find(".sample").hidden = false;
      status("");
      controls();
      translate();
    } else if (SWITCHES.includes(name)) {
      state[name] = target.checked;
      controls();
      translate();
    } else if (name === "kind") {
      state.kind = target.value;
      controls();
      showHeads();
      showMap();
      say(shade());
    }
  });
  form.addEventListener("input", ({ target }) => {
    if (target.name === "beam") {
      state.beam = beam.value;
      keep();
      translateSoon();
    } else if (target.name === "step") {
      stop();
      goTo(target.valueAsNumber, false); // the slider says it itself
    }
  });
  find(".restore").addEventListener("click", () => {
    Object.assign(state, { off: "", positions: true, causal: true, scaled: true });
    controls();
    showHeads();
    translate();
    form.elements.positions.focus();
  });
  find(".link").addEventListener("click", async () => {
    open.add(state.text);
    const url = new URL(location);
    url.searchParams.set("translator.text", state.text);
    url.hash = root.id;
    history.replaceState(history.state, "", url);
    const copied = await navigator.clipboard?.writeText(url.href).then(() => true, () => false);
    find(".linked").textContent = copied ? words.linked : words.addressed;
  });
  const views = find(".views");
  views.addEventListener("click", ({ target }) => {
    const tab = target.closest("[role=tab]");
    if (!tab) return;
    state.view = tab.dataset.view;
    controls();
  });
  views.addEventListener("keydown", (event) => {
    const tabs = [...views.children];
    const here = tabs.indexOf(event.target);
    const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (here < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.click();
    tab.focus();
  });

  // The experiments of the page: buttons that hold a state as the address would.

  for (const button of document.querySelectorAll("button[data-try]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      stop();
      Object.assign(state, defaults, JSON.parse(button.dataset.try));
      open.add(state.text);
      controls();
      root.scrollIntoView({ behavior: still.matches ? "auto" : "smooth" });
      (model() ? field : find(".load")).focus({ preventScroll: true });
      translate();
    });
  }

  window.document$?.subscribe(() => {
    if (!root.isConnected) for (const direction of Object.keys(models)) models[direction].close();
  });

  if (typeof Worker === "undefined") {
    find(".absent").textContent = words.withoutWorker;
    return;
  }
  root.classList.add("alive");
  form.hidden = false;
  controls();
}

near(".translator", start, "1000px");
