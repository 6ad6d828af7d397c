/** The corrections that wait for the adapter's next version. */

import { button, h, show } from "./dom.js";
import { findings } from "./findings.js";
import { followJob } from "./job-progress.js";
import { t } from "./language.js";
import { announce, working } from "./problem.js";
import { state } from "./state.js";

/** A bar that is there while there is something to teach. */
export function tray() {
  const place = h("div");
  const text = h("p");
  const teach = button(t.tray.teach, submit, { class: "primary" });
  const drop = button(t.tray.discard, () => state.corrections.clear());
  const bar = h("div", { class: "tray row", role: "region", "aria-label": t.tray.title }, text, teach, drop);
  const element = h("div", { class: "tray-place" }, bar, place);
  const update = () => {
    bar.hidden = state.corrections.size === 0;
    text.textContent = t.tray.waiting(state.corrections.size, state.name);
  };
  state.corrections.onChange = () => {
    update();
    if (state.corrections.size) announce(text.textContent);
  };
  update();

  async function submit() {
    await working(teach, place, async () => {
      const { added, removed, relabelled } = state.corrections;
      const sounds = {};
      const background = [];
      for (const { label, clip } of added) (label === null ? background : (sounds[label] ??= [])).push(await clip.upload());
      const options = { background, remove: [...removed], relabel: Object.fromEntries(relabelled) };
      const job = await followJob(place, (onProgress) => state.client.add(state.name, sounds, { ...options, onProgress }));
      state.corrections.clear();
      await state.loadAdapters();
      const isCurrent = job.promoted?.current !== false;
      const { name, version } = job.adapter;
      const words = isCurrent ? t.teach.taught(name, version) : t.tray.standsBy(name, version, job.promoted.reason);
      show(place, h("div", { class: "card is-good", role: "status" }, h("p", {}, words), findings(job)));
    });
  }

  return element;
}

/** "Wrong? It was ...": a choice of labels, one that is new among them, and the background. */
export function correction(labels, onLabel, { takesBackground = true } = {}) {
  const control = h(
    "select",
    { class: "wrong", "aria-label": t.tray.wrongLong, on: { change: choose } },
    h("option", { value: "" }, t.tray.wrong),
    labels.map((label) => h("option", { value: `=${label}` }, label)),
    takesBackground && h("option", { value: "background" }, t.tray.background),
    h("option", { value: "new" }, t.tray.another),
  );
  const field = h("span");

  function choose() {
    const { value } = control;
    show(field);
    if (value === "background") onLabel(null);
    else if (value.startsWith("=")) onLabel(value.slice(1));
    else if (value === "new") {
      const input = h("input", { type: "text", "aria-label": t.teach.name, placeholder: t.teach.namePlaceholder });
      show(field, input, button(t.tray.take, () => input.value.trim() && onLabel(input.value.trim())));
      input.focus();
    }
  }

  return h("span", { class: "field-row" }, control, field);
}
