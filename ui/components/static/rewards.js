// Rewards: what a run can be trained on. The learned ones come first, each with what it is worth and where it is from.
import { TERMINAL, get, query as url } from "./api.js";
import { action, card, empty, failure, h, identifier, show, status, svg, titled, when } from "./dom.js";
import { figure, plural, shortId, signed, ticks } from "./format.js";
import { trainOn, trainedOn } from "./learned.js";
import { aliasTags, namesBySource } from "./learned_choice.js";
import { PagedList } from "./paged.js";
import { reliability } from "./reliability.js";
import { apiButton, apiCalls } from "./shell.js";

const PAGE_SIZE = 10,
  REFRESH_MS = 5000;
const TRAIN = "/launch?recipe=reward-from-votes";
// An accuracy of one half is a coin's; nothing of interest lies far below.
const AXIS_LOW = 0.3;

const AVAILABLE = {
  here: ["succeeded", "here"],
  missing: ["queued", "not here"],
  by_source: ["paused", "by its source"],
};

export async function mount(root) {
  titled("Rewards");
  apiCalls([{ path: "/rewards" }, { path: `/reward-models?limit=${PAGE_SIZE}` }]);
  const learned = h("div", { class: "u-stack" }, h("div", { class: "u-card" }, "Reading …")),
    known = h("div", {});
  let names = new Map();
  const models = new PagedList(
    (after) => url("/reward-models", { limit: PAGE_SIZE, after }),
    () => show(learned, ...modelCards(models, names)),
    learned,
  );
  const named = location.hash.slice(1);
  show(root, heading(), h("div", { class: "u-stack wide" }, learned, known));
  // Names are told where they are known: without them the list is as useful.
  const naming = namesBySource().then((found) => (names = found), () => {});
  naming.then(() => models.load()).then(() => findNamed(models, named));
  setInterval(() => {
    const isMoving = models.items.some((model) => !TERMINAL.includes(model.status));
    if (!document.hidden && isMoving && models.items.length <= PAGE_SIZE) models.load();
  }, REFRESH_MS);
  await loadKnown(known);
}

/** Brings the reward model that the address names into view: it may stand behind the first ones. */
async function findNamed(models, named) {
  if (!named) return;
  while (!document.getElementById(named) && models.hasMore) await models.load(true);
  document.getElementById(named)?.scrollIntoView();
}

function heading() {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("h1", {}, "Rewards"),
      h("p", { class: "u-muted" }, "What a run can be trained on: programs, published models, and models that learned from people's votes."),
    ),
    h("div", { class: "u-row" }, apiButton(), h("a", { class: "u-btn", href: "/pairs" }, "Pair sets"), h("a", { class: "u-btn", href: "/reward-test" }, "Test a picture"), h("a", { class: "u-btn u-main", href: TRAIN }, "Train a reward model")),
  );
}

async function loadKnown(root) {
  try {
    show(root, card("Every reward", table((await get("/rewards")).data)));
  } catch (error) {
    show(
      root,
      failure(error, () => loadKnown(root)),
    );
  }
}

function table(rewards) {
  const heads = ["Reward", "What it rewards", "Needs", "Source and version", "Available"];
  return h(
    "table",
    { class: "u-table u-rewards" },
    h("thead", {}, h("tr", {}, ...heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rewards.map(row)),
  );
}

function row(reward) {
  const [colour, word] = AVAILABLE[reward.availability];
  const cell = (name, ...content) => h("td", { "data-name": name }, ...content);
  const source = [reward.source ? h("span", { class: "u-mono" }, reward.source) : null, reward.version].filter(Boolean);
  return h(
    "tr",
    {},
    h("td", { class: "name" }, h("b", {}, reward.name.replaceAll("_", " "))),
    cell("Rewards", reward.rewards),
    cell("Needs", reward.needs || "nothing"),
    cell("Source", ...(source.length ? source.flatMap((part, place) => (place ? [h("br"), part] : [part])) : ["–"])),
    cell("Available", h("span", { class: `u-status ${colour}` }, word)),
  );
}

function modelCards(models, names) {
  if (!models.items.length)
    return [
      h(
        "div",
        { class: "u-card" },
        empty(
          "No reward has been learned from votes yet",
          "People choose between two pictures of one prompt; their votes are frozen as a pair set; a CLIP is tuned on it " +
            "and shown here with its accuracy on pairs that it never saw. Begin with a label task.",
          h("div", { class: "u-row", style: "justify-content:center" }, h("a", { class: "u-btn u-main", href: "/label" }, "Label tasks"), h("a", { class: "u-btn", href: "/pairs" }, "Pair sets")),
        ),
      ),
    ];
  const more = models.hasMore ? h("p", { class: "u-more" }, action("Load more", () => models.load(true))) : null;
  return [...models.items.map((model) => modelCard(model, names.get(model.source))), more];
}

function modelCard(model, aliases) {
  const title = h("h2", {}, h("a", { href: `/run?id=${model.run_id}` }, model.name || `reward ${shortId(model.run_id)}`));
  const head = h("header", {}, title, ...aliasTags(aliases), status(model.status), h("span", { class: "u-small u-muted" }, when(model.created_at)), identifier(model.source), ...simulated(model.report));
  const section = h("section", { class: "u-card", id: model.run_id, "aria-label": model.name }, head);
  if (!model.report) section.append(h("p", { class: "u-muted", style: "margin-bottom:12px" }, waiting(model.status)), lineage(model));
  else
    section.append(
      verdict(model),
      h(
        "div",
        { class: "u-cols", style: "margin-top:16px" },
        h("div", { class: "u-stack" }, shares(model.report), lineage(model)),
        h(
          "div",
          { class: "u-stack tight" },
          h("h3", { class: "u-label" }, "Calibration on held-out pairs"),
          reliability(model.report.calibration),
          h("p", { class: "u-small u-muted" }, calibrationWords(model.report.calibration)),
        ),
      ),
    );
  return section;
}

/** Votes of programs are never taken for those of people. */
function simulated(report) {
  return report?.num_simulated_votes ? [h("span", { class: "u-tag" }, "simulated raters")] : [];
}

function waiting(state) {
  if (TERMINAL.includes(state)) return "The run ended before there was a model to judge. Its page says why.";
  return state === "running" ? "In training: what it is worth is told at the end." : "Waits to be trained.";
}

function verdict(model) {
  if (model.refusal)
    return h("div", { class: "u-note u-warning", role: "status" }, h("strong", {}, "No run may train on it"), model.refusal);
  const link = h("a", { class: "u-btn", href: trainOn(model) }, "Train a run on it");
  return h("div", { class: "u-row" }, h("span", {}, "Better than chance: a run may train on it."), link);
}

/** Accuracies on one axis, with chance marked: the model between the untuned CLIP and people. */
function shares(report) {
  const rows = [
    ["accuracy", report.accuracy, "held-out prompts, the majority of all raters", "var(--u-series-blue)"],
    ["new raters", report.accuracy_new_raters, "held-out prompts, raters that nothing was learned from", "var(--u-series-sky)"],
    ["a rater", report.ceiling, "each vote against the majority of the others: the ceiling", "var(--u-series-green)"],
    ["the model there", report.model_at_ceiling, "against the same majorities of the others", "var(--u-series-blue)"],
    ["untuned CLIP", report.untuned, "the base, on the pairs of accuracy", "var(--u-muted)"],
  ].filter(([, share]) => share);
  const low = Math.min(AXIS_LOW, ...rows.map(([, share]) => share.low));
  const at = (value) => `${4 + (92 * (value - low)) / (1 - low)}%`;
  const line = ([name, share, what, colour]) =>
    h(
      "tr",
      { title: plural(share.num_pairs, "comparison") },
      h("td", {}, name, h("div", { class: "u-small u-muted" }, what)),
      h("td", { class: "num" }, figure(share.value), h("div", { class: "u-small u-muted" }, `[${figure(share.low)}, ${figure(share.high)}]`)),
      h("td", {}, whisker(share, at, colour)),
    );
  const marks = svg("svg", { height: 16, "aria-hidden": "true" }, ...ticks(low, 1, 4).map((value) => svg("text", { x: at(value), y: 12, "text-anchor": "middle" }, figure(value))));
  const axis = h("span", { class: "u-chart" }, marks);
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "agreement of"), h("th", { scope: "col", class: "num" }, "share"), h("th", { scope: "col" }, axis)));
  const gain = report.gain
    ? `${signed(report.gain.value)} [${signed(report.gain.low)}, ${signed(report.gain.high)}] over the untuned CLIP, paired. `
    : "";
  return h(
    "div",
    {},
    h("table", { class: "u-table u-forest" }, head, h("tbody", {}, ...rows.map(line))),
    h("p", { class: "u-small u-muted", style: "margin-top:12px" }, `${gain}Intervals at 95 %, by prompt; the line is chance. ${facts(report)}`),
    ...report.notes.map((note) => h("p", { class: "u-small", style: "margin-top:4px" }, note)),
  );
}

function whisker(share, at, colour) {
  return h(
    "span",
    { class: "u-chart" },
    svg(
      "svg",
      { height: 24, role: "img", "aria-label": `${figure(share.value)}, ${figure(share.low)} to ${figure(share.high)}` },
      svg("line", { class: "axis", x1: at(0.5), x2: at(0.5), y1: 0, y2: 24 }),
      svg("line", { x1: at(share.low), x2: at(share.high), y1: 12, y2: 12, stroke: colour, "stroke-width": 2 }),
      svg("circle", { cx: at(share.value), cy: 12, r: 4, fill: colour }),
    ),
  );
}

function facts({ learning, choosing, heldout, num_raters: raters, best_step: step }) {
  const pairs = `Learned from ${plural(learning.num_pairs, "pair")}, chosen by ${choosing.num_pairs}, judged with ${heldout.num_pairs}`;
  const ties = heldout.num_ties ? `, of which ${plural(heldout.num_ties, "tie")} count for nothing` : "";
  return `${pairs}${ties}; ${plural(raters, "rater")}; step ${step} was the best.`;
}

function calibrationWords({ expected_error: error, temperature }) {
  return `Expected calibration error ${figure(error)}, at temperature ${figure(temperature)}, which was fitted on other prompts. Figures below: pairs.`;
}

function lineage(model) {
  const from = model.lineage;
  const short = h("span", { class: "u-mono", title: from.pair_set }, from.pair_set.slice(0, 12));
  const set = from.pair_set_name === null ? [from.pair_set ? short : "none", from.pair_set ? " is no longer here" : ""] : [h("a", { href: `/pairs?id=${from.pair_set}` }, from.pair_set_name), " ", short];
  const votes = from.label_task_id ? [", ", h("a", { href: `/label?id=${from.label_task_id}` }, "its votes")] : [];
  const term = (name, ...content) => [h("dt", {}, name), h("dd", {}, ...content)];
  return h("dl", { class: "u-facts" }, ...term("Pair set", ...set, ...votes), ...term("Base", from.base), ...term("Trained on it", ...trainedOn(model)));
}
