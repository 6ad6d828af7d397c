/** Adapters, jobs and limits: what is there, and what may be. */

import { download } from "./exports.js";
import { button, h, newId, show, tableOf } from "./dom.js";
import { phaseOf } from "./job-progress.js";
import { t } from "./language.js";
import { announce, problem, working } from "./problem.js";
import { state } from "./state.js";
import { removal } from "./versions.js";

const NUM_JOBS = 20;

export function service(section) {
  const place = h("div");
  const jobs = h("section", { class: "card", "aria-label": t.service.jobs });
  const again = () => service(section);
  show(section, h("h1", {}, t.service.title), place, adaptersCard(again), jobs, limitsCard());
  working(null, place, async () => jobsCard(jobs, await state.client.jobs({ limit: NUM_JOBS }), again));
}

function adaptersCard(again) {
  const place = h("div");
  const rows = state.adapters.map((row) => {
    if (row.error) return h("tr", {}, h("th", { scope: "row" }, row.name), h("td", { colspan: 4 }, row.error.detail));
    const open = h("a", { href: "#understand", on: { click: () => state.choose(row.name) } }, row.name);
    const save = button(t.service.save, () => working(save, place, async () => {
      download(await state.client.exportFile(row.name), `${row.name}-${row.current}.safetensors`);
    }), { class: "link", "aria-label": t.service.saveLong(row.name) }); // prettier-ignore
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, open),
      h("td", {}, row.adapter.labels.join(", ")),
      h("td", { class: "num" }, t.service.version(row.current, row.versions.length)),
      h("td", { class: "num" }, t.bytes(row.adapter.size_bytes)),
      h("td", {}, h("span", { class: "row" }, save, removal(row.name, row, place, again, row.name))),
    );
  });
  const table = tableOf(t.service.adapters, [t.service.name, t.service.labels, t.versions.version, t.service.size, ""], rows);
  return h("section", { class: "card", "aria-label": t.service.adapters }, h("h2", {}, t.service.adapters), rows.length ? table : h("p", {}, t.noAdapter), importer(place, again), place);
}

function importer(place, again) {
  const id = newId("import");
  const name = h("input", { id, type: "text", placeholder: t.teach.adapterPlaceholder, autocomplete: "off" });
  const input = h("input", { type: "file", hidden: true, accept: ".safetensors", on: { change: take } });
  const control = button(t.service.import, () => (name.value.trim() ? input.click() : name.focus()));
  return h("p", { class: "field-row" }, h("label", { for: id }, t.service.importAs), name, control, input);

  async function take() {
    const made = await working(control, place, () => state.client.importFile(name.value.trim(), input.files[0]));
    input.value = "";
    if (!made) return;
    announce(t.service.imported(name.value.trim(), made.version));
    await state.loadAdapters();
    again();
  }
}

function jobsCard(section, jobs, again) {
  const place = h("div");
  const rows = jobs.map((job) => {
    const isLive = ["queued", "running"].includes(job.state);
    const cancel = button(t.job.cancel, async () => {
      if (await working(cancel, place, () => state.client.cancel(job.id))) again();
    });
    const made = job.adapter ? `${job.adapter.name}${job.adapter.version ? `@${job.adapter.version}` : ""}` : "–";
    return h(
      "tr",
      {},
      h("th", { scope: "row", class: "num" }, t.when(job.created_at)),
      h("td", {}, t.job.kinds[job.kind ?? "adapt"] ?? job.kind),
      h("td", {}, made),
      h("td", {}, phaseOf(job), job.error && problem(job.error)),
      h("td", {}, isLive && cancel),
    );
  });
  const table = tableOf(t.service.jobs, [t.service.started, t.service.kind, t.service.adapter, t.service.state, ""], rows);
  show(section, h("h2", {}, t.service.jobs), rows.length ? table : h("p", {}, t.service.noJobs), button(t.service.refresh, again), place);
}

function limitsCard() {
  const { model, version } = state.info;
  const facts = [
    [t.service.release, version],
    [t.service.model, `${model.name}, ${model.device}`],
    [t.service.licence, model.licence ?? t.service.noLicence],
    [t.service.fingerprint, model.fingerprint.slice(0, 12)],
  ];
  const limits = Object.entries(state.limits).map(([name, value]) => [t.limits[name] ?? name, limit(name, value)]);
  const list = [...facts, ...limits].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "num" }, value)));
  return h("section", { class: "card", "aria-label": t.service.limits }, h("h2", {}, t.service.limits), h("dl", { class: "facts" }, list));
}

function limit(name, value) {
  if (name.endsWith("_bytes")) return t.bytes(value);
  return name.endsWith("_s") && !name.endsWith("per_s") ? t.seconds(value) : value.toLocaleString();
}
