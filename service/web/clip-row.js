/** A clip in a list: hear it, see it, trim it, move it, take it out. */

import { announce, problem } from "./problem.js";
import { button, h, iconButton, newId, select, show } from "./dom.js";
import { t } from "./language.js";
import { play, stop } from "./player.js";
import { waveform } from "./waveform.js";

const SHORTEST_S = 0.05;
const STEP_S = 0.01;

/**
 * A row for a clip; what its owner does not offer is not shown.
 *
 * `onRemove()`, `onTrim()` and `onMove(label)` tell of what was done; `labels` are those that it can be moved to.
 */
export function clipRow(clip, { onRemove, onTrim, onMove, labels, note } = {}) {
  const length = h("span", { class: "small num" }, t.seconds(lengthOf(clip)));
  const canvas = waveform(clip, { onDrawn: () => show(length, t.seconds(lengthOf(clip))) });
  const place = h("div", { class: "clip-edit" });
  const row = h(
    "li",
    { class: "clip" },
    playButton(clip, canvas),
    h("span", { class: "clip-body" }, canvas, h("span", { class: "clip-name", title: clip.name }, baseName(clip.name))),
    h("span", { class: "clip-facts" }, length, note && h("span", { class: "small" }, note)),
    onTrim && editButton(clip, place, () => edit()),
    onRemove && iconButton("×", t.clip.remove(clip.name), remove),
    place,
  );

  function remove() {
    stop();
    const next = row.nextElementSibling ?? row.previousElementSibling;
    onRemove();
    announce(t.clip.removed(clip.name));
    (next?.querySelector("button") ?? document.getElementById("main")).focus();
  }

  async function edit() {
    const drawn = await clip.drawn();
    const trimmed = () => {
      canvas.draw(clip.trim ?? {});
      onTrim();
    };
    const parts = clip.kept ? [] : drawn ? [trimmer(clip, drawn.durationS, trimmed)] : [h("p", {}, t.clip.undrawable)];
    if (onMove && labels().length > 1) parts.push(mover(labels(), onMove));
    show(place, parts);
  }

  return row;
}

/** A button that plays a clip, as far as it is trimmed, and stops it again. */
export function playButton(clip, canvas = null, span = () => clip.trim ?? {}) {
  let isPlaying = false;
  const control = iconButton("▶", t.clip.play(clip.name), async () => {
    if (isPlaying) return stop();
    try {
      const blob = await clip.blob();
      const { startS, endS } = span();
      const start = play(blob, {
        startS,
        endS,
        onTime: (atS) => canvas?.draw({ ...span(), atS }),
        onEnd: () => {
          mark(false);
          canvas?.draw(span());
        },
      });
      mark(true);
      await start;
    } catch (error) {
      mark(false);
      control.parentElement.append(problem({ detail: error.detail ?? t.clip.unplayable(clip.name) }));
    }
  });
  const mark = (is) => {
    isPlaying = is;
    control.firstChild.textContent = is ? "■" : "▶";
    control.setAttribute("aria-label", is ? t.clip.stop(clip.name) : t.clip.play(clip.name));
  };
  return control;
}

function editButton(clip, place, onOpen) {
  const control = iconButton("✂", t.clip.edit(clip.name), () => {
    const isOpen = place.childElementCount > 0;
    control.setAttribute("aria-expanded", String(!isOpen));
    if (isOpen) show(place);
    else onOpen();
  });
  control.setAttribute("aria-expanded", "false");
  return control;
}

/** Two sliders over the waveform, which keys move too. */
function trimmer(clip, durationS, onChange) {
  const canvas = waveform(clip, { height: 72, className: "is-tall" });
  const span = clip.trim ?? { startS: 0, endS: durationS };
  const slider = (name, value, onInput) => {
    const id = newId("trim");
    const settings = { id, type: "range", min: 0, max: durationS, step: STEP_S, on: { input: onInput } };
    const input = h("input", settings);
    input.value = value;
    return [h("label", { for: id, class: "small" }, name), input];
  };
  const [startLabel, start] = slider(t.clip.start, span.startS, () => change("start"));
  const [endLabel, end] = slider(t.clip.end, span.endS, () => change("end"));
  const change = (moved) => {
    let [startS, endS] = [Number(start.value), Number(end.value)];
    if (endS - startS < SHORTEST_S) {
      if (moved === "start") startS = Math.max(0, endS - SHORTEST_S);
      else endS = Math.min(durationS, startS + SHORTEST_S);
      [start.value, end.value] = [startS, endS];
    }
    const isWhole = startS <= STEP_S && endS >= durationS - STEP_S;
    clip.trim = isWhole ? null : { startS, endS };
    canvas.draw({ startS, endS });
    onChange();
  };
  const whole = button(t.clip.whole, () => {
    [start.value, end.value] = [0, durationS];
    change("end");
  });
  return h("div", { class: "trim" }, canvas, h("div", { class: "trim-ends" }, startLabel, start, endLabel, end), whole);
}

function mover(labels, onMove) {
  const id = newId("move");
  const options = [["", t.clip.stays], ...labels.map((label) => [label, label])];
  const choice = select(options, "", (label) => label && onMove(label), { id });
  return h("p", { class: "field-row" }, h("label", { for: id }, t.clip.belongs), choice);
}

function lengthOf(clip) {
  return clip.trim ? clip.trim.endS - clip.trim.startS : clip.durationS;
}

export function baseName(name) {
  return name.split("/").at(-1);
}
