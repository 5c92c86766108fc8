/**
 * The translator in a thread of its own, so that the page stays free while it computes.
 *
 * What it is told:
 *   {type: "load", url}                      an absolute address of an exported model
 *   {type: "translate", id, text, options}   options of Model.steps; and steps: true for a message
 *                                            after every token
 *   {type: "tokenize", id, text}
 *
 * What it answers:
 *   {type: "progress", url, loaded, total}   bytes; total is 0 as long as it is not known
 *   {type: "ready", url, config, maxSource, cached}
 *   {type: "step", id, …}                    what Model.steps yields
 *   {type: "translation", id, result}
 *   {type: "tokens", id, tokens}
 *   {type: "error", id or url, code, message}
 *
 * The newest request to translate wins: an older one is left between two tokens and not answered.
 * The codes are those of model.js; "offline", if nothing answers and no copy is kept; "missing", if
 * the server has no such file; and "not-loaded", if no model was asked for.
 *
 * A model that has arrived whole is kept by the Cache API, where there is one, and is used again as
 * long as the server names the same version of the file, or cannot be reached.
 */

import { lengthOf, load } from "./model.js";

const KEPT = "translator";
const models = new Map(); // promises, by address
let current; // the one that was asked for last
let newest = 0; // counts the requests to translate

const failure = (code, message) => Object.assign(new Error(message), { code });
const complain = (about, { code = "failed", message }) =>
  postMessage({ type: "error", ...about, code, message });

addEventListener("message", ({ data }) => {
  const { type, id, url } = data;
  const task = { load: loading, translate: translating, tokenize: tokenizing }[type];
  task?.(data).catch((error) => complain(type === "load" ? { url } : { id }, error));
});

async function loading({ url }) {
  let cached = false;
  if (!models.has(url)) {
    models.set(url, fetched(url).then((found) => {
      cached = found.cached;
      return found.model;
    }));
  }
  current = models.get(url);
  try {
    const { config, maxSource } = await current;
    postMessage({ type: "ready", url, config, maxSource, cached });
  } catch (error) {
    models.delete(url); // the next request tries again
    throw error;
  }
}

async function loaded() {
  if (!current) throw failure("not-loaded", "No model was asked for yet.");
  return current;
}

async function tokenizing({ id, text }) {
  const model = await loaded();
  postMessage({ type: "tokens", id, tokens: model.tokenize(text) });
}

async function translating({ id, text, options = {} }) {
  const turn = ++newest, model = await loaded();
  if (turn !== newest) return;
  const steps = model.steps(text, options);
  for (;;) {
    const { value, done } = steps.next();
    if (done) return postMessage({ type: "translation", id, result: value });
    if (options.steps) postMessage({ type: "step", id, ...value });
    await pause();
    if (turn !== newest) return;
  }
}

/** Lets messages that have arrived be read; a timer would wait for milliseconds. */
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

// Where the model comes from

async function fetched(url) {
  const cache = await globalThis.caches?.open(KEPT).catch(() => undefined);
  const kept = await cache?.match(url).catch(() => undefined);
  if (kept && (await isCurrent(kept, url))) {
    try {
      return { model: await load(await kept.arrayBuffer()), cached: true };
    } catch { // the copy is damaged: another one is fetched
    }
  }
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw failure("offline", "The model could not be fetched, and no copy of it is kept here.");
  }
  if (!response.ok) {
    throw failure("missing", `The model is not on the server, which answers ${response.status}.`);
  }
  const buffer = await received(response, url);
  const model = await load(buffer);
  const headers = ["etag", "last-modified"].flatMap((name) =>
    response.headers.has(name) ? [[name, response.headers.get(name)]] : []);
  await cache?.put(url, new Response(buffer, { headers })).catch(() => {}); // no room is no harm
  return { model, cached: false };
}

/** Whether a copy is the server's version; a server that is not reached has no other. */
async function isCurrent(kept, url) {
  try {
    const response = await fetch(url, { method: "HEAD", cache: "no-cache" });
    const same = (name) => response.headers.get(name) === kept.headers.get(name);
    return !response.ok || (same("etag") && same("last-modified"));
  } catch {
    return true;
  }
}

/** The body of an answer, with messages on the way; its length stands in its first bytes. */
async function received(response, url) {
  const parts = [];
  let loaded = 0, total = 0;
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      total ||= lengthOf(parts[0]) ?? 0;
      postMessage({ type: "progress", url, loaded, total });
    }
  } catch {
    throw failure("offline", "The connection ended before the model had arrived.");
  }
  return new Blob(parts).arrayBuffer();
}
