// Loads the search, its worker and its index, when the reader turns to it and not with every page:
// together they weigh more than the page. Material asks for both at once; they wait here until then.
(() => {
  const searching = new Promise((resolve) => {
    if (new URLSearchParams(location.search).has("h")) resolve(); // a result, to be highlighted
    for (const event of ["focusin", "change"]) {
      document.addEventListener(event, ({ target }) => {
        if (target.id === "__search" || target.closest?.(".md-search")) resolve();
      });
    }
  });

  const { open, send } = XMLHttpRequest.prototype;
  const indexRequests = new WeakSet();
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (String(url).endsWith("/search/search_index.json")) indexRequests.add(this);
    return open.call(this, method, url, ...rest);
  };
  XMLHttpRequest.prototype.send = function (...body) {
    if (indexRequests.has(this)) searching.then(() => send.apply(this, body));
    else send.apply(this, body);
  };

  const NativeWorker = window.Worker;
  window.Worker = function (url, options) {
    if (!String(url).includes("/workers/search.")) return new NativeWorker(url, options);
    const relay = new EventTarget();
    const ready = searching.then(() => {
      const worker = new NativeWorker(url, options);
      worker.addEventListener("message", ({ data }) => {
        relay.dispatchEvent(new MessageEvent("message", { data }));
      });
      return worker;
    });
    relay.postMessage = (message) => ready.then((worker) => worker.postMessage(message));
    return relay;
  };
})();
