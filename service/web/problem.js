/** What went wrong, in the service's own words. */

import { h, show } from "./dom.js";
import { t } from "./language.js";

/** An error as it stands, with its code for whoever is asked about it. */
export function problem(error) {
  if (error?.name === "AbortError") return null;
  const code = error?.code && typeof error.code === "string" ? error.code : null;
  const detail = error?.detail ?? error?.message ?? t.problem.unexpected;
  return h("div", { class: "problem", role: "alert" }, h("p", {}, detail), code && h("p", { class: "small" }, code));
}

/** Do some work while a button rests; an error is shown in `place`. */
export async function working(button, place, work) {
  if (button) button.disabled = true;
  show(place);
  try {
    return await work();
  } catch (error) {
    console.debug(error);
    show(place, problem(error));
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

let announcer = null;

/** Say something to whoever listens to the page instead of looking at it. */
export function announce(text) {
  if (!announcer) {
    announcer = h("div", { class: "unseen", "aria-live": "polite" });
    document.body.append(announcer);
  }
  announcer.textContent = text;
}
