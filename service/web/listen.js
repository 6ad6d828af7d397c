/** Listen: the microphone, heard live, window by window. */

import { bars } from "./bars.js";
import { joined, toWav } from "./audio.js";
import { Clip } from "./clip.js";
import { playButton } from "./clip-row.js";
import { h, newId, show } from "./dom.js";
import { t } from "./language.js";
import { Microphone, levelOf } from "./microphone.js";
import { announce, problem } from "./problem.js";
import { verdict } from "./result-card.js";
import { state } from "./state.js";
import { correction, tray } from "./tray.js";

const MAX_EVENTS = 50;
const MAX_WAITING = 2; // windows; a service that is slower than that leaves some out

let windowS = 3;

/** Returns what ends the listening, for when another section is opened. */
export function listen(section) {
  const id = newId("window");
  const said = h("output", { class: "num", for: id }, t.seconds(windowS));
  const slider = h("input", { id, type: "range", min: 1, max: 10, step: 1, value: windowS, on: { input: setWindow } });
  const meter = h("meter", { min: 0, max: 1, low: 0.1, high: 0.92, optimum: 0.5, "aria-label": t.record.level });
  const control = h("button", { type: "button", class: "primary record", on: { click: () => (ear ? end() : begin()) } }, t.listen.start);
  const now = h("div", { class: "card now" }, h("p", { class: "small" }, t.listen.quiet));
  const list = h("ol", { class: "events" });
  const place = h("div");
  const late = h("p", { class: "small", role: "status" });
  let ear = null;
  show(
    section,
    h("h1", {}, t.listen.title(state.name)),
    h("div", { class: "row" }, control, meter, h("span", { class: "field-row" }, h("label", { for: id }, t.listen.window), slider, said)),
    place,
    now,
    late,
    h("h2", {}, t.listen.events),
    list,
    tray(),
  );
  return end;

  function setWindow() {
    windowS = Number(slider.value);
    show(said, t.seconds(windowS));
  }

  async function begin() {
    show(place);
    control.disabled = true;
    try {
      ear = new Ear((samples) => (meter.value = levelOf(samples)), heard, failed);
      await ear.open();
      control.classList.add("is-on");
      show(control, t.listen.stop);
    } catch (error) {
      ear = null;
      show(place, problem(error));
    } finally {
      control.disabled = false;
    }
  }

  function end() {
    ear?.close();
    ear = null;
    meter.value = 0;
    control.classList.remove("is-on");
    show(control, t.listen.start);
  }

  function failed(error) {
    end();
    show(place, problem(error));
  }

  function heard(blob, result, numLeftOut) {
    show(now, verdict(result), bars(result));
    show(late, numLeftOut ? t.listen.late(numLeftOut) : null);
    if (result.unknown) return void (list.lastLabel = null);
    if (list.lastLabel === result.label) return list.firstElementChild.goOn(result);
    list.lastLabel = result.label;
    list.prepend(eventRow(blob, result));
    announce(result.label);
    while (list.childElementCount > MAX_EVENTS) list.lastElementChild.remove();
  }
}

/** One sound that was heard, for as long as it goes on. */
function eventRow(blob, result) {
  const startedAt = new Date();
  const clip = new Clip({ name: `${t.listen.file} ${t.clock(startedAt)}.wav`, blob });
  const seconds = h("span", { class: "num small" }, t.seconds(result.duration_s));
  const outcome = h("span", { class: "small", role: "status" });
  const labels = state.adapter?.adapter.labels ?? [];
  const put = (label) => {
    state.corrections.add(label, clip);
    show(outcome, t.tray.noted(label ?? t.teach.background));
  };
  const time = h("time", { class: "num small", datetime: startedAt.toISOString() }, t.clock(startedAt));
  const row = h("li", { class: "row" }, time, h("b", {}, result.label), h("span", { class: "num small" }, t.percent(result.score)), seconds, playButton(clip), correction(labels, put), outcome);
  let durationS = result.duration_s;
  row.goOn = (next) => show(seconds, t.seconds((durationS += next.duration_s)));
  return row;
}

/** Gathers windows from the microphone and has them classified one after another. */
class Ear {
  #chunks = [];
  #count = 0;
  #waiting = [];
  #isAsking = false;
  #numLeftOut = 0;
  #ending = new AbortController();

  constructor(onSamples, onHeard, onError) {
    Object.assign(this, { onSamples, onHeard, onError });
  }

  async open() {
    this.microphone = await Microphone.open((samples, rateHz) => this.#take(samples, rateHz));
    if (this.#ending.signal.aborted) await this.microphone.close();
  }

  close() {
    this.#ending.abort();
    this.microphone?.close();
  }

  #take(samples, rateHz) {
    if (this.#ending.signal.aborted) return;
    this.onSamples(samples);
    this.#chunks.push(samples);
    this.#count += samples.length;
    if (this.#count < windowS * rateHz) return;
    this.#waiting.push(toWav({ samples: joined(this.#chunks), rateHz }));
    [this.#chunks, this.#count] = [[], 0];
    if (this.#waiting.length > MAX_WAITING) {
      this.#waiting.shift();
      this.#numLeftOut++;
    }
    this.#ask();
  }

  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { signal } = this.#ending;
    try {
      while (this.#waiting.length && !signal.aborted) {
        const blob = this.#waiting.shift();
        const result = await state.client.classify(state.name, blob, { signal });
        if (!signal.aborted) this.onHeard(blob, result, this.#numLeftOut);
      }
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    } finally {
      this.#isAsking = false;
    }
  }
}
