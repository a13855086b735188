// What the Label pages and Home say of a task: whether it is open, and how many of its votes have come in.
import { h } from "./dom.js";

export const isOpen = (task) => task.status === "open";

export function openness(task) {
  return h("span", { class: `u-status ${isOpen(task) ? "running" : "cancelled"}` }, task.status);
}

const ofPeople = (task) => task.num_votes - task.num_simulated_votes;

/** Whether people are still asked: programs fill no place of theirs. */
export const isAsking = (task) => isOpen(task) && ofPeople(task) < task.num_votes_wanted;

/** People's votes of those that are wanted, `noun` behind them; programs' are told apart. */
export function votesOf(task, noun = "") {
  const told = `${ofPeople(task)} of ${task.num_votes_wanted}${noun && ` ${noun}`}`;
  return task.num_simulated_votes ? `${told}, ${task.num_simulated_votes} simulated` : told;
}

export function taskProgress(task) {
  const share = task.num_votes_wanted ? Math.min(ofPeople(task) / task.num_votes_wanted, 1) : 0;
  const bounds = { "aria-valuemin": 0, "aria-valuemax": task.num_votes_wanted || 1, "aria-valuenow": ofPeople(task) };
  return h(
    "div",
    { class: "u-progress", role: "progressbar", "aria-label": "votes", ...bounds },
    h("div", { style: `width:${(100 * share).toFixed(1)}%` }),
  );
}

/** Raters that a program stands for are told as such wherever they appear. */
export function raterName(rater) {
  const mark = rater.is_simulated ? [" ", h("span", { class: "u-tag", title: "A program votes here, no person" }, "simulated")] : [];
  return h("span", {}, rater.label || "without a name", ...mark);
}
