// The translator's worker, seen from the page: requests as promises.

/**
 * One direction's model in a worker of its own.
 *
 * @param {string} url of its file
 * @param {(message: string) => void} broken is called when the worker itself fails
 */
export function connect(url, broken) {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let loading, last = 0, translating;
  worker.addEventListener("message", ({ data }) => {
    const asked = data.id === undefined ? loading : waiting.get(data.id);
    if (!asked) return;
    if (data.type === "progress" || data.type === "step") asked.follow?.(data);
    else if (data.type === "error") asked.reject(Object.assign(new Error(data.message), { code: data.code }));
    else asked.resolve(data.tokens ?? data.result ?? data);
  });
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    broken(event.message ?? "");
  });
  const ask = (message, follow) => {
    const id = ++last;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject, follow });
      worker.postMessage({ id, ...message });
    }).finally(() => waiting.delete(id));
  };
  return {
    load: (follow) =>
      new Promise((resolve, reject) => {
        loading = { resolve, reject, follow };
        worker.postMessage({ type: "load", url });
      }),
    tokenize: (text) => ask({ type: "tokenize", text }),
    translate(text, options, follow) {
      waiting.delete(translating); // the worker leaves it for the newer one, without an answer
      translating = last + 1;
      return ask({ type: "translate", text, options: { ...options, steps: Boolean(follow) } }, follow);
    },
    close: () => worker.terminate(),
  };
}
