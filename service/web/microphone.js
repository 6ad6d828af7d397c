/** The microphone: samples as they come. */

import { t } from "./language.js";

const LEVEL_FLOOR_DB = -60;

/** Whether this page may hear at all: browsers give the microphone to https and to this very machine alone. */
export function canHear() {
  return Boolean(navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode);
}

export class Microphone {
  #context;
  #stream;

  /** Ask for the microphone; `onSamples(samples, rateHz)` then gets each piece of sound until `close`. */
  static async open(onSamples) {
    if (!canHear()) throw new Error(t.microphone.insecure);
    const microphone = new Microphone();
    // What browsers do for speech would take away just the sounds that are to be heard.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    try {
      microphone.#stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new Error(error.name === "NotAllowedError" ? t.microphone.refused : t.microphone.missing, { cause: error });
    }
    const context = (microphone.#context = new AudioContext());
    await context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0, channelCount: 1 });
    recorder.port.onmessage = ({ data }) => onSamples(data, context.sampleRate);
    context.createMediaStreamSource(microphone.#stream).connect(recorder);
    await context.resume();
    return microphone;
  }

  async close() {
    for (const track of this.#stream.getTracks()) track.stop();
    await this.#context.close();
  }
}

/** How loud some samples are, from 0 (-60 dB and less) to 1 (full scale). */
export function levelOf(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const db = 10 * Math.log10(sum / samples.length + 1e-12);
  return Math.max(0, Math.min(1, 1 - db / LEVEL_FLOOR_DB));
}
