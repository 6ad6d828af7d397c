/** Try: what an adapter hears in files and recordings. */

import { Clip } from "./clip.js";
import { filesOfInput, takesDrops } from "./drop.js";
import { button, h, show } from "./dom.js";
import { downloadsOf } from "./exports.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { recordButton } from "./record-button.js";
import { resultCard } from "./result-card.js";
import { state } from "./state.js";
import { tray } from "./tray.js";

const NUM_SHOWN = 50; // in full; of more, the files of results tell

let heard = []; // {clip, result, name} of the chosen adapter, newest first

export function tryOut(section) {
  heard = heard.filter(({ name }) => name === state.name);
  const place = h("div");
  const bar = h("progress", { "aria-label": t.tryOut.progress, hidden: true });
  const list = h("div", { class: "stack" });
  const exports = h("div");
  const input = h("input", { type: "file", multiple: true, hidden: true, on: { change: chosen } });
  const folder = h("input", { type: "file", webkitdirectory: true, hidden: true, on: { change: chosen } });
  const drop = h(
    "div",
    { class: "drop" },
    h("p", {}, t.tryOut.drop),
    h("p", { class: "row" }, button(t.teach.files, () => input.click()), button(t.teach.folder, () => folder.click()), recordButton((clip) => classify([clip]))),
    input,
    folder,
  );
  takesDrops(section, (files) => classify(files.map(toClip)));
  show(section, h("h1", {}, t.tryOut.title(state.name)), drop, bar, place, exports, list, tray());
  draw();

  function chosen(event) {
    classify(filesOfInput(event.target).map(toClip));
    event.target.value = "";
  }

  async function classify(clips) {
    if (!clips.length) return;
    const { name } = state;
    bar.hidden = false;
    bar.removeAttribute("value");
    await working(null, place, async () => {
      const sent = await Promise.all(clips.map((clip) => clip.upload()));
      const onProgress = ({ done, total }) => Object.assign(bar, { max: total, value: done });
      const results = await state.client.classify(name, sent, { windows: true, onProgress });
      heard = [...results.map((result, i) => ({ clip: clips[i], result, name })), ...heard];
      draw();
      announce(results.length === 1 ? spoken(results[0]) : t.tryOut.heard(results.length));
    });
    bar.hidden = true;
  }

  function draw() {
    show(exports, heard.length > 0 && downloadsOf(heard.map(({ result }) => result), state.name));
    const labels = state.adapter?.adapter.labels ?? [];
    show(list, heard.slice(0, NUM_SHOWN).map(({ clip, result }) => resultCard(clip, result, labels)));
    if (heard.length > NUM_SHOWN) list.append(h("p", { class: "small" }, t.tryOut.more(heard.length - NUM_SHOWN)));
  }
}

function toClip({ file }) {
  return new Clip({ name: file.name, blob: file });
}

function spoken(result) {
  if (result.error) return result.error.detail;
  return result.unknown ? t.result.unknownSpoken(result.file) : t.result.spoken(result.file, result.label, result.score);
}
