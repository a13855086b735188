// What the policies of an evaluation are called on the page, and the API's words for two of them. Pure functions.

const NAMES = { policy: "tuned" };

export const nameOf = (label) => NAMES[label] ?? label;

/** All labels of an evaluation, the one that the others are compared to first. */
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

/** How many prompts are shown: own ones are all used, whatever num_prompts says; null where only the run will tell. */
export function numPrompts({ config, scores }) {
  return config.prompts.texts.length || scores[0]?.num_prompts || (config.prompts.prompt_set ? null : config.num_prompts);
}
