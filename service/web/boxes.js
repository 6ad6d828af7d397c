/** The boxes of a lesson: one for each sound, and one for the background. */

import { Clip } from "./clip.js";
import { clipRow } from "./clip-row.js";
import { filesOfInput, takesDrops } from "./drop.js";
import { button, h, iconButton, newId, show } from "./dom.js";
import { t } from "./language.js";
import { recordButton } from "./record-button.js";

const BACKGROUND_NAMES = new Set(["background", "_background"]);
const NUM_SHOWN = 12; // of a box's clips, until all are asked for
const GOOD = 5;
const BETTER = 16;

/** What is taught: boxes of `{label, clips}`, of which one is the background's. */
export class Lesson {
  boxes = [];
  isTaught = true; // whether there is nothing in the boxes that was not taught
  onChange = () => {}; // of whoever shows it
  background = newBox("", { isBackground: true });

  get all() {
    return [...this.boxes, this.background];
  }

  get sounds() {
    return this.boxes.filter((box) => box.label.trim() && box.clips.length);
  }

  addBox(label = "") {
    const found = label && this.boxes.find((box) => box.label.trim() === label);
    if (found) return found;
    const empty = label && this.boxes.find((box) => !box.label.trim() && !box.clips.length);
    if (empty) {
      empty.label = label;
      return empty;
    }
    this.boxes.push(newBox(label));
    return this.boxes.at(-1);
  }

  /** Sort files into boxes by their folders; what lies in none goes into `box`, or into a new one. */
  addFiles(files, box = null) {
    const folders = new Set(files.map(({ folder }) => folder).filter((folder) => folder !== null));
    const isOneBox = box && folders.size <= 1; // a folder that is dropped on a box is meant for that box
    for (const { file, folder } of files) {
      const target = isOneBox ? box : this.#boxOf(folder, box);
      target.clips.push(new Clip({ name: file.name, blob: file }));
    }
    if (isOneBox && !box.isBackground && !box.label.trim() && folders.size) box.label = [...folders][0];
    this.changed();
  }

  #boxOf(folder, box) {
    if (folder === null) return box ?? this.addBox();
    return BACKGROUND_NAMES.has(folder.toLowerCase()) ? this.background : this.addBox(folder);
  }

  move(clip, label) {
    for (const box of this.all) box.clips = box.clips.filter((other) => other !== clip);
    (label === t.teach.background ? this.background : this.addBox(label)).clips.push(clip);
    this.changed();
  }

  changed() {
    this.isTaught = false;
    this.onChange();
  }
}

function newBox(label, { isBackground = false } = {}) {
  return { label, clips: [], isBackground, id: newId("box"), showsAll: false };
}

/** The boxes as they are shown; drawn anew at each change, with the focus kept where it was. */
export function boxesView(lesson, { onChange }) {
  const view = h("div", { class: "boxes" });
  const elements = new Map();
  const draw = () => {
    const rows = lesson.all.map((box) => {
      if (!elements.has(box)) elements.set(box, boxView(box, lesson));
      elements.get(box).update();
      return elements.get(box).element;
    });
    const more = h("button", { type: "button", class: "box box-more", on: { click: another } }, t.teach.another);
    show(view, rows.slice(0, -1), more, rows.at(-1));
    onChange();
  };
  const another = () => {
    const box = lesson.addBox();
    lesson.changed();
    document.getElementById(box.id).focus();
  };
  lesson.onChange = draw;
  draw();
  return view;
}

function boxView(box, lesson) {
  const list = h("ul", { class: "clips" });
  const advice = h("p", { class: "advice" });
  const count = h("div", { class: "count", "aria-hidden": "true" });
  const clips = new Map();
  const name = nameField(box, lesson);
  const input = h("input", { type: "file", multiple: true, hidden: true, on: { change: chosen } });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, on: { change: chosen } });
  const titled = box.isBackground ? t.teach.background : t.teach.soundBox;
  const element = h(
    "section",
    { class: box.isBackground ? "box is-background" : "box", "aria-label": titled },
    h("div", { class: "box-head" }, name, !box.isBackground && iconButton("×", t.teach.removeBox, removeBox)),
    box.isBackground && h("p", { class: "small" }, t.teach.backgroundHint),
    h("div", { class: "row" }, button(t.teach.files, () => input.click()), button(t.teach.folder, () => folder.click()),
      recordButton((clip) => put([clip]))),
    input, folder, list, count, advice,
  ); // prettier-ignore
  takesDrops(element, (files) => lesson.addFiles(files, box));

  function chosen(event) {
    lesson.addFiles(filesOfInput(event.target), box);
    event.target.value = "";
  }

  function put(added) {
    box.clips.push(...added);
    lesson.changed();
  }

  function removeBox() {
    lesson.boxes = lesson.boxes.filter((other) => other !== box);
    lesson.changed();
    document.getElementById("main").focus();
  }

  function row(clip) {
    const labels = () => [...lesson.boxes.map((other) => other.label.trim()).filter(Boolean), t.teach.background];
    const note = clip.kept ? t.teach.kept : null;
    return clipRow(clip, {
      labels,
      note,
      onTrim: () => {},
      onMove: (label) => lesson.move(clip, label),
      onRemove: () => {
        box.clips = box.clips.filter((other) => other !== clip);
        lesson.changed();
      },
    });
  }

  function update() {
    if (!box.isBackground && document.activeElement?.id !== box.id) element.querySelector(`#${box.id}`).value = box.label;
    const shown = box.showsAll ? box.clips : box.clips.slice(-NUM_SHOWN);
    const rows = shown.map((clip) => {
      if (!clips.has(clip)) clips.set(clip, row(clip));
      return clips.get(clip);
    });
    const numHidden = box.clips.length - shown.length;
    const all = numHidden > 0 && h("li", {}, button(t.teach.showAll(box.clips.length), showAll, { class: "link" }));
    if ([...list.children].some((child, i) => child !== rows[i]) || list.childElementCount !== rows.length) show(list, rows, all);
    show(advice, box.isBackground ? t.teach.backgroundAdvice(box.clips.length) : adviceFor(box.clips.length));
    show(count, box.isBackground ? null : dots(box.clips.length));
  }

  function showAll() {
    box.showsAll = true;
    update();
  }

  return { element, update };
}

function nameField(box, lesson) {
  if (box.isBackground) return h("h3", {}, t.teach.background);
  const settings = { id: box.id, class: "box-name", type: "text", placeholder: t.teach.namePlaceholder, "aria-label": t.teach.name };
  return h("input", {
    ...settings,
    autocomplete: "off",
    value: box.label,
    on: {
      input: (event) => {
        box.label = event.target.value;
        lesson.changed();
      },
    },
  });
}

/** How many more are worth having. */
function adviceFor(count) {
  if (count < GOOD) return t.teach.toGood(count, GOOD - count);
  if (count < BETTER) return t.teach.toBetter(count, BETTER - count);
  return t.teach.enough(count);
}

function dots(count) {
  return Array.from({ length: BETTER }, (_, i) => h("i", { class: i < count ? "is-full" : i < GOOD ? "is-wanted" : "" }));
}
