// The search dialog: asks Pagefind's index, which docs/hooks/search.py makes after the build.
// Nothing is loaded before the dialog opens.
(() => {
  const dialog = document.querySelector("[data-search]");
  const form = dialog.querySelector("form");
  const input = dialog.querySelector("input");
  const status = dialog.querySelector("[role=status]");
  const list = dialog.querySelector("ol");
  const texts = dialog.dataset;
  const index = new URL(texts.search, location.href); // location changes with instant navigation
  const site = new URL("..", index);
  const fromDisk = location.protocol === "file:";
  const smallWords = new Set(texts.smallWords.split(" "));
  const SHOWN = 10;
  const PAGES = 40; // about as many as there are; it sets how much a rare word counts
  const HAN = /\p{Script=Han}/u;

  // Loading
  let loading = null;

  function load() {
    loading ??= open().catch((error) => {
      loading = null; // the next try loads anew
      throw error;
    });
    return loading;
  }

  async function open() {
    const engine = await (fromDisk ? byScript() : import(new URL("pagefind.js", index)));
    await engine.options({
      noWorker: true, // the index of a site of this size is searched in a few milliseconds
      baseUrl: "/",
      ranking: { metaWeights: { title: 5, keywords: 15 } },
    });
    await engine.init();
    return engine;
  }

  /** From disk a browser lets a page fetch nothing; there, one script holds program and index. */
  function byScript() {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = new URL("from-disk.js", index);
      script.onload = () => resolve(window.pagefindFromDisk);
      script.onerror = () => reject(new Error(`${script.src} is missing`));
      document.head.append(script);
    });
  }

  // Finding

  /**
   * The terms of a query, each with its weight: its words without those that every sentence has.
   * The index holds Chinese character by character, and the terms of the glossary as they are.
   */
  function termsOf(query) {
    const parts = query.toLowerCase().match(/\p{Script=Han}+|[^\s\p{Script=Han}]+/gu) ?? [];
    const telling = parts.filter((part) => !smallWords.has(part.replace(/\?+$/, "")));
    const words = [...new Set(telling.length ? telling : parts)];
    const spaced = words.map((word) => (HAN.test(word) ? [...word].join(" ") : word));
    const terms = words.flatMap((word, i) =>
      spaced[i] === word ? [[word, 1]] : [[word, 1], [spaced[i], 0.5]],
    );
    if (words.length > 1) terms.push([spaced.join(" "), 1]);
    // A question as a whole too: a page may say in its keywords that it answers it.
    if (parts.length > words.length) terms.push([parts.join(" "), 1]);
    return terms;
  }

  /** Pages by the terms that they hold: a rare one counts more, and so does holding all. */
  async function find(query) {
    const engine = await load();
    const pages = new Map();
    for (const [term, weight] of termsOf(query)) {
      const { results } = await engine.search(term);
      const rarity = weight * Math.log(1 + PAGES / results.length);
      for (const result of results) {
        const page = pages.get(result.id) ?? { score: 0, held: 0 };
        page.score += (rarity * result.score) / results[0].score;
        page.held += rarity;
        page.result = result; // of the last term that it holds, which is the whole query if it can be
        pages.set(result.id, page);
      }
    }
    const found = [...pages.values()].sort((a, b) => b.score * b.held - a.score * a.held);
    const read = await Promise.all(found.slice(0, SHOWN).map(({ result }) => result.data()));
    return read.filter((page) => resembles(page, query));
  }

  /** For a word that no page holds, Pagefind takes its first letter or two: that finds nothing. */
  function resembles({ content, meta }, query) {
    const letters = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}\s]/gu, "");
    const text = letters(`${meta.title} ${meta.keywords ?? ""} ${content}`);
    const words = letters(query).split(/\s+/).filter((word) => word && !smallWords.has(word));
    return !words.length || words.some((word) => HAN.test(word) || text.includes(word.slice(0, 3)));
  }

  // Showing

  const SPACE_IN_CHINESE =
    /(?<=[\p{Script=Han}\u3001-\u303f\uff01-\uff65](?:<\/mark>)?) (?=(?:<mark>)?[\p{Script=Han}\u3001-\u303f\uff01-\uff65])/gu;
  const plain = (text) => text.replace(SPACE_IN_CHINESE, "");

  function element(name, className, ...content) {
    const made = document.createElement(name);
    made.className = className;
    made.append(...content);
    return made;
  }

  /** An excerpt with what was found as <mark>; Pagefind escapes the rest. */
  function marked(excerpt) {
    const parts = plain(excerpt).replaceAll("</mark><mark>", "").split(/<\/?mark>/);
    return parts.map((part, i) => {
      const text = part.replaceAll("&lt;", "<").replaceAll("&gt;", ">");
      return i % 2 ? element("mark", "", text) : text;
    });
  }

  function item(page) {
    const weight = ({ weighted_locations: places }) =>
      places.reduce((sum, { balanced_score: score }) => sum + score, 0);
    const [best] = [...page.sub_results].sort((a, b) => weight(b) - weight(a));
    const target = new URL((best?.url ?? page.url).replace(/^\/+/, ""), site);
    if (fromDisk) target.pathname += "index.html";
    const link = element("a", "", element("strong", "", plain(page.meta.title)));
    if (best && best.title !== page.meta.title) link.append(element("span", "", plain(best.title)));
    link.append(element("small", "", ...marked(best?.excerpt ?? page.excerpt)));
    link.href = target;
    return element("li", "", link);
  }

  function say(text) {
    status.textContent = text;
  }

  let latest = 0;
  let shown = Promise.resolve();

  function update() {
    const query = input.value.trim();
    const mine = ++latest;
    shown = (async () => {
      if (!query) return say(""), list.replaceChildren();
      if (!list.children.length) say(texts.loading);
      try {
        const pages = await find(query);
        if (mine !== latest) return;
        list.replaceChildren(...pages.map(item));
        list.scrollTop = 0;
        say(pages.length === 1 ? texts.one : (pages.length ? texts.other : texts.none).replace("#", pages.length));
      } catch (error) {
        if (mine !== latest) return;
        list.replaceChildren();
        say(navigator.onLine || fromDisk ? texts.failed : texts.disconnected);
      }
    })();
  }

  // The dialog

  function show() {
    if (!dialog.open) dialog.showModal();
    input.select();
    load().catch(update); // while the reader types; a failure is said at once
  }

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    const writing = target.closest?.("input:not([type=checkbox], [type=radio], [type=range]), textarea, select, [contenteditable]");
    const combined = (event.ctrlKey || event.metaKey) && !event.altKey && key.toLowerCase() === "k";
    const single = !event.ctrlKey && !event.metaKey && !event.altKey && "/sf".includes(key) && !writing;
    if (!combined && !single) return;
    if (dialog.open && single) return;
    event.preventDefault();
    show();
  });
  document.querySelector("[data-search-open]").addEventListener("click", show);
  dialog.querySelector("[data-search-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target.closest("a")) dialog.close(); // beside it, or a result
  });
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault(); // a search field would only be emptied
      dialog.close();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const stops = [input, ...list.querySelectorAll("a")];
    const here = stops.indexOf(document.activeElement);
    event.preventDefault();
    stops[Math.min(Math.max(here + step, 0), stops.length - 1)].focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await shown;
    list.querySelector("a")?.click();
  });
  input.addEventListener("input", update);
})();
