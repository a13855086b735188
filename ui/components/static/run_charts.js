// Which charts a run shows: the reward with its parts and spread, the health of training, and credit by unmasking step.
import { chartId } from "./alarms.js";
import { bars, lineChart } from "./chart.js";
import { card, h } from "./dom.js";
import { figure } from "./format.js";
import { rewardColour } from "./board.js";
import { scoreTable } from "./scores.js";
import { absent } from "./runs_shared.js";

const BLUE = "var(--u-series-blue)";

// Key, name, unit, floor of the axis. Shown in this order where the run reports them.
const HEALTH = [
  ["entropy", "Entropy", "nats", null],
  ["advantage/std", "Advantage spread", "", 0],
  ["gradient_norm", "Gradient norm", "before clipping", 0],
  ["ratio/clipped_share", "Clipped share", "", 0],
  ["kl", "KL to reference", "nats", 0],
  ["ratio/mean", "Ratio", "new / old", null],
  ["loss", "Loss", "", null],
  ["groups/kept", "Groups kept", "a step", 0],
  ["diversity", "Diversity", "within groups", 0],
  ["near_duplicates", "Near-duplicates", "share of pairs", 0],
  ["learning_rate", "Learning rate", "", 0],
  ["throughput/samples_per_second", "Rollout", "pictures/s", 0],
  ["seconds/update", "Update", "seconds", 0],
];

// Runs of before it was measured, and those on re-maskings, have none: there is nothing to wait for.
const GAP = ["log_prob_gap", "Sampler against learner", "nats a term", 0];

export function chartsFor(run, points) {
  return run.kind === "train" ? trainCharts(run, points) : otherCharts(run, points);
}

function trainCharts(run, points) {
  const rewards = run.config.rewards.map(({ name }) => ({
    key: `reward/${name}`,
    label: name.replaceAll("_", " "),
    colour: rewardColour(name),
  }));
  const series = [
    { key: "reward/mean", label: "total", colour: "var(--u-series-total)", band: "reward/std_within" },
    ...(rewards.length > 1 ? rewards : []),
    { key: "heldout/overall", label: "held-out", colour: "var(--u-series-vermillion)", dots: true },
    { key: "heldout/strict", label: "held-out strict", colour: "var(--u-series-sky)", dots: true },
  ];
  const reward = card(
    "Reward",
    lineChart(points, { series, height: 240, low: 0, label: "reward by step", why: waiting(run) }),
    h("span", { class: "u-small u-muted" }, "band: spread within groups"),
  );
  const health = card(
    "Health",
    h(
      "div",
      { class: "u-smalls" },
      ...HEALTH.map(([key, name, unit, low]) => small(points, key, name, unit, low, run)),
      shares(points, run),
      gap(points, run),
    ),
  );
  reward.id = chartId("reward");
  const credit = creditCard();
  const look = () => {
    for (const element of [health, credit.element]) element.hidden = points.byStep.size === 0;
  };
  points.listeners.add(look);
  look();
  const take = (body) => {
    if (body.type === "step") credit.draw(body.step, body.credit);
    if (body.type === "score" && body.policy !== "difference")
      points.add(body.step, { "heldout/overall": body.values.overall, "heldout/strict": body.values.strict });
  };
  return { elements: [reward, health, credit.element], take };
}

function small(points, key, name, unit, low, run) {
  return h(
    "div",
    { id: chartId(key) },
    h("h3", {}, name, unit ? h("span", {}, ` ${unit}`) : null),
    lineChart(points, {
      series: [{ key, label: "", colour: BLUE }],
      height: 104,
      low,
      label: `${name} by step`,
      legend: false,
      end: 56,
      why: waiting(run),
    }),
  );
}

function gap(points, run) {
  const [key, name, unit, low] = GAP,
    chart = small(points, key, name, unit, low, run),
    place = () => (chart.hidden = !points.series(key).length);
  place();
  points.listeners.add(place);
  return chart;
}

/** Which of several rewards the groups differ by: what one reward's dominance is seen in. */
function shares(points, run) {
  const weighted = run.config.rewards.filter(({ weight }) => weight !== 0);
  if (weighted.length < 2) return null;
  const series = weighted.map(({ name }) => ({ key: `reward_share/${name}`, label: name.replaceAll("_", " "), colour: rewardColour(name) }));
  const chart = lineChart(points, { series, height: 104, low: 0, high: 1, label: "share of the spread by reward and step", why: waiting(run) });
  return h("div", { id: chartId("reward_share") }, h("h3", {}, "Share of spread", h("span", {}, " by reward")), chart);
}

/** Why a chart is empty now: asked anew whenever it is drawn, for a run that waits may have ended meanwhile. */
function waiting(run) {
  return () =>
    absent(run, {
      coming: "The first point comes with the first step.",
      never: "The run ended before it had reported any such figure.",
    });
}

/** Runs that do not train: their scores, and a small chart for every metric that is reported more than once. */
function otherCharts(run, points) {
  const grid = h("div", { class: "u-smalls" }),
    known = new Set(),
    scores = scoreTable(),
    facts = h("div", { class: "u-legend" });
  const note = h("p", { class: "u-chart-none" });
  const look = () => {
    const names = [...new Set([...points.byStep.values()].flatMap((values) => Object.keys(values)))];
    const isCurve = points.byStep.size > 1;
    for (const key of isCurve ? names.filter((name) => !known.has(name)) : []) {
      known.add(key);
      grid.append(small(points, key, key.replaceAll("_", " "), "", null, run));
    }
    const last = [...points.byStep.values()].at(-1) ?? {};
    facts.replaceChildren(
      ...(isCurve || scores.isFilled()
        ? []
        : names.map((name) => h("span", {}, `${name.replaceAll("_", " ")} `, h("b", {}, figure(last[name]))))),
    );
    note.hidden = names.length > 0 || scores.isFilled();
    note.textContent = waiting(run)();
  };
  look();
  points.listeners.add(look);
  const take = (body) => {
    if (body.type === "score") {
      scores.take(body);
      look();
    }
  };
  return { elements: [card("Figures", h("div", { class: "u-stack" }, scores.element, facts, note, grid))], take };
}

const CREDIT = {
  gradient_share: "gradient share",
  log_prob: "log-prob",
  ratio: "ratio",
  clipped_share: "clipped share",
  kl: "KL",
};

function creditCard() {
  const body = h(
      "div",
      { class: "u-smalls" },
      h("p", { class: "u-chart-none" }, "Which unmasking steps carry the gradient: drawn with the first step."),
    ),
    at = h("span", { class: "u-small u-muted" });
  const draw = (step, credit) => {
    const known = Object.keys(CREDIT)
      .map((key) => [key, credit[key] ?? []])
      .filter(([, values]) => values.some((value) => typeof value === "number"));
    if (!known.length) return;
    at.textContent = `at step ${step}, first to last unmasking step`;
    body.replaceChildren(
      ...known.map(([key, values]) =>
        h(
          "div",
          { class: "u-bars" },
          h("h3", {}, CREDIT[key] ?? key.replaceAll("_", " ")),
          bars(values, { height: 56, label: `${CREDIT[key] ?? key} by unmasking step` }),
        ),
      ),
    );
  };
  return { element: card("Credit by unmasking step", body, at), draw };
}
