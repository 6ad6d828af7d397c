/**
 * A client of earshot for browsers and Node 20 or later: one file, no dependency.
 *
 *     import { Earshot } from "./earshot.js";
 *     const earshot = new Earshot({ url: "http://127.0.0.1:8000", key: "..." });
 *     await earshot.teach("farm", { rain: ["rain-1.wav", "rain-2.wav"], rooster: [blob] });
 *     for (const heard of await earshot.classify("farm", files)) console.log(heard.file, heard.label, heard.unknown);
 *
 * A clip is a File, a Blob, bytes, or in Node the path of a file or of a folder of them.
 */

const TRIED_AGAIN = new Set([408, 425, 429, 502, 503, 504]);
const TOO_MUCH = new Set(["body_too_large", "too_many_files", "too_many_windows"]);
const BACKGROUND = new Set(["background", "_background"]);
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
const FORM_BYTES_PER_FILE = 1024; // what a form adds around a file, at most
const FILES_PER_BATCH = 16; // few enough to see progress, many enough to fill the model's batches

/** An error that the service named: `code` is for programs, `detail` a sentence for people. */
export class EarshotError extends Error {
  constructor(problem, { status = null, retryAfterS = null, job = null, cause } = {}) {
    super(problem.detail || problem.title || problem.code, { cause });
    this.name = "EarshotError";
    this.code = problem.code;
    this.detail = this.message;
    this.status = status;
    this.limit = problem.limit ?? null;
    this.requestId = problem.request_id ?? null;
    this.retryAfterS = retryAfterS;
    this.job = job;
  }
}

export class Earshot {
  #url;
  #fetch;
  #retries;
  #concurrency;
  #info = null;

  /** `key` may be changed at any time; the other options are explained in earshot.d.ts. */
  constructor({ url, key, fetch: fetching, retries = 5, concurrency = 2 } = {}) {
    const environment = globalThis.process?.env ?? {};
    const given = String(url ?? environment.EARSHOT_URL ?? "http://127.0.0.1:8000");
    this.#url = new URL(given.endsWith("/") ? given : `${given}/`);
    this.#fetch = fetching ?? ((...request) => globalThis.fetch(...request));
    this.#retries = retries;
    this.#concurrency = Math.max(1, concurrency);
    this.key = key ?? environment.EARSHOT_API_KEY ?? null;
  }

  // What it is taught with

  /** Teach an adapter `{label: clips}`, or in Node a folder with one for each label; resolves to the job when it has succeeded, or at once with `wait: false`. */
  async teach(name, sounds, options = {}) {
    const { background, base, remove, relabel, channel, keep, promote, method, description, unlabelled } = options;
    const form = new FormData();
    form.append("name", name);
    await appendSounds(form, sounds, background);
    const texts = { base, channel, keep, promote, method, description };
    for (const [field, text] of Object.entries(texts)) if (text != null) form.append(field, text);
    if (remove?.length) form.append("remove", JSON.stringify([...remove]));
    if (relabel && Object.keys(relabel).length) form.append("relabel", JSON.stringify(relabel));
    for (const clip of await clipsOf(unlabelled)) form.append("unlabelled", clip.blob, clip.name);
    return this.#submit("adapt", form, options);
  }

  /** Teach further clips on top of what the adapter was taught with. */
  async add(name, sounds, options = {}) {
    return this.teach(bare(name), sounds, { ...options, base: options.base ?? name });
  }

  /** Teach again with clips left out (`remove`: ids) or put under another label (`relabel`: {id: label}). */
  async correct(name, { remove, relabel, ...options } = {}) {
    return this.add(name, {}, { ...options, remove, relabel });
  }

  // What it hears

  /**
   * Classify one clip, or any number of them, in batches that the service takes.
   *
   * Resolves to one result for one clip, and for a list or a folder to a list in the same order, in which a clip that
   * could not be used has `error`. `adapter` may be null where `labels` are given.
   */
  async classify(adapter, clips, options = {}) {
    const { onProgress = () => {}, signal } = options;
    const all = await clipsOf(clips);
    const isOne = !Array.isArray(clips) && all.length === 1 && !all[0].inFolder;
    const batches = splitIntoBatches(all, (await this.info({ signal })).limits);
    let numDone = 0;
    const classifyBatch = async (batch) => {
      const results = await this.#classifyBatch(adapter, batch, options, isOne);
      onProgress({ done: (numDone += batch.length), total: all.length, results });
      return results;
    };
    const results = (await inParallel(batches, this.#concurrency, classifyBatch)).flat();
    return isOne ? results[0] : results;
  }

  /** Have a zip or tar of clips classified by a job; `results` fetches what it found. */
  async classifyArchive(adapter, archive, options = {}) {
    const [{ blob, name }] = await clipsOf([archive]);
    const form = new FormData();
    form.append("adapter", adapter);
    form.append("archive", blob, name);
    return this.#submit("classify", form, options);
  }

  async #classifyBatch(adapter, batch, options, isOne) {
    const form = new FormData();
    if (adapter != null) form.append("adapter", adapter);
    if (options.labels?.length) form.append("labels", JSON.stringify(options.labels));
    const texts = { top_k: options.topK, threshold: options.threshold, template: options.template };
    for (const [field, value] of Object.entries(texts)) if (value != null) form.append(field, String(value));
    if (options.thresholds) form.append("thresholds", JSON.stringify(options.thresholds));
    if (options.windows) form.append("windows", "true");
    for (const clip of batch) form.append("audio", clip.blob, clip.name);
    try {
      const answer = await this.#json("POST", "classify", { body: form, signal: options.signal });
      return answer.results.map((result) => ({ ...result, adapter: answer.adapter }));
    } catch (error) {
      if (!(error instanceof EarshotError) || isOne) throw error;
      if (batch.length > 1 && TOO_MUCH.has(error.code)) {
        const middle = batch.length >> 1;
        const halves = [batch.slice(0, middle), batch.slice(middle)];
        return (await inParallel(halves, 1, (half) => this.#classifyBatch(adapter, half, options, false))).flat();
      }
      if (batch.length === 1 && isOfTheClip(error)) return [{ file: batch[0].name, error: faultOf(error) }];
      throw error;
    }
  }

  /** Try an adapter on labelled clips that it was not taught with; resolves to the job, whose `report` tells. */
  async evaluate(ref, sounds, options = {}) {
    const form = new FormData();
    await appendSounds(form, sounds, options.background);
    if (options.against != null) form.append("against", options.against);
    return this.#submit(`adapters/${encodeURIComponent(ref)}/evaluate`, form, options);
  }

  /** Fit an adapter to the channel of unlabelled clips, or of what it has heard lately where there are none. */
  async recalibrate(ref, clips = [], options = {}) {
    const form = new FormData();
    const live = await clipsOf(clips);
    for (const clip of live) form.append("audio", clip.blob, clip.name);
    if (options.promote != null) form.append("promote", options.promote);
    const body = live.length || options.promote != null ? form : undefined;
    return this.#submit(`adapters/${encodeURIComponent(ref)}/recalibrate`, body, options);
  }

  // Adapters

  /** Every adapter, whatever their number. */
  async adapters(options = {}) {
    return this.#all("adapters", "adapters", options);
  }

  async adapter(ref, options = {}) {
    return this.#json("GET", `adapters/${encodeURIComponent(ref)}`, options);
  }

  /** Every version of an adapter, in ascending order. */
  async versions(name, options = {}) {
    return this.#all(`adapters/${encodeURIComponent(name)}/versions`, "versions", options);
  }

  /** Have the bare name mean that version: promotes, and rolls back. */
  async promote(name, version, options = {}) {
    return this.#json("PUT", `adapters/${encodeURIComponent(name)}/current`, { ...options, json: { version } });
  }

  /** Make a version with other thresholds: `{label: number}` or `{sensitivity: "high"}`. */
  async setThresholds(ref, thresholds, options = {}) {
    return this.#json("PUT", `adapters/${encodeURIComponent(ref)}/thresholds`, { ...options, json: thresholds });
  }

  /** Delete an adapter, or with `name@3` that version. */
  async deleteAdapter(ref, options = {}) {
    await this.#send("DELETE", `adapters/${encodeURIComponent(ref)}`, options);
  }

  /** The adapter's file. */
  async exportFile(ref, options = {}) {
    return (await this.#send("GET", `adapters/${encodeURIComponent(ref)}/file`, options)).blob();
  }

  /** Take an exported file as the adapter's next version. */
  async importFile(name, file, options = {}) {
    const [{ blob }] = await clipsOf([file]);
    const headers = { "Content-Type": "application/octet-stream" };
    return this.#json("POST", `adapters/${encodeURIComponent(name)}/file`, { ...options, body: blob, headers });
  }

  /** The clips that a version was taught with, as far as they are kept. */
  async clips(ref, options = {}) {
    return this.#all(`adapters/${encodeURIComponent(ref)}/clips`, "clips", options);
  }

  async clipAudio(ref, id, options = {}) {
    return (await this.#send("GET", `adapters/${encodeURIComponent(ref)}/clips/${id}`, options)).blob();
  }

  /** Erase what is kept of one clip, or of all of them. */
  async deleteClips(ref, id = null, options = {}) {
    const path = `adapters/${encodeURIComponent(ref)}/clips`;
    await this.#send("DELETE", id === null ? path : `${path}/${id}`, options);
  }

  // Jobs

  /** The newest jobs, at most `limit`. */
  async jobs({ limit = 50, signal } = {}) {
    return (await this.#json("GET", `jobs?limit=${limit}`, { signal })).jobs;
  }

  async job(id, options = {}) {
    return this.#json("GET", `jobs/${encodeURIComponent(id)}`, options);
  }

  async cancel(id, options = {}) {
    return this.#json("DELETE", `jobs/${encodeURIComponent(id)}`, options);
  }

  /** What a job that classified an archive found: "jsonl", "csv", or "audacity", a zip of label tracks. */
  async results(id, format = "jsonl", options = {}) {
    return (await this.#send("GET", `jobs/${encodeURIComponent(id)}/results?format=${format}`, options)).blob();
  }

  /**
   * A job at each of its changes, as `{id, job}`, until it ends.
   *
   * A stream that breaks off is taken up after the last event; `after` does so from an event of an earlier call.
   */
  async *events(id, { after = null, signal } = {}) {
    let numFailures = 0;
    while (true) {
      let numEvents = 0;
      try {
        const headers = { Accept: "text/event-stream", ...(after && { "Last-Event-ID": after }) };
        const answer = await this.#send("GET", `jobs/${encodeURIComponent(id)}/events`, { headers, signal });
        for await (const event of parseEvents(answer.body)) {
          numEvents++;
          after = event.id ?? after;
          const job = JSON.parse(event.data);
          yield { id: after, job };
          if (ENDED.has(job.state)) return;
        }
        // A stream without any event: the service goes away just now, or `after` was the last one of all.
        if (numEvents === 0 && ENDED.has((await this.job(id, { signal })).state)) return;
      } catch (error) {
        if (error instanceof EarshotError || signal?.aborted || numFailures >= this.#retries) throw error;
      }
      numFailures = numEvents ? 0 : numFailures + 1;
      if (numFailures) await pause(waitMs(numFailures), signal);
    }
  }

  /** Wait for a job; resolves to it when it has succeeded, and raises its error where it has not. */
  async wait(id, { onProgress = () => {}, signal } = {}) {
    let last = null;
    for await (const { job } of this.events(id, { signal })) onProgress((last = job));
    if (!last) last = await this.job(id, { signal }); // its events have been forgotten
    if (last.state === "succeeded") return last;
    const fault = last.error ?? { code: `job_${last.state}`, detail: `The job was ${last.state}.` };
    throw new EarshotError(fault, { job: last });
  }

  // The service

  /** What runs there, and its limits; asked for once. */
  async info({ refresh = false, signal } = {}) {
    if (refresh || !this.#info) this.#info = await this.#json("GET", "info", { signal });
    return this.#info;
  }

  async #submit(path, form, { wait = true, onProgress, signal, idempotencyKey = newKey() }) {
    const headers = { "Idempotency-Key": idempotencyKey };
    const job = await this.#json("POST", path, { body: form, headers, signal });
    onProgress?.(job);
    return wait ? this.wait(job.id, { onProgress, signal }) : job;
  }

  async #all(path, field, { signal } = {}) {
    const rows = [];
    let after = null;
    do {
      const page = await this.#json("GET", after === null ? path : `${path}?after=${encodeURIComponent(after)}`, { signal });
      rows.push(...page[field]);
      after = page.next;
    } while (after != null);
    return rows;
  }

  async #json(method, path, options) {
    return (await this.#send(method, path, options)).json();
  }

  /** Send a request until it is answered: what is refused for now is sent again when the answer says so. */
  async #send(method, path, { body, json, headers = {}, signal } = {}) {
    const request = { method, body: json === undefined ? body : JSON.stringify(json), headers: { ...headers }, signal };
    if (json !== undefined) request.headers["Content-Type"] = "application/json";
    if (this.key) request.headers.Authorization = `Bearer ${this.key}`;
    for (let numRetries = 0; ; numRetries++) {
      let error;
      try {
        const answer = await this.#fetch(new URL(path, this.#url), request);
        if (answer.ok) return answer;
        error = await problemOf(answer);
      } catch (cause) {
        if (signal?.aborted) throw cause;
        error = new EarshotError({ code: "unreachable", detail: `${this.#url.origin} does not answer.` }, { cause });
      }
      if (numRetries >= this.#retries || !isForNow(error)) throw error;
      await pause(error.retryAfterS === null ? waitMs(numRetries) : error.retryAfterS * 1000, signal);
    }
  }
}

/** Whether the same request may be answered later. */
function isForNow(error) {
  if (error.code === "unreachable") return true;
  return TRIED_AGAIN.has(error.status) || error.code === "idempotency_in_flight";
}

/** Whether an error is about the one clip that was sent, and not about the call. */
function isOfTheClip(error) {
  return error.code.startsWith("audio_") || TOO_MUCH.has(error.code);
}

function faultOf(error) {
  return { code: error.code, detail: error.detail };
}

async function problemOf(answer) {
  const seconds = Number.parseFloat(answer.headers.get("Retry-After") ?? "");
  const text = await answer.text();
  let problem = null;
  try {
    problem = JSON.parse(text);
  } catch {
    // Of a proxy in between, which does not speak of problems.
  }
  if (!problem?.code) problem = { code: `http_${answer.status}`, detail: `${answer.status} ${answer.statusText}`.trim() };
  return new EarshotError(problem, { status: answer.status, retryAfterS: Number.isNaN(seconds) ? null : seconds });
}

async function appendSounds(form, sounds, background) {
  const isFolder = typeof sounds === "string" || sounds instanceof URL;
  for (const [label, clips] of Object.entries(isFolder ? await readFolders(sounds) : (sounds ?? {}))) {
    for (const clip of await clipsOf(clips)) {
      if (isFolder && BACKGROUND.has(label.toLowerCase())) {
        form.append("background", clip.blob, clip.name);
        continue;
      }
      form.append("clips", clip.blob, clip.name);
      form.append("labels", JSON.stringify([label])); // an array, for a label may look like one
    }
  }
  for (const clip of await clipsOf(background)) form.append("background", clip.blob, clip.name);
}

/** Clips as `{blob, name, inFolder}`; a folder is every file in it, at any depth. */
async function clipsOf(given) {
  const clips = [];
  for (const item of Array.isArray(given) ? given : given == null ? [] : [given]) {
    if (item instanceof Blob) clips.push({ blob: item, name: item.name ?? `clip-${clips.length + 1}` });
    else if (item?.blob instanceof Blob) clips.push({ blob: item.blob, name: item.name ?? `clip-${clips.length + 1}` });
    else if (item instanceof ArrayBuffer || ArrayBuffer.isView(item)) {
      clips.push({ blob: new Blob([item]), name: `clip-${clips.length + 1}` });
    } else if (typeof item === "string" || item instanceof URL) clips.push(...(await readPath(item)));
    else throw new TypeError("A clip is a File, a Blob, bytes, or in Node a path.");
  }
  return clips;
}

/** The folders in a folder, by name. */
async function readFolders(path) {
  const { fs, join, start } = await opened(path);
  const folders = fs.readdirSync(start, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return Object.fromEntries(folders.map(({ name }) => [name, join(start, name)]).sort());
}

async function opened(path) {
  if (!globalThis.process?.versions?.node) throw new TypeError("A browser opens no paths: give Files or Blobs.");
  const [fs, { join, relative }, { fileURLToPath }] = await Promise.all(["fs", "path", "url"].map((name) => import(`node:${name}`)));
  return { fs, join, relative, start: path instanceof URL ? fileURLToPath(path) : path };
}

async function readPath(path) {
  const { fs, join, relative, start } = await opened(path);
  if (!fs.statSync(start).isDirectory()) return [{ blob: await fs.openAsBlob(start), name: start }];
  const entries = fs.readdirSync(start, { recursive: true, withFileTypes: true });
  const isShown = (entry) => entry.isFile() && !entry.name.startsWith(".");
  const paths = entries.filter(isShown).map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  const open = async (each) => ({ blob: await fs.openAsBlob(each), name: relative(start, each), inFolder: true });
  return Promise.all(paths.map(open));
}

function splitIntoBatches(clips, limits) {
  const maxFiles = Math.min(limits.max_files ?? FILES_PER_BATCH, FILES_PER_BATCH);
  const maxBytes = limits.max_request_bytes ?? Infinity;
  const batches = [];
  let size = Infinity;
  for (const clip of clips) {
    const added = clip.blob.size + FORM_BYTES_PER_FILE;
    if (size + added > maxBytes || batches.at(-1).length >= maxFiles) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1).push(clip);
    size += added;
  }
  return batches;
}

/** `work` of each item, `concurrency` of them at a time; the results in the items' order. */
async function inParallel(items, concurrency, work) {
  const results = new Array(items.length);
  let next = 0;
  const runner = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, runner));
  return results;
}

/** Server-sent events out of a body: https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function* parseEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let event = { id: null, data: [] };
  try {
    while (true) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (text + value).split(/\r\n|\n|\r(?!$)/);
      text = lines.pop();
      for (const line of lines) {
        const colon = line.indexOf(":");
        const field = colon < 0 ? line : line.slice(0, colon);
        const content = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
        if (field === "data") event.data.push(content);
        else if (field === "id") event.id = content;
        else if (line === "") {
          if (event.data.length) yield { id: event.id, data: event.data.join("\n") };
          event = { id: event.id, data: [] };
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function bare(ref) {
  return ref.split("@")[0];
}

function newKey() {
  // crypto.randomUUID exists in secure contexts alone, and a page may be served over plain HTTP.
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function waitMs(numFailures) {
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** numFailures);
  return wait * (0.5 + Math.random() / 2);
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
