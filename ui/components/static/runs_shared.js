// What several pages say about a run: its name, its progress, the reward it is known by, what may be asked of it.
import { action, h, toast } from "./dom.js";
import { TERMINAL, get, verb } from "./api.js";
import { plural } from "./format.js";

export { TERMINAL };

export function runName(run) {
  return run.name || `${run.kind} ${run.id.slice(-8)}`;
}

/** Which recipe a run is based on, and how much of it was changed; what exactly, on hover. */
export function origin(run) {
  if (!run.recipe) return h("span", {}, "own configuration");
  if (run.recipe_changes === null) return h("span", {}, `based on ${run.recipe}, which is no longer shipped`);
  if (!run.recipe_changes.length) return h("span", {}, `recipe ${run.recipe}`);
  const words = `based on ${run.recipe}, ${plural(run.recipe_changes.length, "setting")} changed`;
  return h("span", { title: run.recipe_changes.join("\n") }, words);
}

/** The one reward a sparkline shows. */
export function headlineReward(metrics) {
  return metrics["reward/mean"] ?? metrics.reward ?? metrics["policy/correct"] ?? metrics["choosing/accuracy"] ?? metrics.loss ?? null;
}

export function progress(run) {
  const share = run.num_steps ? run.step / run.num_steps : 0;
  return h(
    "div",
    {
      class: "u-progress",
      role: "progressbar",
      "aria-label": "progress",
      "aria-valuemin": 0,
      "aria-valuemax": run.num_steps || 1,
      "aria-valuenow": run.step,
    },
    h("div", { style: `width:${(share * 100).toFixed(1)}%` }),
  );
}

/** What can be asked of a run in its state: `[name of the verb, label, what the toast says]`. */
function verbsFor(run) {
  if (TERMINAL.includes(run.status)) return [];
  const cancel = ["cancel", "Cancel", "Cancel is asked for: the run ends within one step."];
  if (run.status === "queued") return [cancel];
  if (run.status === "paused") return [["resume", "Resume", "The run goes on from its checkpoint."], cancel];
  const pause = ["pause", "Pause", "Pause is asked for: the run saves where it is and stops within one step."];
  if (run.kind === "sample" || run.kind === "evaluate") return [pause, cancel];
  const save = ["save-checkpoint", "Save", "A checkpoint follows within one step."];
  if (run.kind === "reward_model") return [pause, save, cancel];
  return [pause, ["sample-now", "Sample now", "Pictures follow within one step."], save, cancel];
}

export function verbButtons(run, after) {
  return verbsFor(run).map(([name, label, words]) =>
    action(
      label,
      async () => {
        const changed = await verb(run.id, name);
        toast(words, 5);
        after(changed);
      },
      name === "cancel" ? "u-danger" : name === "resume" ? "u-main" : "",
    ),
  );
}

export function bundleLink(run) {
  const title = "The run in one file, with the hash of each part: unmask bundle verify and replay read it";
  return h("a", { class: "u-btn", href: `/api/v1/runs/${run.id}/bundle`, download: "", title }, "Bundle");
}

export function cloneButton(run) {
  return h("a", { class: "u-btn", href: `/launch?clone=${run.id}` }, "Clone");
}

/** The policies of an evaluation by label, the one that the others are compared to first. */
export function candidates({ config }) {
  return [config.base ? "base" : null, "policy", ...(config.policies ?? []).map((each) => each.label)].filter(Boolean);
}

/** Whether pairs for people can be made of a run's pictures. */
export function canBeJudged(run) {
  const isOfKind = run.kind === "train" || run.kind === "sample" || (run.kind === "evaluate" && candidates(run).length > 1);
  return Boolean(isOfKind && run.step > 0);
}

/**
 * The line that stands where something of a run is not there: why it is awaited, or that it will not come. `renew()`
 * says what holds now; `words` has a sentence for `coming` and one for `never`, and where it helps for `paused`.
 */
export function absence(run, words) {
  const element = h("p", { class: "u-chart-none" });
  const renew = () => {
    element.textContent = absent(run, words);
  };
  renew();
  return { element, renew };
}

export function absent(run, { coming, never, paused = "The run is paused: it goes on with Resume." }) {
  if (TERMINAL.includes(run.status)) return never;
  return { queued: "Waits for a worker.", paused }[run.status] ?? coming;
}

export const fetchRun = (id) => get(`/runs/${id}`);
