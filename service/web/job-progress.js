/** A job as it goes on: what it does, how far it is, how long it still takes, and a way to stop it. */

import { button, h, show } from "./dom.js";
import { t } from "./language.js";
import { announce } from "./problem.js";
import { state } from "./state.js";

/** Follow a submission in `place`; `submit(onProgress)` sends it. Resolves to the job, or raises its error. */
export async function followJob(place, submit) {
  const bar = h("progress", { "aria-label": t.job.progress });
  const phase = h("p", {}, t.job.sending);
  const left = h("p", { class: "small num" });
  const actions = h("div");
  show(place, h("div", { class: "job-progress" }, phase, bar, left, actions));
  let lastPhase = "";
  const onProgress = (job) => {
    const text = phaseOf(job);
    if (text !== lastPhase) announce((lastPhase = text));
    phase.textContent = text;
    const { epoch = 0, epochs = 0, eta_s: etaS = null } = job.progress ?? {};
    if (epochs > 0) [bar.max, bar.value] = [epochs, epoch];
    else bar.removeAttribute("value");
    left.textContent = etaS === null ? "" : t.job.left(etaS);
    if (!actions.childElementCount && ["queued", "running"].includes(job.state)) {
      const cancel = button(t.job.cancel, async () => {
        cancel.disabled = true;
        await state.client.cancel(job.id).catch(() => (cancel.disabled = false));
      });
      actions.append(cancel);
    }
  };
  try {
    return await submit(onProgress);
  } finally {
    show(place);
  }
}

export function phaseOf(job) {
  if (job.state !== "running") return t.job.states[job.state] ?? job.state;
  const phase = job.progress?.phase ?? "";
  const kind = phase.split("_")[0];
  return t.job.phases[phase] ?? t.job.phases[kind] ?? t.job.states.running;
}
