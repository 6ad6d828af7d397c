/** What was heard in one clip. */

import { bars } from "./bars.js";
import { baseName, playButton } from "./clip-row.js";
import { h, show } from "./dom.js";
import { t } from "./language.js";
import { problem } from "./problem.js";
import { state } from "./state.js";
import { timeline } from "./timeline.js";
import { correction } from "./tray.js";
import { waveform } from "./waveform.js";

export function resultCard(clip, result, labels) {
  const name = h("p", { class: "clip-name small" }, baseName(clip.name));
  if (result.error) return h("article", { class: "card" }, name, problem(result.error));
  const isLong = (result.windows?.length ?? 0) > 1;
  const canvas = isLong ? null : waveform(clip, { height: 56, className: "is-tall" });
  const outcome = h("p", { class: "small", role: "status" });
  const flags = ["silent", "truncated", "damaged"].filter((flag) => result[flag]).map((flag) => t.result.flags[flag]);
  return h(
    "article",
    { class: "card result", "aria-label": baseName(clip.name) },
    h("div", { class: "row" }, !isLong && playButton(clip, canvas), isLong ? verdictOfWindows(result.windows) : verdict(result), name),
    flags.length > 0 && h("p", { class: "small notice" }, flags.join(" ")),
    canvas,
    isLong && timeline(clip, result, labels),
    !isLong && bars(result),
    !isLong && h("div", { class: "row between" }, correction(labels, correct), outcome),
  );

  function correct(label) {
    state.corrections.add(label, clip);
    show(outcome, t.tray.noted(label ?? t.teach.background));
  }
}

/** The answer in words: what it is, or plainly that it is nothing that was taught. */
export function verdict(answer) {
  if (answer.unknown) return h("h2", { class: "verdict is-unknown" }, t.unknown, " ", h("span", { class: "small" }, t.result.nearest(answer.label)));
  return h("h2", { class: "verdict" }, answer.label);
}

/** What was heard anywhere in a long clip: one answer for all of it would be none of any part. */
function verdictOfWindows(windows) {
  const labels = [...new Set(windows.filter(({ unknown }) => !unknown).map(({ label }) => label))];
  return h("h2", { class: labels.length ? "verdict" : "verdict is-unknown" }, labels.join(", ") || t.unknown);
}
