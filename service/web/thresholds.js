/** From which known score on an answer is known: a slider over what that costs. */

import { button, h, newId, select, show, svg } from "./dom.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { state } from "./state.js";

const SENSITIVITIES = ["high", "balanced", "normal", "low"];
const [WIDTH, HEIGHT] = [320, 120];
const ALL = "";

/** Null where the adapter has no thresholds to move. */
export function thresholds(row, onChange) {
  const { thresholds: byLabel, report } = row.adapter;
  if (!byLabel) return null;
  const curve = report?.threshold_curve ?? [];
  const place = h("div");
  const said = h("p", { "aria-live": "polite" });
  const graph = h("div", { class: "curve" });
  let label = ALL;
  const sliderId = newId("threshold");
  const slider = h("input", { id: sliderId, type: "range", min: 0, max: 1, step: 0.005, on: { input: update } });
  slider.value = middle(Object.values(byLabel));
  const labelId = newId("threshold-label");
  const options = [[ALL, t.thresholds.all], ...Object.keys(byLabel).map((name) => [name, name])];
  const choice = select(options, ALL, chooseLabel, { id: labelId });
  const apply = button(t.thresholds.apply, () => save(label === ALL ? allAt(Number(slider.value)) : { [label]: Number(slider.value) }), { class: "primary" });
  update();
  return h(
    "section",
    { class: "card", "aria-label": t.thresholds.title },
    h("h2", {}, t.thresholds.title),
    h("p", {}, t.thresholds.lead),
    h("p", { class: "row" }, SENSITIVITIES.map((name) => button(t.thresholds.names[name], () => save({ sensitivity: name })))),
    h("p", { class: "field-row" }, h("label", { for: labelId }, t.thresholds.of), choice),
    curve.length > 0 && graph,
    h("div", { class: "field-row is-wide" }, h("label", { for: sliderId }, t.thresholds.slider), slider),
    said,
    apply,
    place,
  );

  function chooseLabel(name) {
    label = name;
    slider.value = name === ALL ? middle(Object.values(byLabel)) : byLabel[name];
    update();
  }

  function update() {
    const at = Number(slider.value);
    const point = nearest(curve, at);
    said.textContent = point ? t.thresholds.means(at, point.rejected, point.accepted) : t.thresholds.at(at);
    slider.setAttribute("aria-valuetext", said.textContent);
    if (point) show(graph, picture(curve, at), legend());
  }

  function allAt(value) {
    return Object.fromEntries(Object.keys(byLabel).map((name) => [name, value]));
  }

  async function save(wanted) {
    const made = await working(apply, place, () => state.client.setThresholds(row.name, wanted));
    if (!made) return;
    await state.loadAdapters();
    announce(t.thresholds.made(made.adapter.version));
    onChange();
  }
}

function picture(curve, at) {
  const path = (field) =>
    curve.map((point, i) => `${i ? "L" : "M"}${(point.threshold * WIDTH).toFixed(1)} ${((1 - point[field]) * HEIGHT).toFixed(1)}`).join("");
  return svg(
    "svg",
    { viewBox: `0 -4 ${WIDTH} ${HEIGHT + 8}`, "aria-hidden": "true", preserveAspectRatio: "none" },
    svg("path", { d: `M0 ${HEIGHT}H${WIDTH}`, class: "axis" }),
    svg("path", { d: path("rejected"), class: "misses" }),
    svg("path", { d: path("accepted"), class: "alarms" }),
    svg("path", { d: `M${at * WIDTH} 0V${HEIGHT}`, class: "at" }),
  );
}

function legend() {
  return h("p", { class: "small legend" }, h("span", { class: "key-misses" }, t.thresholds.misses), h("span", { class: "key-alarms" }, t.thresholds.alarms));
}

function nearest(curve, at) {
  const distance = (point) => Math.abs(point.threshold - at);
  return curve.reduce((best, point) => (best === null || distance(point) < distance(best) ? point : best), null);
}

function middle(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0.5;
}
