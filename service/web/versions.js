/** An adapter's versions side by side; which of them its name means is chosen here. */

import { button, h, show, tableOf } from "./dom.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { background } from "./report.js";
import { state } from "./state.js";

const NUM_REPORTS = 10; // of the newest versions; a list has none, so each is asked for

/** Every version, the newest of them with their reports. */
export async function versionsWithReports(name) {
  const rows = await state.client.versions(name);
  const first = rows.length - NUM_REPORTS;
  const whole = async (row, i) => {
    if (row.error || row.report || i < first) return row;
    const { adapter } = await state.client.adapter(`${name}@${row.version}`);
    return { ...row, report: adapter.report };
  };
  return Promise.all(rows.map(whole));
}

export function versions(name, rows, onChange) {
  const place = h("div");
  const columns = [t.versions.version, t.versions.made, t.versions.accuracy, t.versions.clips, t.versions.foreign, t.versions.method, ""];
  const body = rows.toReversed().map((row) => versionRow(name, row, place, onChange));
  const table = tableOf(t.versions.title, columns, body);
  return h("section", { class: "card", "aria-label": t.versions.title }, h("h2", {}, t.versions.title), table, place);
}

function versionRow(name, row, place, onChange) {
  if (row.error) {
    return h("tr", {}, h("th", { scope: "row" }, String(row.version)), h("td", { colspan: 6 }, row.error.detail));
  }
  const { report } = row;
  const clips = Object.values(row.shots ?? {}).reduce((sum, count) => sum + count, 0);
  const isCurrent = row.is_current;
  const found = background(report);
  const use = button(t.versions.use, async () => {
    const done = await working(use, place, () => state.client.promote(name, row.version));
    if (!done) return;
    announce(t.versions.used(name, row.version));
    await state.loadAdapters();
    onChange();
  }, { "aria-label": t.versions.useLong(row.version) }); // prettier-ignore
  const stands = row.promoted && !row.promoted.current && !isCurrent && h("span", { class: "small" }, row.promoted.reason);
  return h(
    "tr",
    { class: isCurrent ? "is-current" : "" },
    h("th", { scope: "row" }, String(row.version), " ", isCurrent && h("span", { class: "tag" }, t.versions.current)),
    h("td", {}, row.created_at ? t.when(row.created_at) : "–"),
    h("td", { class: "num" }, accuracyCell(report)),
    h("td", { class: "num" }, clips ? String(clips) : "–"),
    h("td", { class: "num" }, found ? t.percent(found.accepted) : "–"),
    h("td", {}, row.method ?? "–", row.description ? h("span", { class: "small" }, ` ${row.description}`) : null),
    h("td", {}, h("span", { class: "row" }, !isCurrent && use, removal(name, row, place, onChange)), stands),
  );
}

function accuracyCell(report) {
  if (report?.accuracy == null) return "–";
  const interval = report.accuracy_interval;
  return interval ? t.versions.between(report.accuracy, ...interval) : t.percent(report.accuracy);
}

/** Deleting is asked for twice, in place. */
export function removal(name, row, place, onChange, ref = `${name}@${row.version}`) {
  const spot = h("span", { class: "row" });
  const ask = button(t.versions.remove, () => show(spot, sure, keep) && sure.focus(), { class: "link", "aria-label": t.versions.removeLong(ref) });
  const sure = button(t.versions.sure(ref), remove, { class: "danger" });
  const keep = button(t.versions.keep, () => show(spot, ask) && ask.focus());
  async function remove() {
    const done = await working(sure, place, async () => {
      await state.client.deleteAdapter(ref);
      await state.loadAdapters();
      return true;
    });
    if (done) onChange();
  }
  return show(spot, ask);
}
