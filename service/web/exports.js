/** Results as files, made in the browser. */

import { button, h } from "./dom.js";
import { t } from "./language.js";

export function downloadsOf(results, name) {
  const save = (text, ending, type) => () => download(new Blob([text(results)], { type }), `${name}-${t.exports.file}.${ending}`);
  return h(
    "p",
    { class: "row" },
    button(t.exports.csv, save(toCsv, "csv", "text/csv")),
    button(t.exports.audacity, save(toAudacity, "txt", "text/plain")),
  );
}

export function download(blob, filename) {
  const link = h("a", { href: URL.createObjectURL(blob), download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A row for each window, or for each file that has none (RFC 4180). */
export function toCsv(results) {
  const head = ["file", "start_s", "end_s", "label", "score", "unknown", "known_score", "error"];
  const rows = results.flatMap((result) => {
    if (result.error) return [[result.file, "", "", "", "", "", "", result.error.detail]];
    return windowsOf(result).map((row) => [result.file, row.start_s, row.end_s, row.label, row.score, row.unknown, row.known_score ?? "", ""]);
  });
  return [head, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
}

/** Audacity's label track: start, end and label between tabs; of several files, one after another. */
export function toAudacity(results) {
  let offsetS = 0;
  const lines = results.filter((result) => !result.error).flatMap((result) => {
    const startS = offsetS;
    offsetS += result.duration_s;
    const prefix = results.length > 1 ? `${result.file}: ` : "";
    return windowsOf(result).filter((row) => !row.unknown).map((row) =>
      [(startS + row.start_s).toFixed(6), (startS + row.end_s).toFixed(6), `${prefix}${row.label}`.replace(/[\t\r\n]/g, " ")].join("\t"));
  }); // prettier-ignore
  return lines.map((line) => `${line}\n`).join("");
}

function windowsOf(result) {
  return result.windows?.length ? result.windows : [{ ...result, start_s: 0, end_s: result.duration_s }];
}

function quoted(value) {
  // A sheet must not take a file's name for a formula.
  const text = String(value).replace(/^(?=[=+@\t\r])|^-(?![\d.])/, "'$&");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
