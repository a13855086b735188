// The form that makes a label task of a run's pictures: which pairs, how many votes, and what raters are told.
import { get, post } from "./api.js";
import { action, card, empty, failure, h, query, select, setOptions, show } from "./dom.js";
import { ago, plural } from "./format.js";
import { canBeJudged, candidates, runName } from "./runs_shared.js";

// What pairs can be made of a run of each kind: `[kind of source, words]`.
const RUNS = ["runs", "This run against another"];
const SOURCES = {
  evaluate: [["evaluation", "Two of its policies, the same seeds"], RUNS],
  train: [["within_group", "Two samples of one training group"], ["checkpoints", "An early step against a late one"], RUNS],
  sample: [["sampling", "Two seeds of one prompt"], RUNS],
};
const ONE_OF_SEVERAL = "The evaluation has several: pairs take the pictures of this one alone.";
const STRATEGIES = [
  ["shuffled", "In an order of each rater's own"],
  ["most_informative", "The most informative next"],
];

/** The form in its card; `close()` takes it away again. */
export function createForm(close) {
  const body = h("div", {}, h("p", { class: "u-chart-none" }, "Looking for runs with pictures …"));
  const cancel = h("button", { class: "u-btn quiet u-push", type: "button", onclick: close }, "Close");
  const start = async () => {
    try {
      const runs = (await get("/runs?limit=100")).data.filter(canBeJudged);
      const wanted = query("run");
      if (wanted && !runs.some((run) => run.id === wanted)) runs.unshift(await get(`/runs/${wanted}`));
      if (runs.length) fill(body, runs, wanted, await usualGuideline());
      else show(body, nothing());
    } catch (error) {
      show(body, failure(error, start));
    }
  };
  start();
  return card("New label task", body, cancel);
}

function nothing() {
  return empty(
    "There are no pictures to judge yet",
    "Pairs are made of an evaluation with a base, of a training run's groups, or of a sample run with several seeds.",
    h("a", { class: "u-btn u-main", href: "/launch?recipe=mini-geneval" }, "Launch an evaluation"),
  );
}

/** The contract knows what raters are told unless somebody writes something else. */
async function usualGuideline() {
  const contract = await get("/openapi.json");
  return contract.components.schemas.LabelTaskCreate.properties.guideline.default;
}

function fill(body, runs, wanted, guideline) {
  const options = runs.map((run) => [run.id, `${runName(run)} (${run.kind}, ${ago(run.created_at)})`]);
  const fields = {
    run: select("Pictures of", options, () => renew(true)),
    kind: select("Pairs", [], () => renew()),
    other: select("The other run", [], () => renew(false, true)),
    policies: select("Policies", [], () => renew()),
    policy: select("Its policy", [], () => renew()),
    other_policy: select("The other run's policy", [], () => renew()),
    strategy: select("Next pair", STRATEGIES, () => renew()),
    name: h("input", { class: "u-input", maxlength: 120, "aria-label": "Name" }),
    num_pairs: number("Pairs at most", 100, 1, 10000),
    votes_per_pair: number("Votes a pair", 3, 1, 100),
    gold: number("Gold pairs", 0, 0, 1000),
    guideline: h("textarea", { class: "u-input u-area", rows: 5, maxlength: 10000, "aria-label": "Guideline" }),
  };
  if (wanted) fields.run.value = wanted;
  fields.guideline.value = guideline;
  const sum = h("p", { class: "u-small u-muted" }),
    refusal = h("div", {});
  const choices = {
    policies: labelled("Policies", "Raters see neither name.", fields.policies),
    policy: labelled("Its policy", ONE_OF_SEVERAL, fields.policy),
    other: labelled("The other run", "Pairs share prompt and seed.", fields.other),
    other_policy: labelled("The other run's policy", ONE_OF_SEVERAL, fields.other_policy),
  };
  const of = (field) => runs.find((run) => run.id === field.value);
  const renew = (isOther = false, isSecond = false) => {
    const run = of(fields.run);
    if (isOther) {
      setOptions(fields.kind, SOURCES[run.kind] ?? []);
      setOptions(fields.other, options.filter(([id]) => id !== run.id));
      setOptions(fields.policies, couplesOf(labelsOf(run)));
      setLabels(fields.policy, run);
      fields.name.value = runName(run).slice(0, 120);
    }
    if (isOther || isSecond) setLabels(fields.other_policy, of(fields.other));
    const isOfTwo = fields.kind.value === "runs";
    choices.other.hidden = !isOfTwo;
    choices.policies.hidden = fields.kind.value !== "evaluation";
    choices.policy.hidden = !isOfTwo || fields.policy.options.length < 2;
    choices.other_policy.hidden = !isOfTwo || fields.other_policy.options.length < 2;
    sum.textContent = sumOf(fields);
  };
  for (const field of [fields.num_pairs, fields.votes_per_pair, fields.gold]) field.addEventListener("input", () => renew());
  const create = action(
    "Create",
    async () => {
      show(refusal);
      try {
        const task = await post("/label-tasks", wantedTask(fields));
        location.href = `/label?id=${task.id}`;
      } catch (error) {
        show(refusal, failure(error));
      }
    },
    "u-main",
  );
  show(body, layout(fields, choices), h("div", { class: "u-row", style: "margin-top:16px" }, create, sum), refusal);
  renew(true);
}

/** Each two of some labels, as `[value, words]`. */
function couplesOf(labels) {
  const couples = labels.flatMap((first, index) => labels.slice(index + 1).map((second) => [first, second]));
  return couples.map((couple) => [JSON.stringify(couple), couple.join(" against ")]);
}

/** The policies of an evaluation; whatever else makes pictures has one alone, and its label is `policy`. */
const labelsOf = (run) => (run?.kind === "evaluate" ? candidates(run) : ["policy"]);

function setLabels(field, run) {
  setOptions(field, labelsOf(run).map((label) => [label, label]));
  field.value = "policy";
}

function layout(fields, choices) {
  const gold = "Clear pairs whose answer the rewards know, unmarked among the others: they tell whether a rater looks. Pairs of your own: gold_pairs of the API.";
  return h(
    "div",
    { class: "u-form-grid" },
    labelled("Pictures of", "A run that has made some.", fields.run),
    labelled("Pairs", "Both pictures are of one prompt.", fields.kind),
    ...Object.values(choices),
    labelled("Name", "Raters never see it.", fields.name),
    labelled("Pairs at most", "Prompts take turns.", fields.num_pairs),
    labelled("Votes a pair", "By as many raters; two or more show how far they agree.", fields.votes_per_pair),
    labelled("Gold pairs", gold, fields.gold),
    labelled("Next pair", "Informative = where the votes so far leave most open.", fields.strategy),
    labelled("Guideline", "What raters read before their first pair. It can be changed later.", fields.guideline, "u-wide"),
  );
}

function labelled(name, help, field, kind = "") {
  return h("label", { class: kind }, h("b", {}, name), h("span", { class: "u-small u-muted" }, help), field);
}

function number(name, value, min, max) {
  return h("input", { class: "u-input", type: "number", value, min, max, step: 1, "aria-label": name });
}

function sumOf({ num_pairs: pairs, votes_per_pair: votes, gold }) {
  const each = Number(pairs.value) + Number(gold.value);
  const all = Number(pairs.value) * Number(votes.value);
  return `At most ${plural(all, "vote")}: ${plural(Number(votes.value), "rater")} with ${plural(each, "pair")} each, or more raters with fewer.`;
}

function wantedTask(fields) {
  const kind = fields.kind.value;
  return {
    name: fields.name.value,
    guideline: fields.guideline.value,
    source: {
      kind,
      run_id: fields.run.value,
      other_run_id: kind === "runs" ? fields.other.value || null : null,
      ...(kind === "evaluation" ? { policies: JSON.parse(fields.policies.value) } : {}),
      ...(kind === "runs" ? { run_policies: [fields.policy.value, fields.other_policy.value] } : {}),
    },
    strategy: fields.strategy.value,
    num_pairs: Number(fields.num_pairs.value),
    votes_per_pair: Number(fields.votes_per_pair.value),
    gold: { num_pairs: Number(fields.gold.value) },
  };
}
