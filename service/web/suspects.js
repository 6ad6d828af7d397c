/** Clips whose label is doubtful, beside clips of the label that they sound like. */

import { Clip } from "./clip.js";
import { clipRow } from "./clip-row.js";
import { button, h, show } from "./dom.js";
import { t } from "./language.js";
import { state } from "./state.js";
import { correction } from "./tray.js";

const NUM_BESIDE = 3;

/** The card of a version's suspects; says so where there are none. */
export async function suspects(name, row) {
  const ref = `${name}@${row.adapter.version}`;
  const rows = row.adapter.report?.suspects ?? [];
  const kept = rows.length ? await keptClips(ref) : [];
  const title = h("h2", {}, t.suspects.title);
  if (!rows.length) return h("section", { class: "card", "aria-label": t.suspects.title }, title, h("p", {}, t.suspects.none));
  const items = rows.map((suspect) => item(ref, suspect, kept, row.adapter.labels));
  const lead = h("p", {}, kept.length ? t.suspects.lead(rows.length) : t.suspects.notKept(rows.length));
  return h("section", { class: "card", "aria-label": t.suspects.title }, title, lead, h("ul", { class: "suspects" }, items));
}

/** What is kept of the clips; nothing where nothing is kept, or the service is older than this page. */
async function keptClips(ref) {
  try {
    return await state.client.clips(ref);
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}

function keptClip(ref, row) {
  const load = () => state.client.clipAudio(ref, row.id);
  return new Clip({ name: row.file, load, kept: row.id, durationS: row.duration_s });
}

function item(ref, suspect, kept, labels) {
  const row = kept.find(({ id }) => id === suspect.id);
  const alike = suspect.sounds_like ?? null;
  const beside = kept.filter((other) => other.label === alike && alike !== null && other.has_audio && other.id !== suspect.id);
  const reasons = (suspect.reasons ?? []).map((reason) => t.suspects.reasons[reason] ?? reason);
  const said = alike === null ? reasons.join(", ") : t.suspects.soundsLike(suspect.label, alike, reasons.join(", "));
  const actions = h("p", { class: "row" });
  const element = h(
    "li",
    { class: "suspect" },
    h("p", {}, h("b", {}, suspect.file ?? t.suspects.clip(suspect.clip)), " ", said),
    row?.has_audio && h("ul", { class: "clips" }, clipRow(keptClip(ref, row), { note: t.suspects.this(suspect.label) })),
    beside.length > 0 && h("p", { class: "small" }, t.suspects.beside(alike)),
    beside.length > 0 && h("ul", { class: "clips" }, beside.slice(0, NUM_BESIDE).map((other) => clipRow(keptClip(ref, other)))),
    row && actions,
  );
  if (row) offer();
  return element;

  function offer() {
    show(
      actions,
      alike !== null && button(t.suspects.itIs(alike), () => fix((fixes) => fixes.relabel(suspect.id, alike), t.suspects.willBe(alike))),
      button(t.suspects.remove, () => fix((fixes) => fixes.remove(suspect.id), t.suspects.willGo)),
      correction(labels.filter((label) => label !== suspect.label && label !== alike), (label) =>
        fix((fixes) => (label === null ? fixes.toBackground(suspect.id, keptClip(ref, row)) : fixes.relabel(suspect.id, label)), t.suspects.willBe(label ?? t.teach.background)),
        { takesBackground: row.has_audio },
      ),
    );
  }

  function fix(change, said) {
    change(state.corrections);
    const undo = button(t.suspects.undo, () => {
      state.corrections.undo(suspect.id);
      offer();
    });
    show(actions, h("span", {}, said), undo);
    undo.focus();
  }
}
