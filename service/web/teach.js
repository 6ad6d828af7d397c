/** Teach: sounds and their clips to a new adapter, or to the next version of one that is there. */

import { Lesson, boxesView } from "./boxes.js";
import { Clip } from "./clip.js";
import { filesOfInput, takesDrops } from "./drop.js";
import { button, h, newId, select, show } from "./dom.js";
import { findings } from "./findings.js";
import { followJob } from "./job-progress.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { accuracyWords } from "./report.js";
import { state } from "./state.js";

let lesson = newLesson();
let base = null; // {name, labels, kept: Map id -> {label, isBackground}} of the adapter that is taught further
let adapterName = "";
let outcomeShown = null; // of the last lesson, for as long as the page is open

/** Whether clips would be lost if the page were closed now. */
export function hasUntaught() {
  return !lesson.isTaught && lesson.all.some((box) => box.clips.some((clip) => !clip.kept));
}

function newLesson() {
  const fresh = new Lesson();
  fresh.addBox();
  fresh.addBox();
  return fresh;
}

export function teach(section) {
  const place = h("div", { class: "outcome" }, outcomeShown);
  const button_ = h("button", { type: "button", class: "primary", on: { click: () => submit() } }, t.teach.teach);
  const why = h("p", { class: "small", id: newId("why") });
  button_.setAttribute("aria-describedby", why.id);
  const name = nameField(() => refresh());
  const view = boxesView(lesson, { onChange: () => refresh() });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, on: { change: chosen } });
  takesDrops(section, (files) => lesson.addFiles(files));
  show(
    section,
    h("h1", {}, t.teach.title),
    h("p", { class: "lead" }, t.teach.lead),
    h("div", { class: "row between" }, baseField(section), h("span", {}, button(t.teach.wholeFolder, () => folder.click()), folder)),
    view,
    h("div", { class: "bar" }, name, button_, why),
    place,
  );

  function chosen(event) {
    lesson.addFiles(filesOfInput(event.target));
    event.target.value = "";
  }

  function refresh() {
    const missing = whatIsMissing();
    why.textContent = missing ?? "";
    button_.setAttribute("aria-disabled", String(missing !== null));
  }

  async function submit() {
    const missing = whatIsMissing();
    if (missing) return announce(missing);
    await working(button_, place, async () => {
      const [sounds, options] = await whatToSend();
      const job = await followJob(place, (onProgress) => state.client.teach(adapterName, sounds, { ...options, onProgress }));
      await state.loadAdapters();
      state.choose(job.adapter.name);
      outcomeShown = await outcome(job);
      lesson.isTaught = true;
      // What was new is kept now: the next lesson goes on from there.
      if (base) ({ lesson, base } = await openBase(job.adapter.name, job.adapter.version));
      announce(t.teach.done(job.adapter.name));
      teach(section);
      section.querySelector(".outcome").scrollIntoView({ block: "nearest", behavior: "smooth" });
    });
  }
  refresh();
}

function whatIsMissing() {
  if (!adapterName.trim()) return t.teach.missing.name;
  const nameless = lesson.boxes.find((box) => box.clips.length && !box.label.trim());
  if (nameless) return t.teach.missing.label;
  if (!lesson.sounds.length) return t.teach.missing.clips;
  const bytes = lesson.all.flatMap((box) => box.clips).reduce((sum, clip) => sum + clip.sizeBytes, 0);
  if (bytes > (state.limits.max_upload_bytes ?? Infinity)) return t.teach.missing.size(bytes, state.limits.max_upload_bytes);
  return null;
}

/** What the client is to send: new clips, and of those that are kept what is to be different. */
async function whatToSend() {
  const sounds = {};
  for (const box of lesson.sounds) {
    const label = box.label.trim();
    const clips = await Promise.all(box.clips.filter((clip) => !clip.kept).map((clip) => clip.upload()));
    if (clips.length) sounds[label] = [...(sounds[label] ?? []), ...clips];
  }
  // A kept clip that goes to the background is taken out and sent again as one of the background.
  const isSent = (clip) => !clip.kept || base?.kept.get(clip.kept) !== null;
  const background = await Promise.all(lesson.background.clips.filter(isSent).map((clip) => clip.upload()));
  if (!base) return [sounds, { background }];
  const labels = new Map(lesson.boxes.flatMap((box) => box.clips.map((clip) => [clip.kept, box.label.trim()])));
  for (const clip of lesson.background.clips.filter((clip) => !isSent(clip))) labels.set(clip.kept, null);
  const remove = [...base.kept.keys()].filter((id) => !labels.has(id));
  const moved = [...base.kept].filter(([id, label]) => labels.has(id) && labels.get(id) !== label);
  const relabel = Object.fromEntries(moved.map(([id]) => [id, labels.get(id)]));
  return [sounds, { background, base: base.ref, remove, relabel }];
}

function nameField(onChange) {
  const id = newId("name");
  const input = h("input", {
    id,
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: t.teach.adapterPlaceholder,
    value: adapterName,
    on: {
      input: (event) => {
        adapterName = event.target.value;
        onChange();
      },
    },
  });
  return h("span", { class: "field-row" }, h("label", { for: id }, t.teach.adapterName), input);
}

/** Start anew, or from what an adapter was taught with. */
function baseField(section) {
  const names = state.adapters.filter((row) => row.adapter).map((row) => row.name);
  if (!names.length) return h("span");
  const id = newId("base");
  const place = h("span");
  const choice = select([["", t.teach.fresh], ...names.map((name) => [name, t.teach.further(name)])], base?.name ?? "", choose, { id });
  return h("span", { class: "field-row" }, h("label", { for: id }, t.teach.start), choice, place);

  async function choose(name) {
    await working(choice, place, async () => {
      const opened = name ? await openBase(name) : { lesson: newLesson(), base: null };
      lesson = opened.lesson;
      base = opened.base;
      adapterName = name || "";
      if (name) state.choose(name);
      teach(section);
      document.getElementById("main").focus();
    });
  }
}

/** The clips of a version, or else of the current one, in their boxes. */
async function openBase(name, version = null) {
  const row = await state.client.adapter(version === null ? name : `${name}@${version}`);
  const ref = `${name}@${row.adapter.version}`;
  const clips = await state.client.clips(ref);
  const opened = new Lesson();
  for (const label of row.adapter.labels) opened.addBox(label);
  const kept = new Map();
  for (const { id, label, is_background: isBackground, file, duration_s: durationS, has_audio: hasAudio } of clips) {
    kept.set(id, isBackground ? null : label);
    const load = hasAudio ? () => state.client.clipAudio(ref, id) : () => Promise.reject(new Error(t.clip.gone));
    (isBackground ? opened.background : opened.addBox(label)).clips.push(new Clip({ name: file, load, kept: id, durationS }));
  }
  return { lesson: opened, base: { name, ref, kept } };
}

/** What came of it. */
async function outcome(job) {
  const { name, version } = job.adapter;
  const row = await state.client.adapter(`${name}@${version}`);
  const isCurrent = job.promoted?.current !== false;
  return h(
    "section",
    { class: "card is-good", "aria-label": t.teach.outcome },
    h("h2", {}, t.teach.taught(name, version)),
    h("p", {}, accuracyWords(row.adapter.report)),
    !isCurrent && h("p", { class: "notice" }, t.teach.standsBy(job.promoted.reason)),
    findings(job),
    h("p", { class: "row" }, h("a", { class: "button primary", href: "#try" }, t.teach.tryIt), h("a", { class: "button", href: "#understand" }, t.teach.understandIt)),
  );
}
