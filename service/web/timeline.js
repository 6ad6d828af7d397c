/** A long clip: its windows over its waveform, each to be heard and to be put right. */

import { bars } from "./bars.js";
import { baseName } from "./clip-row.js";
import { h, show } from "./dom.js";
import { t } from "./language.js";
import { play } from "./player.js";
import { problem } from "./problem.js";
import { state } from "./state.js";
import { correction } from "./tray.js";
import { waveform } from "./waveform.js";

const NUM_COLOURS = 6;
const LANE_REM = 2.5;

export function timeline(clip, result, labels) {
  const canvas = waveform(clip, { height: 72, className: "is-tall" });
  const place = h("div", { class: "window", "aria-live": "polite" });
  const lanes = lanesOf(result.windows);
  const buttons = result.windows.map((window, i) => {
    const control = h(
      "button",
      { type: "button", class: `span ${colourOf(window, labels)}`, "aria-label": t.timeline.window(window, baseName(clip.name)), on: { click: () => hear(window) } },
      h("span", { "aria-hidden": "true" }, window.unknown ? t.unknownShort : window.label),
    );
    control.style.left = `${(100 * window.start_s) / result.duration_s}%`;
    control.style.width = `${(100 * (window.end_s - window.start_s)) / result.duration_s}%`;
    control.style.top = `${lanes[i] * LANE_REM}rem`;
    return control;
  });
  const spans = h("div", { class: "spans" }, buttons);
  spans.style.height = `${(Math.max(...lanes) + 1) * LANE_REM}rem`;
  return h("div", { class: "timeline" }, canvas, spans, h("p", { class: "small" }, t.timeline.hint), place);

  async function hear(window) {
    const { start_s: startS, end_s: endS } = window;
    const outcome = h("span", { class: "small", role: "status" });
    show(place, h("p", {}, t.timeline.chosen(window)), bars(window), h("p", { class: "row" }, correction(labels, (label) => correct(window, label, outcome)), outcome));
    canvas.draw({ startS, endS });
    try {
      const onTime = (atS) => canvas.draw({ startS, endS, atS });
      await play(await clip.blob(), { startS, endS, onTime, onEnd: () => canvas.draw({ startS, endS }) });
    } catch {
      show(outcome, t.clip.unplayable(clip.name));
    }
  }

  async function correct({ start_s: startS, end_s: endS }, label, outcome) {
    try {
      state.corrections.add(label, await clip.part(startS, endS));
      show(outcome, t.tray.noted(label ?? t.teach.background));
    } catch {
      show(outcome, problem({ detail: t.clip.undrawable }));
    }
  }
}

/** Windows overlap; each lies in the first lane that is free where it begins. */
function lanesOf(windows) {
  const ends = [];
  return windows.map(({ start_s: startS, end_s: endS }) => {
    const free = ends.findIndex((end) => end <= startS);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = endS;
    return lane;
  });
}

export function colourOf(answer, labels) {
  return answer.unknown ? "is-unknown" : `colour-${Math.max(0, labels.indexOf(answer.label)) % NUM_COLOURS}`;
}
