// What comes after a reward model: a run that trains on it, and that run compared again with what it began with.
import { h } from "./dom.js";
import { figure, shortId } from "./format.js";

/** The launch form, filled for a run that trains on the reward model. */
export const trainOn = (model) => `/launch?reward=${encodeURIComponent(model.source)}`;

/** The launch form, filled for an evaluation of a run's policy against what the run began with. */
export const compareAgain = (source) => `/launch?recipe=mini-geneval&policy=${source}`;

/** The page Try with a run's policy beside what the run began with. */
export const tryIt = (source) => `/try?policy=${source}`;

/** Each run that trained on a reward model, with the way to compare it again; or the way to the first one. */
export function trainedOn(model) {
  const runs = model.lineage.used_by;
  if (!runs.length) return [model.report && !model.refusal ? h("a", { href: trainOn(model) }, "no run yet: train one") : "no run yet"];
  return runs.map((id) => h("div", { class: "u-row" }, h("a", { class: "u-mono", href: `/run?id=${id}` }, shortId(id)), h("a", { class: "u-small", href: compareAgain(`run:${id}`) }, "compare again")));
}

/** An accuracy with its interval in one line; why there is none where there is none. */
export function accuracyOf({ report, status }) {
  if (!report?.accuracy) return status === "succeeded" ? "no held-out pair with a majority" : "not judged yet";
  const { value, low, high } = report.accuracy;
  return `accuracy ${figure(value)} [${figure(low)}, ${figure(high)}]`;
}
