/** Record from the microphone, with a level to see that it hears. */

import { joined, toWav } from "./audio.js";
import { Clip } from "./clip.js";
import { h, show } from "./dom.js";
import { t } from "./language.js";
import { Microphone, levelOf } from "./microphone.js";
import { announce, problem } from "./problem.js";
import { state } from "./state.js";

let numRecordings = 0;
let stopLast = async () => {};

/** End the recording that is under way, if there is one; its clip goes where it was meant for. */
export async function stopRecording() {
  await stopLast();
}

/** A button that records until it is pressed again, and the meter beside it; `onClip` gets each recording. */
export function recordButton(onClip, { name = t.record.start } = {}) {
  let recording = null;
  const text = h("span", {}, name);
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const control = h("button", { type: "button", class: "record", on: { click: () => (recording ? end() : begin()) } }, dot, text);
  const meter = h("meter", { min: 0, max: 1, low: 0.1, high: 0.92, optimum: 0.5, "aria-label": t.record.level, hidden: true });
  const place = h("div");

  async function begin() {
    show(place);
    control.disabled = true;
    const chunks = [];
    let numSamples = 0;
    const take = (samples, rateHz) => {
      if (!recording) return;
      recording.rateHz = rateHz;
      chunks.push(samples);
      numSamples += samples.length;
      meter.value = levelOf(samples);
      text.textContent = t.record.stop(numSamples / rateHz);
      if (numSamples / rateHz >= (state.limits.max_clip_s ?? 600)) end();
    };
    try {
      await stopRecording();
      const microphone = await Microphone.open(take);
      recording = { microphone, chunks, rateHz: null };
      stopLast = end;
      mark(true);
    } catch (error) {
      show(place, problem(error));
    } finally {
      control.disabled = false;
    }
  }

  async function end() {
    const { microphone, chunks, rateHz } = recording;
    recording = null;
    stopLast = async () => {};
    mark(false);
    await microphone.close();
    if (!chunks.length) return;
    const blob = toWav({ samples: joined(chunks), rateHz });
    announce(t.record.done);
    onClip(new Clip({ name: `${t.record.file} ${++numRecordings}.wav`, blob }));
  }

  function mark(is) {
    control.classList.toggle("is-on", is);
    control.setAttribute("aria-pressed", String(is));
    meter.hidden = !is;
    text.textContent = is ? t.record.stop(0) : name;
    if (is) announce(t.record.started);
  }

  return h("span", { class: "recorder" }, control, meter, place);
}
