/** Understand: how good an adapter is, what it mixes up, which clips are doubtful, and its versions. */

import { confusion } from "./confusion.js";
import { h, show, tableOf } from "./dom.js";
import { findings } from "./findings.js";
import { t } from "./language.js";
import { working } from "./problem.js";
import { accuracyWords, backgroundWords, perLabel } from "./report.js";
import { state } from "./state.js";
import { suspects } from "./suspects.js";
import { thresholds } from "./thresholds.js";
import { tray } from "./tray.js";
import { versions, versionsWithReports } from "./versions.js";

export function understand(section) {
  const place = h("div");
  const parts = h("div", { class: "stack" });
  show(section, h("h1", {}, t.understand.title(state.name)), place, parts);
  working(null, place, async () => {
    const name = state.name;
    const [row, rows] = await Promise.all([state.client.adapter(name), versionsWithReports(name)]);
    if (name !== state.name) return;
    const { report, shots } = row.adapter;
    show(
      parts,
      summary(row.adapter),
      await suspects(name, row),
      (report?.confusion || report?.most_confused) && card(t.understand.confusion, confusion(report, row.adapter.labels)),
      perLabel(report) && card(t.understand.perLabel, labelsTable(report, shots)),
      thresholds(row, () => understand(section)),
      versions(name, rows, () => understand(section)),
      report?.candidates?.length > 1 && folded(t.understand.candidates, candidatesTable(report.candidates)),
      tray(),
    );
  });
}

export function card(title, ...children) {
  return h("section", { class: "card", "aria-label": title }, h("h2", {}, title), children);
}

/** What few want to know, and none at first. */
function folded(title, ...children) {
  return h("details", { class: "card" }, h("summary", {}, title), children);
}

function summary(adapter) {
  const { report } = adapter;
  const optimism = report?.optimism ?? [];
  return h(
    "section",
    { class: "card", "aria-label": t.understand.summary },
    h("p", { class: "figure" }, report?.accuracy == null ? "–" : t.percent(report.accuracy)),
    h("p", {}, accuracyWords(report)),
    backgroundWords(report) && h("p", {}, backgroundWords(report)),
    adapter.promoted && h("p", { class: "small" }, t.understand.promoted(adapter.promoted.current, adapter.promoted.reason)),
    optimism.length > 0 && h("details", {}, h("summary", {}, t.understand.optimism), h("ul", {}, optimism.map((sentence) => h("li", {}, sentence)))),
    report && findings(report),
  );
}

function labelsTable(report, shots) {
  const rows = Object.entries(perLabel(report)).map(([label, row]) => {
    const cells = [shots?.[label] ?? row.num_clips, percentOf(row.recall), percentOf(row.precision)];
    return h("tr", {}, h("th", { scope: "row" }, label), cells.map((cell) => h("td", { class: "num" }, cell)));
  });
  const head = [t.understand.label, t.understand.clips, t.understand.recall, t.understand.precision];
  return tableOf(t.understand.perLabel, head, rows);
}

/** What competed to be this version. */
function candidatesTable(candidates) {
  const rows = candidates.map(({ name, accuracy, kept, reason }) => {
    const mark = kept && h("span", { class: "tag" }, t.understand.kept);
    return h("tr", {}, h("th", { scope: "row" }, name, " ", mark), h("td", { class: "num" }, percentOf(accuracy)), h("td", { class: "small" }, reason ?? ""));
  });
  return tableOf(t.understand.candidates, [t.understand.candidate, t.versions.accuracy, ""], rows);
}

function percentOf(value) {
  return value === null || value === undefined ? "–" : t.percent(value);
}
