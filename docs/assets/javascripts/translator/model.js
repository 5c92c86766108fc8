/**
 * A trained Transformer that translates: tokens, encoder, decoder and search, without a library.
 *
 * It reads the file that snippets/training/export.py writes, and computes what these modules of the
 * repository compute, which are written to be read: data.py (the tokens), ../transformer.py (the
 * model, pre-norm), decode.py (CachedDecoder, greedy_decode, beam_search). It runs in a page, in a
 * Worker and in Node.js, and touches none of them.
 *
 * A matrix is a Float32Array, row after row. What a position leaves for others to read is one
 * object, {key, value}, with a vector of d_model numbers for every layer in each: the cache of
 * keys and values is a list of them, and hypotheses with a common beginning share its objects.
 */

const MAGIC = "translator\r\n";
const VERSION = 1;
const [UNK, START, END] = [1, 2, 3];
const SPACE = "▁"; // what a token has in place of the space in front of a word
const EXTRA = 50; // tokens that a translation may be longer than its source, as in decode.py
const ALPHA = 0.6; // strength of the length penalty, as in translate.py
const MAX_SOURCE = 128;
const ALTERNATIVES = 5;

const failure = (code, message) => Object.assign(new Error(message), { code });

// The file

/**
 * Reads an exported model.
 *
 * @param {ArrayBuffer} buffer The whole file.
 * @returns {Promise<Model>}
 * @throws {Error} With code "damaged", if it is no such file or not all of it is there.
 */
export async function load(buffer) {
  const bytes = new Uint8Array(buffer), view = new DataView(buffer);
  const begin = MAGIC.length + 4 + 4 + 32, length = lengthOf(bytes);
  if (length === undefined) {
    throw failure("damaged", "This file is not a model that was exported for the translator.");
  }
  const version = view.getUint32(MAGIC.length, true);
  if (version !== VERSION) {
    throw failure("damaged", `The model has the format ${version}, and this program reads ${VERSION}.`);
  }
  if (bytes.length !== length) {
    throw failure("damaged", `The model did not arrive whole: ${bytes.length} bytes of ${length}.`);
  }
  const subtle = globalThis.crypto?.subtle; // not where the page came over plain http
  if (subtle) {
    const digest = new Uint8Array(await subtle.digest("SHA-256", bytes.subarray(begin)));
    if (digest.some((byte, i) => byte !== bytes[begin - 32 + i])) {
      throw failure("damaged", "The model did not arrive whole: its checksum is another.");
    }
  }
  try {
    const start = begin + 4 + view.getUint32(begin, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(begin + 4, start)));
    return new Model(header, readTensors(buffer, start, header.tensors));
  } catch (error) {
    throw failure("damaged", `The model cannot be read: ${error.message}`);
  }
}

/**
 * The length of a whole file in bytes, from its beginning.
 *
 * @param {Uint8Array} bytes At least the first 20 bytes.
 * @returns {number | undefined} Undefined, if no exported model begins so.
 */
export function lengthOf(bytes) {
  if (bytes.length < 20 || [...MAGIC].some((c, i) => c.charCodeAt(0) !== bytes[i])) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length + 4, true);
}

const KINDS = { int8: Int8Array, uint16: Uint16Array, float16: Uint16Array, float32: Float32Array };

/** The tensors by their names; int8 times the scale of its row, and half precision, as float32. */
function readTensors(buffer, start, places) {
  const stored = {}, tensors = {};
  for (const { name, shape, kind, offset } of places) {
    stored[name] = new KINDS[kind](buffer, start + offset, shape.reduce((a, b) => a * b, 1));
  }
  for (const { name, shape: [rows, columns], kind } of places) {
    const values = stored[name], scale = stored[`${name}.scale`];
    if (name.endsWith(".scale")) continue;
    if (kind === "int8") {
      tensors[name] = new Float32Array(values.length);
      for (let row = 0, i = 0; row < rows; row++) {
        for (const end = i + columns; i < end; i++) tensors[name][i] = values[i] * scale[row];
      }
    } else {
      tensors[name] = kind === "float16" ? fromHalf(values) : values;
    }
  }
  return tensors;
}

/** Numbers of which the sixteen bits of half precision are given. */
function fromHalf(halves) {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const bits = halves[i], exponent = (bits >> 10) & 31, fraction = (bits & 1023) / 1024;
    const size = exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction;
    values[i] = bits >> 15 ? -size : size;
  }
  return values;
}

// The layers

/** W x + b for each of n rows; W (out, width), b (out) or none. */
function linear(x, n, { weight, bias }) {
  const width = x.length / n, out = weight.length / width, y = new Float32Array(n * out);
  for (let row = 0; row < n; row++) {
    const from = row * width, to = row * out;
    let o = 0;
    for (; o + 4 <= out; o += 4) { // four at once: a sum alone would wait for itself
      const w0 = o * width, w1 = w0 + width, w2 = w1 + width, w3 = w2 + width;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let i = 0; i < width; i++) {
        const value = x[from + i];
        s0 += value * weight[w0 + i];
        s1 += value * weight[w1 + i];
        s2 += value * weight[w2 + i];
        s3 += value * weight[w3 + i];
      }
      y[to + o] = s0;
      y[to + o + 1] = s1;
      y[to + o + 2] = s2;
      y[to + o + 3] = s3;
    }
    for (; o < out; o++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += x[from + i] * weight[o * width + i];
      y[to + o] = sum;
    }
    if (bias) for (o = 0; o < out; o++) y[to + o] += bias[o];
  }
  return y;
}

/** Every row with mean 0 and variance 1, then scaled and shifted. */
function layerNorm(x, n, { weight, bias }) {
  const d_model = weight.length, y = new Float32Array(x.length);
  for (let from = 0; from < n * d_model; from += d_model) {
    let mean = 0, variance = 0;
    for (let i = 0; i < d_model; i++) mean += x[from + i] / d_model;
    for (let i = 0; i < d_model; i++) variance += (x[from + i] - mean) ** 2 / d_model;
    const scale = 1 / Math.sqrt(variance + 1e-5);
    for (let i = 0; i < d_model; i++) y[from + i] = (x[from + i] - mean) * scale * weight[i] + bias[i];
  }
  return y;
}

/** x + sublayer(LayerNorm(x)): the residual of a pre-norm model. */
function residual(x, n, { norm }, sublayer) {
  const y = sublayer(layerNorm(x, n, norm));
  for (let i = 0; i < y.length; i++) y[i] += x[i];
  return y;
}

/** W_2 max(0, W_1 x). */
function feedForward(x, n, { W_1, W_2 }) {
  const hidden = linear(x, n, W_1);
  for (let i = 0; i < hidden.length; i++) if (hidden[i] < 0) hidden[i] = 0;
  return linear(hidden, n, W_2);
}

/** Projects rows to keys and values, and leaves them in the rows' positions under their layer. */
function remember(x, n, { W_k, W_v }, positions, layer) {
  const d_model = x.length / n, keys = linear(x, n, W_k), values = linear(x, n, W_v);
  positions.forEach((position, row) => {
    position.key[layer] = keys.subarray(row * d_model, (row + 1) * d_model);
    position.value[layer] = values.subarray(row * d_model, (row + 1) * d_model);
  });
}

/**
 * Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V in every head, and W_o of the heads together.
 *
 * @param x The rows that ask, (n, d_model).
 * @param seen For every row the positions that it reads; what a mask would hide is not among them.
 * @param silent For every head whether its output is 0.
 * @returns What the rows have read, (n, d_model), and for every row and head its weights.
 */
function attend(x, n, { W_q, W_o }, seen, layer, silent, scaled) {
  const query = linear(x, n, W_q), d_model = x.length / n, n_heads = silent.length;
  const d_k = d_model / n_heads, root = scaled ? Math.sqrt(d_k) : 1;
  const heads = new Float32Array(n * d_model), weights = [];
  for (let row = 0; row < n; row++) {
    const positions = seen[row], n_key = positions.length, of_row = [];
    for (let head = 0; head < n_heads; head++) {
      const from = head * d_k, at = row * d_model + from, weight = new Float32Array(n_key);
      let largest = -Infinity, sum = 0;
      for (let j = 0; j < n_key; j++) {
        const key = positions[j].key[layer];
        let score = 0;
        for (let i = 0; i < d_k; i++) score += query[at + i] * key[from + i];
        weight[j] = score / root;
        if (weight[j] > largest) largest = weight[j];
      }
      for (let j = 0; j < n_key; j++) sum += weight[j] = Math.exp(weight[j] - largest);
      for (let j = 0; j < n_key; j++) {
        const share = (weight[j] /= sum);
        if (silent[head]) continue;
        const value = positions[j].value[layer];
        for (let i = 0; i < d_k; i++) heads[at + i] += share * value[from + i];
      }
      of_row.push(weight);
    }
    weights.push(of_row);
  }
  return [linear(heads, n, W_o), weights];
}

/** PE[pos, 2i] = sin(pos / 10000^(2i / d_model)), PE[pos, 2i + 1] the cosine of the same angle. */
function sinusoidal(position, feature, d_model) {
  const angle = position / 10000 ** ((feature - (feature % 2)) / d_model);
  return Math.fround(feature % 2 ? Math.cos(angle) : Math.sin(angle));
}

/** What a row of logits says: the logarithm of every probability, and the best tokens in order. */
function distribution(logits, count) {
  let largest = -Infinity, sum = 0;
  for (const logit of logits) if (logit > largest) largest = logit;
  for (const logit of logits) sum += Math.exp(logit - largest);
  const normaliser = largest + Math.log(sum), best = [];
  for (let token = 0; token < logits.length; token++) {
    if (best.length === count && logits[token] <= logits[best[count - 1]]) continue;
    let place = best.length; // behind equals, so that of equal tokens the first is the better one
    while (place > 0 && logits[best[place - 1]] < logits[token]) place--;
    best.splice(place, 0, token);
    best.length = Math.min(best.length, count);
  }
  return { best, log_p: (token) => logits[token] - normaliser };
}

const length_penalty = (n) => ((5 + n) / 6) ** ALPHA;

// The model

/** A model in evaluation mode with its vocabulary; `load` makes it. */
export class Model {
  #single; #pieces; #ids; #merges; #special; #longest; #weights = {};

  constructor({ config, special, single }, { merges, ...tensors }) {
    /** src, tgt (languages), d_model, n_heads, n_layers, d_ff, vocab_size, bits. */
    this.config = config;
    /** Tokens that a source may have, without the end token. */
    this.maxSource = MAX_SOURCE;
    this.#pieces = [...special, ...single];
    this.#single = this.#pieces.length;
    this.#merges = new Map();
    for (let i = 0; i < merges.length; i += 2) {
      this.#merges.set(merges[i] * 65536 + merges[i + 1], this.#pieces.length);
      this.#pieces.push(this.#pieces[merges[i]] + this.#pieces[merges[i + 1]]);
    }
    this.#ids = new Map(this.#pieces.map((piece, id) => [piece, id]));
    this.#special = new RegExp(`(${special.join("|")})`);
    this.#longest = Math.max(...this.#pieces.map((piece) => piece.length));
    for (const [name, values] of Object.entries(tensors)) {
      const path = name.split("."), last = path.pop();
      let place = this.#weights;
      for (const step of path) place = place[step] ??= {};
      place[last] = values;
    }
    if (this.#pieces.length !== config.vocab_size) throw new Error("its vocabulary is not whole.");
  }

  // Tokens, as the pipeline of tokenizer.json makes them: NFC, ▁ for spaces, words, merges

  /**
   * Cuts a text into tokens; white space around it counts for nothing.
   *
   * @param {string} text
   * @returns {{id: number, piece: string, start: number, end: number, known: boolean}[]} Where in
   *   the text a token stands, the space before it included; unknown is a character that the
   *   vocabulary lacks.
   * @throws {Error} With code "too-long", for a text that is many times too long.
   */
  tokenize(text) {
    if (text.length > 4 * this.#longest * MAX_SOURCE) throw this.#tooLong();
    const tokens = [];
    let start = text.length - text.trimStart().length;
    for (const part of text.trim().split(this.#special)) {
      if (this.#ids.get(part) < 4) {
        const id = this.#ids.get(part);
        tokens.push({ id, piece: part, start, end: start + part.length, known: id !== UNK });
      } else if (part) {
        for (const word of words(normalised(part, start))) tokens.push(...this.#merged(word));
      }
      start += part.length;
    }
    return tokens;
  }

  /** A word's tokens: its characters, of which the earliest merge joins two, again and again. */
  #merged(word) {
    const tokens = word.map(({ character, start, end }) => ({
      id: this.#ids.get(character) ?? UNK, start, end,
    }));
    for (;;) {
      let first = Infinity, at = -1;
      for (let i = 0; i + 1 < tokens.length; i++) {
        const made = this.#merges.get(tokens[i].id * 65536 + tokens[i + 1].id);
        if (made < first) [first, at] = [made, i];
      }
      if (at < 0) break;
      tokens.splice(at, 2, { id: first, start: tokens[at].start, end: tokens[at + 1].end });
    }
    return tokens.map(({ id, start, end }) => ({
      id, piece: this.#pieces[id], start, end, known: id !== UNK,
    }));
  }

  /** The text of tokens, without the special ones. */
  detokenize(ids) {
    const pieces = ids.filter((id) => id > END).map((id) => this.#pieces[id]);
    return pieces.map((piece, i) => piece.replaceAll(SPACE, i ? " " : "")).join("");
  }

  #tooLong() {
    return failure("too-long", `The text is longer than ${MAX_SOURCE} tokens.`);
  }

  // The forward pass

  /** √d_model E[t], and the encoding of its position; positions count from `start`. */
  #embed(tokens, start, { positions }) {
    const { d_model } = this.config, table = this.#weights.src_embedding.weight;
    const x = new Float32Array(tokens.length * d_model), root = Math.fround(Math.sqrt(d_model));
    tokens.forEach((token, row) => {
      for (let i = 0; i < d_model; i++) {
        const value = Math.fround(table[token * d_model + i] * root);
        x[row * d_model + i] = value + (positions ? sinusoidal(start(row), i, d_model) : 0);
      }
    });
    return x;
  }

  #silent(options, where, layer) {
    return Array.from({ length: this.config.n_heads }, (_, head) =>
      options.off.some((one) => one.where === where && one.layer === layer && one.head === head));
  }

  /** What the decoder reads of a source, with the weights of the encoder's heads in `self`. */
  #encode(ids, options) {
    const { layers, norm } = this.#weights.encoder, n = ids.length;
    const positions = ids.map(emptyPosition), seen = ids.map(() => positions);
    const of_memory = ids.map(emptyPosition);
    let x = this.#embed(ids, (row) => row, options);
    for (let index = 0; index < this.config.n_layers; index++) {
      const layer = layers[index];
      x = residual(x, n, layer.self_attention_residual, (y) => {
        remember(y, n, layer.self_attention, positions, index);
        const silent = this.#silent(options, "encoder", index);
        const [read, weights] = attend(y, n, layer.self_attention, seen, index, silent, options.scaled);
        positions.forEach((position, row) => (position.self[index] = weights[row]));
        return read;
      });
      x = residual(x, n, layer.feed_forward_residual, (y) => feedForward(y, n, layer.feed_forward));
    }
    const memory = layerNorm(x, n, norm);
    for (let index = 0; index < this.config.n_layers; index++) {
      remember(memory, n, this.#weights.decoder.layers[index].cross_attention, of_memory, index);
    }
    return { of_memory, positions };
  }

  /**
   * Runs rows through the decoder.
   *
   * @param x The rows, (n, d_model).
   * @param positions What the rows leave, an empty one each.
   * @param seen For every row the positions of the target that it reads, its own among them.
   * @param of_memory The positions of the source.
   * @returns (n, d_model), normalised, of which the logits are made.
   */
  #decode(x, positions, seen, of_memory, options) {
    const { layers, norm } = this.#weights.decoder, n = positions.length;
    const source = positions.map(() => of_memory);
    for (let index = 0; index < this.config.n_layers; index++) {
      const layer = layers[index];
      x = residual(x, n, layer.self_attention_residual, (y) => {
        remember(y, n, layer.self_attention, positions, index);
        const silent = this.#silent(options, "self", index);
        const [read, weights] = attend(y, n, layer.self_attention, seen, index, silent, options.scaled);
        positions.forEach((position, row) => (position.self[index] = weights[row]));
        return read;
      });
      x = residual(x, n, layer.cross_attention_residual, (y) => {
        const silent = this.#silent(options, "cross", index);
        const [read, weights] = attend(y, n, layer.cross_attention, source, index, silent, options.scaled);
        positions.forEach((position, row) => (position.cross[index] = weights[row]));
        return read;
      });
      x = residual(x, n, layer.feed_forward_residual, (y) => feedForward(y, n, layer.feed_forward));
    }
    return layerNorm(x, n, norm);
  }

  /**
   * Lets every row read one more token; its list of positions grows by one.
   *
   * With the causal mask nothing that earlier positions have computed changes, and only the new one
   * is computed, for all rows at once. Without it every position reads those behind it as well, so
   * that all of a row are computed anew at every step, as `UncachedDecoder` would with no mask.
   *
   * @param rows {tokens, positions}; tokens are what the decoder reads, the start token first.
   * @returns For every row the logits of its next token.
   */
  #step(rows, of_memory, options) {
    const { d_model } = this.config, output = { weight: this.#weights.src_embedding.weight };
    const logits = (x, n) => {
      const y = linear(x, n, output), V = y.length / n;
      return Array.from({ length: n }, (_, row) => y.subarray(row * V, (row + 1) * V));
    };
    if (options.causal) {
      const made = rows.map(emptyPosition);
      rows.forEach((row, r) => (row.positions = [...row.positions, made[r]]));
      const x = this.#embed(rows.map((row) => row.tokens.at(-1)), () => rows[0].tokens.length - 1, options);
      const seen = rows.map((row) => row.positions);
      return logits(this.#decode(x, made, seen, of_memory, options), rows.length);
    }
    return rows.map((row) => {
      row.positions = row.tokens.map(emptyPosition);
      const x = this.#embed(row.tokens, (place) => place, options);
      const seen = row.tokens.map(() => row.positions);
      const y = this.#decode(x, row.positions, seen, of_memory, options);
      return logits(y.subarray(-d_model), 1)[0];
    });
  }

  // Translating

  #options({ beam = 1, off = [], causal = true, positions = true, scaled = true } = {}) {
    const { n_layers, n_heads } = this.config, below = (x, n) => Number.isInteger(x) && x >= 0 && x < n;
    if (!below(beam - 1, Infinity)) throw failure("options", `beam must be at least 1, not ${beam}.`);
    for (const { where, layer, head } of off) {
      if (!["encoder", "self", "cross"].includes(where) || !below(layer, n_layers) || !below(head, n_heads)) {
        throw failure("options", `The model has no head ${head} in layer ${layer} of ${where}.`);
      }
    }
    return { beam, off, causal, positions, scaled };
  }

  /**
   * The logits of every next token of a given target: `Transformer.forward` of one sentence.
   *
   * @param {number[]} src Token ids, the end token last.
   * @param {number[]} tgt Token ids, the start token first.
   * @param {object} [given] As in `translate`.
   * @returns {Float32Array[]} For every token of the target, vocab_size numbers.
   */
  forward(src, tgt, given) {
    const options = this.#options(given), { of_memory } = this.#encode(src, options);
    const row = { tokens: [], positions: [] };
    return tgt.map((token) => {
      row.tokens.push(token);
      return this.#step([row], of_memory, options)[0];
    });
  }

  /**
   * Translates one text; see `steps`, which does it, for the options and the result.
   *
   * @param {string} text
   * @param {object} [options] Those of `steps`, and onstep, which is called with what it yields.
   */
  translate(text, options = {}) {
    const steps = this.steps(text, options);
    for (;;) {
      const { value, done } = steps.next();
      if (done) return value;
      options.onstep?.(value);
    }
  }

  /**
   * Translates one text token by token, and can be left between two of them.
   *
   * With beam 1 the search is greedy_decode of decode.py, otherwise its beam_search, to the letter:
   * no token is forbidden, a translation is at most 50 tokens longer than its source, the search
   * ends when `beam` hypotheses have, and a score is the log-probability over ((5 + n) / 6)^0.6.
   * Of equally likely tokens the one with the smaller number is the better one.
   *
   * @param {string} text
   * @param {object} [options]
   * @param {number} [options.beam] Beginnings that are kept; 1 is greedy.
   * @param {{where: string, layer: number, head: number}[]} [options.off] Heads whose output is 0;
   *   where is "encoder", "self" or "cross".
   * @param {boolean} [options.causal] False takes the causal mask of the decoder away: at every
   *   step all tokens that are written read one another, also those behind them. There is no
   *   answer to copy from, but the model was trained with the mask: what its earlier positions
   *   now hold is nothing that it has learned to read. And they change with each new token, so
   *   that nothing can be kept, and a step costs as much as all steps before it.
   * @param {boolean} [options.positions] False leaves out the positional encoding, on both sides.
   * @param {boolean} [options.scaled] False leaves out 1 / √d_k.
   * @yields {{n: number, limit: number, rows: {text: string, logProbability: number}[],
   *   finished: number}} After the n-th token: the beginnings that go on, and how many have ended.
   * @returns {object} source: the tokens of the text as in `tokenize`, and the end token. target:
   *   for each of the m tokens, of which the end token is the last, {id, piece, probability,
   *   alternatives}; only a greedy search that reaches the limit has no end token. inputs: the m
   *   pieces that the decoder read, the start token and the target without its last. text, score.
   *   attention: encoder[layer][head] (n_src, n_src), self[layer][head] (m, m) and
   *   cross[layer][head] (m, n_src). Row i of the two wrote target[i] and had read inputs[i];
   *   column j of self is inputs[j]. Without the causal mask they are those of the last step,
   *   while the probabilities are those with which the tokens were chosen. tree: nodes {id,
   *   parent, step, token, piece, logProbability, kept, finished} of all 2 beam candidates of a
   *   step; the root is the start token. finished: ended as a hypothesis. kept: that, or gone on
   *   with. best: the nodes of the translation, the root first. hypotheses: {text, score, node},
   *   the best first.
   * @throws {Error} With code "empty", "too-long" or "options".
   */
  *steps(text, given) {
    const options = this.#options(given), { beam } = options;
    const source = this.tokenize(text), n_src = source.length + 1;
    if (!text.trim()) throw failure("empty", "There is no text to translate.");
    if (source.length > MAX_SOURCE) throw this.#tooLong();
    source.push({ ...this.#token(END), start: text.length, end: text.length, known: true });
    const { of_memory, positions } = this.#encode(source.map((token) => token.id), options);
    const limit = n_src + EXTRA, ended = [], nodes = [this.#node(0, null, 0, START, 0)];
    nodes[0].kept = true;
    let rows = [{ tokens: [START], positions: [], node: nodes[0], target: [] }];
    for (let n = 1; rows.length; n++) {
      if (beam === 1 && n > limit) {
        ended.push({ ...rows[0], score: rows[0].node.logProbability / length_penalty(limit) });
        break;
      }
      const candidates = [], all = this.#step(rows, of_memory, options);
      rows.forEach((row, r) => {
        const { best, log_p } = distribution(all[r], Math.max(2 * beam, ALTERNATIVES));
        const likely = best.slice(0, ALTERNATIVES).map((token) => this.#likely(token, log_p(token)));
        for (const token of n > limit ? [END] : best.slice(0, 2 * beam)) {
          const total = row.node.logProbability + log_p(token);
          candidates.push({ row, token, total, target: { ...this.#likely(token, log_p(token)), alternatives: likely } });
        }
      });
      candidates.sort((a, b) => b.total - a.total); // it leaves equals in their order
      const going_on = [];
      candidates.slice(0, 2 * beam).forEach(({ row, token, total, target }, rank) => {
        const node = this.#node(nodes.length, row.node.id, n, token, total);
        nodes.push(node);
        const next = { ...row, node, target: [...row.target, target] };
        if (token !== END) {
          going_on.push({ ...next, tokens: [...row.tokens, token] });
        } else if (rank < beam) {
          node.kept = node.finished = true;
          ended.push({ ...next, score: total / length_penalty(n) });
        }
      });
      rows = ended.length < beam ? going_on.slice(0, beam) : [];
      for (const row of rows) row.node.kept = true;
      yield {
        n, limit, finished: ended.length,
        rows: rows.map(({ tokens, node }) => ({
          text: this.detokenize(tokens), logProbability: node.logProbability,
        })),
      };
    }
    ended.sort((a, b) => b.score - a.score);
    return this.#result(source, positions, ended.slice(0, beam), nodes);
  }

  #token(id) {
    return { id, piece: this.#pieces[id] };
  }

  #likely(token, log_p) {
    return { ...this.#token(token), probability: Math.exp(log_p) };
  }

  #node(id, parent, step, token, logProbability) {
    const { piece } = this.#token(token);
    return { id, parent, step, token, piece, logProbability, kept: false, finished: false };
  }

  #result(source, positions, hypotheses, nodes) {
    const [best] = hypotheses, { n_layers, n_heads } = this.config, path = [];
    const text = ({ target }) => this.detokenize(target.map((token) => token.id));
    const map = (from, name, columns) => Array.from({ length: n_layers }, (_, layer) =>
      Array.from({ length: n_heads }, (_, head) => {
        const matrix = new Float32Array(from.length * columns);
        from.forEach((position, row) => matrix.set(position[name][layer][head], row * columns));
        return matrix;
      }));
    for (let node = best.node; node; node = nodes[node.parent]) path.unshift(node.id);
    const m = best.target.length;
    return {
      source,
      target: best.target,
      inputs: [START, ...best.target.map(({ id }) => id)].slice(0, m).map((id) => this.#pieces[id]),
      text: text(best),
      score: best.score,
      attention: {
        encoder: map(positions, "self", source.length),
        self: map(best.positions, "self", m),
        cross: map(best.positions, "cross", source.length),
      },
      tree: { nodes, best: path },
      hypotheses: hypotheses.map((one) => ({ text: text(one), score: one.score, node: one.node.id })),
    };
  }
}

const emptyPosition = () => ({ key: [], value: [], self: [], cross: [] });

/** The characters of a text in NFC, and where in the whole text each of them comes from. */
function normalised(text, start) {
  let groups = text.match(/[^\p{M}\u1160-\u11ff]?[\p{M}\u1160-\u11ff]*/gsu); // what may compose
  if (groups.map((group) => group.normalize("NFC")).join("") !== text.normalize("NFC")) groups = [text];
  const characters = [];
  for (const group of groups) {
    for (const character of group.normalize("NFC")) {
      characters.push({ character: character === " " ? SPACE : character, start, end: start + group.length });
    }
    start += group.length;
  }
  if (characters[0].character !== SPACE) {
    characters.unshift({ character: SPACE, start: characters[0].start, end: characters[0].start });
  }
  return characters;
}

/**
 * Characters as words, each of which begins with its ▁. Punctuation needs no word of its own: it
 * had one when the merges were learned, so that none of them joins it to anything.
 */
function words(characters) {
  const found = [];
  for (const one of characters) {
    if (one.character === SPACE) found.push([one]);
    else found.at(-1).push(one);
  }
  return found;
}
