/** What the sections share: the client, the chosen adapter, and the corrections that wait for its next version. */

import { Earshot } from "./earshot.js";

const KEY = "earshot.key";
const CHOSEN = "earshot.adapter";

class State extends EventTarget {
  /** The service lies where this file's folder does, whatever prefix a proxy shows it under. */
  root = new URL("..", import.meta.url);
  client = new Earshot({ url: this.root, key: stored(KEY), retries: 4 });
  info = null;
  adapters = [];
  name = stored(CHOSEN); // in this tab, before it was loaded anew
  corrections = new Corrections();

  get limits() {
    return this.info?.limits ?? {};
  }

  get adapter() {
    return this.adapters.find((row) => row.name === this.name && row.adapter) ?? null;
  }

  setKey(key) {
    this.client.key = key || null;
    store(KEY, key);
  }

  async loadAdapters() {
    this.adapters = await this.client.adapters();
    if (!this.adapter) this.name = this.adapters.find((row) => row.adapter)?.name ?? null;
    this.changed();
  }

  choose(name) {
    if (name === this.name) return;
    this.name = name;
    store(CHOSEN, name);
    this.corrections.clear();
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** What is to be different in the next version of the chosen adapter. */
class Corrections {
  onChange = () => {}; // of the bar that shows them
  added = []; // {label, clip, id}; a label of null is the background, and an id that of the kept clip that goes there
  removed = new Set(); // ids of clips that are kept
  relabelled = new Map(); // id: label

  get size() {
    const moved = this.added.filter(({ id }) => id).length; // each is removed and added
    return this.added.length + this.removed.size + this.relabelled.size - moved;
  }

  add(label, clip) {
    this.added = this.added.filter((row) => row.clip !== clip);
    this.added.push({ label, clip });
    this.changed();
  }

  remove(id) {
    this.undo(id);
    this.removed.add(id);
    this.changed();
  }

  relabel(id, label) {
    this.undo(id);
    this.relabelled.set(id, label);
    this.changed();
  }

  /** No kept clip is relabelled to the background: it is taken out, and sent again as one of the background. */
  toBackground(id, clip) {
    this.undo(id);
    this.removed.add(id);
    this.added.push({ label: null, clip, id });
    this.changed();
  }

  undo(id) {
    this.added = this.added.filter((row) => row.id !== id);
    this.removed.delete(id);
    this.relabelled.delete(id);
    this.changed();
  }

  clear() {
    this.added = [];
    this.removed.clear();
    this.relabelled.clear();
    this.changed();
  }

  changed() {
    this.onChange();
  }
}

/** Remember in this tab, as far as storage is not forbidden; then the key is asked for at each visit. */
function store(name, value) {
  try {
    if (value) sessionStorage.setItem(name, value);
    else sessionStorage.removeItem(name);
  } catch {}
}

function stored(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

export const state = new State();
