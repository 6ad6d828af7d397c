/** A clip in the browser's memory: new, or kept by the service and fetched when it is wanted. */

import { cut, decode, peaksOf, toWav } from "./audio.js";

let numClips = 0;

export class Clip {
  #blob;
  #load;
  #drawn = null;

  /**
   * `name` is the file's, `blob` its bytes, or else `load` fetches them; `kept` is the clip's id where the service keeps
   * it beside the adapter.
   */
  constructor({ name, blob = null, load = null, kept = null, durationS = null }) {
    this.key = `clip-${++numClips}`;
    this.name = name;
    this.kept = kept;
    this.durationS = durationS;
    this.trim = null; // {startS, endS}
    this.#blob = blob;
    this.#load = load;
  }

  get sizeBytes() {
    return this.#blob?.size ?? 0;
  }

  /** The bytes as they came, untrimmed. */
  async blob() {
    this.#blob ??= await this.#load();
    return this.#blob;
  }

  /** `{peaks, durationS}`, or null where the browser cannot decode what the service perhaps can. */
  async drawn() {
    this.#drawn ??= this.blob()
      .then(decode)
      .then(({ samples, rateHz }) => ({ peaks: peaksOf(samples), durationS: samples.length / rateHz }))
      .catch(() => null);
    const drawn = await this.#drawn;
    if (drawn) this.durationS = drawn.durationS;
    return drawn;
  }

  /** What is sent: the bytes as they came, or where it is trimmed a WAV of what is left. */
  async upload() {
    const blob = await this.blob();
    if (!this.trim) return { name: this.name, blob };
    return { name: wavName(this.name), blob: toWav(cut(await decode(blob), this.trim.startS, this.trim.endS)) };
  }

  /** A clip of a part of this one. */
  async part(startS, endS) {
    const blob = toWav(cut(await decode(await this.blob()), startS, endS));
    return new Clip({ name: wavName(this.name, `-${startS.toFixed(1)}s`), blob });
  }
}

function wavName(name, suffix = "") {
  return `${name.replace(/\.[^./]*$/, "")}${suffix}.wav`;
}
