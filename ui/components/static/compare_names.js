// What the policies of an evaluation are called on the page, and the API's words for two of them. Pure functions.
import { query } from "./api.js";

const NAMES = { policy: "tuned" };

export const nameOf = (label) => NAMES[label] ?? label;

/** All labels of an evaluation, first the one that the others are compared to unless another is chosen. */
export function labelsOf(config) {
  return [...(config.base ? ["base"] : []), "policy", ...config.policies.map((each) => each.label)];
}

/** What each policy was loaded from, by label. */
export function sourcesOf(config) {
  const others = config.policies.map((each) => [each.label, each.source]);
  return Object.fromEntries([["base", config.base?.source], ["policy", config.policy.source], ...others].filter(([, source]) => source));
}

/** The query that names the two policies; empty where they are base and policy, as the API takes them unasked. */
export function twoOf({ base, policy }) {
  return { base: base === "base" ? "" : base, policy: policy === "policy" ? "" : policy };
}

/** What the API calls a policy's difference, to whichever policy it is. */
export const differenceName = (label) => (label === "policy" ? "difference" : `difference:${label}`);

/** The API's address of an evaluation's figures compared to a policy. */
export function figuresOf(id, base, config) {
  return query(`/evaluations/${id}`, { base: base === labelsOf(config)[0] ? "" : base });
}

/** How many prompts are shown: own ones are all used, whatever num_prompts says; null where only the run will tell. */
export function numPrompts({ config, scores }) {
  return config.prompts.texts.length || scores[0]?.num_prompts || (config.prompts.prompt_set ? null : config.num_prompts);
}
