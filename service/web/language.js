/** Which language's texts are shown: one file each, `texts.js` in English. */

import { texts as english } from "./texts.js";

/** A further language is one more file like `texts.js`, and one line here: `de: () => import("./texts.de.js")`. */
const LANGUAGES = {};

const wanted = (navigator.languages ?? []).map((tag) => tag.split("-")[0].toLowerCase());
const found = wanted.slice(0, Math.max(0, wanted.indexOf("en")) || wanted.length).find((tag) => tag in LANGUAGES);

/** The texts, by section; what a language lacks is in English. */
export const t = found ? overlaid(english, (await LANGUAGES[found]()).texts) : english;
export const language = found ?? "en";

function overlaid(below, above) {
  const isGroup = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const entries = Object.keys(below).map((key) => {
    if (!(key in above)) return [key, below[key]];
    return [key, isGroup(below[key]) ? overlaid(below[key], above[key]) : above[key]];
  });
  return Object.fromEntries(entries);
}
