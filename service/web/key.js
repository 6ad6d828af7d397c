/** The key: asked for where one is needed, and kept for this session alone. */

import { h, newId, show } from "./dom.js";
import { t } from "./language.js";
import { problem } from "./problem.js";
import { state } from "./state.js";

/** Ask for a key until one is good; `isGood(key)` raises where it is not. */
export function askForKey(isGood) {
  const id = newId("key");
  const place = h("div");
  const input = h("input", { id, type: "password", autocomplete: "off", required: true });
  const submit = h("button", { type: "submit", class: "primary" }, t.key.use);
  const form = h("form", { method: "dialog" }, h("h1", {}, t.key.title), h("p", {}, t.key.lead), h("label", { for: id }, t.key.label), input, place, h("p", { class: "small" }, t.key.kept), submit);
  const dialog = h("dialog", { class: "key", "aria-label": t.key.title }, form);
  document.body.append(dialog);
  dialog.addEventListener("cancel", (event) => event.preventDefault()); // without a key there is nothing behind it
  dialog.showModal();
  input.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      show(place);
      try {
        await isGood(input.value.trim());
        dialog.close();
        dialog.remove();
        resolve();
      } catch (error) {
        show(place, problem(error));
        input.select();
      } finally {
        submit.disabled = false;
      }
    });
  });
}

export async function useKey(key) {
  state.setKey(key);
  try {
    await state.loadAdapters();
  } catch (error) {
    if (error.status === 401) state.setKey(null);
    throw error;
  }
}
