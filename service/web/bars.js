/** An answer's scores as bars. */

import { h } from "./dom.js";
import { t } from "./language.js";

const NUM_BARS = 5;

export function bars(answer) {
  const rows = answer.scores.slice(0, NUM_BARS).map(({ label, score }, i) => {
    const bar = h("span", { class: i === 0 && !answer.unknown ? "bar-fill is-best" : "bar-fill" });
    bar.style.width = `${Math.max(0.5, 100 * score)}%`;
    return h("li", {}, h("span", { class: "bar-label" }, label), h("span", { class: "bar-track", "aria-hidden": "true" }, bar), h("span", { class: "num small" }, t.percent(score)));
  });
  const known = answer.known_score ?? null;
  const note = known !== null && h("p", { class: "small" }, t.result.known(known));
  return h("div", {}, h("ul", { class: "bars" }, rows), note);
}
