/** The page: its sections, which of them is shown, and which adapter they are about. */

import { channel } from "./channel.js";
import { button, h, newId, select, show } from "./dom.js";
import { askForKey, useKey } from "./key.js";
import { language, t } from "./language.js";
import { listen } from "./listen.js";
import { stop } from "./player.js";
import { announce, problem } from "./problem.js";
import { stopRecording } from "./record-button.js";
import { service } from "./service.js";
import { state } from "./state.js";
import { hasUntaught, teach } from "./teach.js";
import { tryOut } from "./try.js";
import { understand } from "./understand.js";

/** Those that are about an adapter, and can only be shown when there is one, have `needsAdapter`. */
const SECTIONS = {
  teach: { open: teach },
  try: { open: tryOut, needsAdapter: true },
  listen: { open: listen, needsAdapter: true },
  understand: { open: understand, needsAdapter: true },
  channel: { open: channel, needsAdapter: true },
  service: { open: service },
};

const main = document.getElementById("main");
const [nav, tools] = ["nav", "tools"].map((id) => document.getElementById(id));
let leave = null;
let shown = null; // section and adapter

start();

async function start() {
  document.documentElement.lang = language;
  drawNav();
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  try {
    state.info = await state.client.info();
    if (state.info.needs_key && !state.client.key) await askForKey(useKey);
    else await useKey(state.client.key);
  } catch (error) {
    if (error.status !== 401) return void show(main, problem(error), button(t.again, () => location.reload()));
    await askForKey(useKey);
  }
  state.addEventListener("change", () => {
    drawTools();
    if (SECTIONS[wanted()].needsAdapter && shown?.name !== state.name) open();
  });
  addEventListener("hashchange", () => {
    open();
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
  // What is dropped beside everything that takes drops must not make the browser leave the page.
  for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
  addEventListener("beforeunload", (event) => (state.corrections.size || hasUntaught()) && event.preventDefault());
  drawTools();
  open();
}

function wanted() {
  const name = location.hash.slice(1);
  return name in SECTIONS ? name : "teach";
}

function open() {
  const name = wanted();
  leave?.();
  stop();
  stopRecording();
  const section = h("section", { class: `section section-${name}` });
  show(main, section);
  drawNav();
  document.title = `${t.nav[name]} · earshot`;
  shown = { section: name, name: state.name };
  if (SECTIONS[name].needsAdapter && !state.adapter) leave = void nothingYet(section, name);
  else leave = SECTIONS[name].open(section) ?? null;
}

function nothingYet(section, name) {
  show(section, h("h1", {}, t.nav[name]), h("p", { class: "lead" }, t.noAdapter), h("a", { class: "button primary", href: "#teach" }, t.teach.teach));
}

function drawNav() {
  const now = wanted();
  show(nav, Object.keys(SECTIONS).map((name) => h("a", { href: `#${name}`, "aria-current": name === now ? "page" : null }, t.nav[name])));
  // Not by scrollIntoView: Chromium then goes on from there by Tab, past the link that skips the navigation.
  const [bar, link] = [nav, nav.querySelector("[aria-current]")].map((element) => element.getBoundingClientRect());
  nav.scrollLeft += link.left - bar.left - (bar.width - link.width) / 2;
}

function drawTools() {
  const id = newId("adapter");
  const names = state.adapters.filter((row) => row.adapter).map((row) => [row.name, row.name]);
  const choice = names.length > 0 && [
    h("label", { for: id, class: "unseen" }, t.adapter),
    select(names, state.name, (name) => {
      state.choose(name);
      announce(t.chosen(name));
    }, { id }),
  ]; // prettier-ignore
  const forget = state.client.key && button(t.key.forget, () => {
    state.setKey(null);
    location.reload();
  }, { class: "link" }); // prettier-ignore
  show(tools, choice, forget);
}
