// An alarm as a page shows it: what happened, the cure, the chart and the samples that show it, and asking people about it.
import { request } from "./api.js";
import { action, failure, h } from "./dom.js";
import { plural } from "./format.js";
import { copyRaterLink } from "./label_raters.js";
import { canBeJudged, runName } from "./runs_shared.js";

const NUM_SAMPLES = 50;

// Which metric shows an alarm; what is not here is shown by no chart.
const CHARTS = {
  zero_reward_spread: "reward",
  reward_divergence: "reward",
  heldout_regression: "reward",
  zero_gradient: "gradient_norm",
  exploding_gradient: "gradient_norm",
  not_a_number: "gradient_norm",
  saturated_ratio: "ratio/clipped_share",
  entropy_collapse: "entropy",
  everything_filtered: "groups/kept",
  diversity_collapse: "diversity",
  near_duplicates: "near_duplicates",
  far_from_reference: "kl",
  dominant_reward: "reward_share",
};
// What pictures show, so that people can say whether it is as bad as it looks.
const IN_PICTURES = ["zero_reward_spread", "reward_divergence", "heldout_regression", "entropy_collapse", "diversity_collapse", "near_duplicates", "far_from_reference", "dominant_reward"];

/** The place of a metric's chart on a run's page. */
export const chartId = (key) => `chart-${key.replace(/[^a-z]+/g, "-")}`;

/** The alarm of an event; on the run's own page links to charts stay there, `elsewhere` they lead to it. */
export function alarmLine(run, event, elsewhere = false) {
  const { body } = event;
  const page = `/run?id=${run.id}`;
  const chart = CHARTS[body.code];
  const isSeen = IN_PICTURES.includes(body.code);
  const links = [
    chart ? h("a", { href: `${elsewhere ? page : ""}#${chartId(chart)}` }, "chart") : null,
    isSeen ? h("a", { href: `/groups?id=${run.id}&step=${body.step}` }, `samples of step ${body.step}`) : null,
  ].filter(Boolean);
  return h(
    "div",
    {},
    elsewhere ? [h("a", { href: page }, runName(run)), " "] : null,
    h("span", { class: `u-alarm u-${body.severity}` }, body.message),
    " ",
    h("span", { class: "u-muted" }, body.cure),
    h("div", { class: "u-row u-alarm-row" }, ...links, isSeen && canBeJudged(run) ? askPeople(run, { step: body.step, key: `alarm-${event.seq}` }) : null),
  );
}

/**
 * One click asks people about some of a run's samples. The key makes one task of it however often it is clicked, in
 * whatever tab; what stands in the button's place then leads on.
 */
export function askPeople(run, { step = null, key, label = `Send ${NUM_SAMPLES} samples to people`, kind = "small" }) {
  const place = h("span", { class: "u-ask", "aria-live": "polite" });
  const button = action(
    label,
    async () => {
      button.textContent = "Making pairs …";
      try {
        const headers = { "Idempotency-Key": `people-${run.id}-${key}` };
        const { data: task } = await request("POST", `/runs/${run.id}/label-tasks`, { num_samples: NUM_SAMPLES, step }, headers);
        place.replaceChildren(...asked(task));
        place.querySelector("a").focus();
      } catch (error) {
        button.textContent = label;
        place.replaceChildren(button, failure(error));
        button.focus();
      }
    },
    kind,
  );
  place.append(button);
  return place;
}

/** What stands in the button's place: the task, and the first rater's link. */
function asked(task) {
  return [
    h("a", { href: `/label?id=${task.id}`, title: task.name }, `Asked: ${plural(task.num_pairs, "pair")}, ${plural(task.votes_per_pair, "vote")} each`),
    action("Copy a rater's link", (button) => copyRaterLink(task, button), "small"),
  ];
}
