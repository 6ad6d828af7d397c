/** What is mixed up: a picture, the worst of it in sentences, and a table for who cannot see the picture. */

import { h, scrolling, svg } from "./dom.js";
import { t } from "./language.js";
import { perLabel } from "./report.js";

const CELL = 44;
const TEXT_WIDTH = 130;
const HEAD_HEIGHT = 96;
const MAX_DRAWN = 30; // labels; of more the worst pairs say more than a picture
const NUM_PAIRS = 5;

export function confusion(report, labels) {
  const counts = report.confusion ?? [];
  const pairs = report.most_confused ? named(report) : worstPairs(counts, labels);
  const isDrawn = counts.length > 0 && counts.length <= MAX_DRAWN;
  return h(
    "div",
    {},
    pairs.length ? h("ul", {}, pairs.map((pair) => h("li", {}, t.confusion.pair(...pair)))) : h("p", {}, t.confusion.none),
    isDrawn && scrolling(t.confusion.picture, picture(counts, labels)),
    isDrawn && table(counts, labels),
  );
}

/** The service's own list, which it has for any number of labels. */
function named(report) {
  const total = (label) => perLabel(report)?.[label]?.num_clips ?? report.num_clips;
  return report.most_confused.slice(0, NUM_PAIRS).map((row) => [row.label, row.answer, row.num_clips, total(row.label)]);
}

function worstPairs(counts, names) {
  const pairs = counts.flatMap((row, i) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return row.map((count, j) => [names[i], names[j], count, total]).filter((pair, j) => i !== j && pair[2] > 0);
  });
  return pairs.sort((a, b) => b[2] / b[3] - a[2] / a[3]).slice(0, NUM_PAIRS);
}

function picture(counts, names) {
  const [width, height] = [TEXT_WIDTH + names.length * CELL + 60, HEAD_HEIGHT + names.length * CELL];
  const frame = { width, height, viewBox: `0 0 ${width} ${height}`, class: "confusion", "aria-hidden": "true" };
  const heads = names.map((name, j) => {
    const x = TEXT_WIDTH + (j + 0.5) * CELL;
    return svg("text", { transform: `translate(${x - 4} ${HEAD_HEIGHT - 8}) rotate(-40)` }, short(name));
  });
  const rows = counts.map((row, i) => {
    const y = HEAD_HEIGHT + i * CELL;
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    const name = svg("text", { x: TEXT_WIDTH - 10, y: y + CELL / 2 + 4, "text-anchor": "end" }, short(names[i]));
    return [name, row.map((count, j) => cell(count, count / total, j === i, TEXT_WIDTH + j * CELL, y))];
  });
  return svg("svg", frame, heads, rows);
}

function cell(count, share, isRight, x, y) {
  const kind = count === 0 ? "is-empty" : isRight ? "is-right" : "is-wrong";
  const square = { x: x + 1, y: y + 1, width: CELL - 2, height: CELL - 2, rx: 6 };
  const number = count > 0 && svg("text", { x: x + CELL / 2, y: y + CELL / 2 + 5, "text-anchor": "middle", class: "cell-number" }, String(count));
  const tint = svg("rect", { ...square, class: kind, "fill-opacity": count === 0 ? 1 : 0.2 + 0.3 * share });
  return [tint, number];
}

function table(counts, names) {
  const head = [h("td"), names.map((name) => h("th", { scope: "col" }, name))];
  const rows = counts.map((row, i) => h("tr", {}, h("th", { scope: "row" }, names[i]), row.map((count) => h("td", {}, String(count)))));
  return h("div", { class: "unseen" },
    h("table", {}, h("caption", {}, t.confusion.caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows))); // prettier-ignore
}

function short(name) {
  return name.length > 16 ? `${name.slice(0, 15)}…` : name;
}
