/** What was left out of an upload, and what is used although it is odd. */

import { h } from "./dom.js";
import { t } from "./language.js";

/** Of a job or a report; null where there is nothing to tell. */
export function findings(of) {
  const leftOut = list(t.findings.leftOut(of.num_left_out ?? 0), of.left_out, ({ file, error }) => [file, error.detail]);
  const warnings = list(t.findings.warnings(of.num_warnings ?? 0), of.warnings, ({ file, detail }) => [file, detail]);
  return leftOut || warnings ? h("div", { class: "findings" }, leftOut, warnings) : null;
}

function list(title, rows, read) {
  if (!rows?.length) return null;
  const items = rows.map(read).map(([file, text]) => h("li", {}, h("b", {}, file), " ", text));
  return h("details", {}, h("summary", {}, title), h("ul", {}, items));
}
