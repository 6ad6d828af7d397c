/** Channel: how far what is heard now is from what was taught, and what mends it. */

import { Clip } from "./clip.js";
import { clipRow } from "./clip-row.js";
import { filesOfInput, takesDrops } from "./drop.js";
import { button, h, show, svg } from "./dom.js";
import { followJob } from "./job-progress.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { recordButton } from "./record-button.js";
import { state } from "./state.js";

const ENOUGH = 5;
const [WIDTH, HEIGHT] = [640, 160];

/** `outcome` is what came of a recalibration just now. */
export function channel(section, outcome = null) {
  const place = h("div");
  const parts = h("div", { class: "stack" });
  show(section, h("h1", {}, t.channel.title(state.name)), h("p", { class: "lead" }, t.channel.lead), outcome && h("p", { class: "notice" }, outcome), place, parts);
  working(null, place, async () => {
    const row = await state.client.adapter(state.name);
    const heard = row.channel ?? row.adapter.channel ?? null;
    show(parts, heard ? curveCard(heard) : h("section", { class: "card" }, h("p", {}, t.channel.nothing)), recalibration(heard, (said) => channel(section, said)));
  });
}

function curveCard(heard) {
  const { difference_db: differenceDb, bins_db: bins = [], clips, since, advised, labels, wanting = [] } = heard;
  const heardOf = Object.entries(labels ?? {}).filter(([, weight]) => weight >= 0.5).sort((a, b) => b[1] - a[1]);
  return h(
    "section",
    { class: "card", "aria-label": t.channel.curve },
    h("h2", {}, t.channel.difference(differenceDb)),
    wanting.length > 0 && h("p", {}, t.channel.wanting(wanting.join("; "))),
    wanting.length === 0 && h("p", { class: advised ? "notice" : "" }, advised ? t.channel.advised : t.channel.fine),
    bins.length > 0 && h("div", { class: "curve is-wide", role: "img", "aria-label": curveWords(bins) }, picture(bins)),
    bins.length > 0 && h("p", { class: "small" }, t.channel.axes),
    h("p", { class: "small" }, t.channel.heard(clips, since ? t.when(since) : null)),
    heardOf.length > 0 && h("p", { class: "small" }, t.channel.labels(heardOf.map(([label, weight]) => `${label} ${Math.round(weight)}`))),
  );
}

/** The curve in a sentence: its mean over the low, middle and high third. */
function curveWords(bins) {
  const third = Math.ceil(bins.length / 3);
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  return t.channel.thirds(...[0, 1, 2].map((part) => mean(bins.slice(part * third, (part + 1) * third))));
}

function picture(bins) {
  const most = Math.max(6, ...bins.map(Math.abs));
  const y = (db) => (HEIGHT / 2) * (1 - db / most);
  const points = bins.map((db, i) => `${((i / (bins.length - 1)) * WIDTH).toFixed(1)} ${y(db).toFixed(1)}`);
  const area = `M0 ${y(0)}L${points.join("L")}L${WIDTH} ${y(0)}Z`;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    svg("path", { d: area, class: "area" }),
    svg("path", { d: `M0 ${y(0)}H${WIDTH}`, class: "axis" }),
    svg("path", { d: `M${points.join("L")}`, class: "alarms" }),
    svg("text", { x: 4, y: 14 }, t.channel.db(most)),
    svg("text", { x: 4, y: HEIGHT - 6 }, t.channel.db(-most)),
  );
}

function recalibration(heard, onDone) {
  const clips = [];
  const list = h("ul", { class: "clips" });
  const place = h("div");
  const said = h("p", { class: "small", "aria-live": "polite" });
  const input = h("input", { type: "file", multiple: true, hidden: true, on: { change: chosen } });
  const withClips = button(t.channel.recalibrate, () => submit(clips), { class: "primary" });
  const withHeard = button(t.channel.withHeard, () => submit([]));
  const element = h(
    "section",
    { class: "card", "aria-label": t.channel.recalibrate },
    h("h2", {}, t.channel.recalibrate),
    h("p", {}, t.channel.how(ENOUGH)),
    h("p", { class: "row" }, button(t.teach.files, () => input.click()), recordButton((clip) => put([clip]))),
    input,
    list,
    said,
    h("p", { class: "row" }, withClips, heard && !heard.wanting?.length && withHeard),
    place,
  );
  takesDrops(element, (files) => put(files.map(({ file }) => new Clip({ name: file.name, blob: file }))));
  update();
  return element;

  function chosen(event) {
    put(filesOfInput(event.target).map(({ file }) => new Clip({ name: file.name, blob: file })));
    event.target.value = "";
  }

  function put(added) {
    clips.push(...added);
    update();
  }

  function update() {
    withClips.disabled = clips.length < ENOUGH;
    show(said, clips.length < ENOUGH ? t.channel.more(ENOUGH - clips.length) : null);
    const remove = (clip) => () => {
      clips.splice(clips.indexOf(clip), 1);
      update();
    };
    show(list, clips.map((clip) => clipRow(clip, { onRemove: remove(clip), onTrim: () => {} })));
  }

  async function submit(sent) {
    await working(withClips, place, async () => {
      const files = await Promise.all(sent.map((clip) => clip.upload()));
      const job = await followJob(place, (onProgress) => state.client.recalibrate(state.name, files, { onProgress }));
      await state.loadAdapters();
      const version = job.adapter?.version ?? null;
      const said = version === null || job.promoted?.current === false ? t.channel.notUsed(version, job.promoted.reason) : t.channel.done(version);
      announce(said);
      onDone(said);
    });
  }
}
