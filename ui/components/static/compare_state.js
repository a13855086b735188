// What a link to a comparison carries: the two policies, task, order, difference, view, the open pair and its look.
import { labelsOf } from "./compare_names.js";

const NUMBER = /^-?\d*\.?\d+$/;
const CHOICES = { order: ["worst", "best"], view: ["pairs", "grid"], look: ["slider", "beside", "replays"] };

/** The state that the address tells; what it tells wrongly is as if it were not there. */
export function readState(config, search = location.search) {
  const told = new URLSearchParams(search),
    labels = labelsOf(config);
  const state = { base: labels[0], policy: labels[1], task: told.get("task") ?? "", pair: told.get("pair") };
  if (labels.includes(told.get("base"))) state.base = told.get("base");
  if (labels.includes(told.get("policy"))) state.policy = told.get("policy");
  if (state.base === state.policy) state.policy = labels.find((label) => label !== state.base);
  for (const [name, values] of Object.entries(CHOICES)) state[name] = values.includes(told.get(name)) ? told.get(name) : values[0];
  for (const name of ["min_difference", "max_difference"]) state[name] = NUMBER.test(told.get(name) ?? "") ? told.get(name) : "";
  const sides = (told.get("sides") ?? "").split(" ");
  state.sides = sides.length === 2 && sides[0] !== sides[1] && sides.every((label) => labels.includes(label)) ? sides : null;
  return state;
}

/** The address of a state: what is as it would be unasked is left out. */
export function addressOf(id, state, config) {
  const labels = labelsOf(config);
  const usual = { base: labels[0], policy: labels[1], task: "", min_difference: "", max_difference: "" };
  const told = new URLSearchParams({ id });
  for (const [name, value] of Object.entries(usual)) if (state[name] !== value) told.set(name, state[name]);
  for (const name of ["order", "view"]) if (state[name] !== CHOICES[name][0]) told.set(name, state[name]);
  if (state.pair) {
    told.set("pair", state.pair);
    if (state.look !== CHOICES.look[0]) told.set("look", state.look);
    if (state.sides) told.set("sides", state.sides.join(" "));
  }
  return `/compare?${told}`;
}
