// What the votes of a task say: win rates, strengths, agreement, and what each rater's votes are worth. Live.
import { get, getAll, patch, post } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, dialog, empty, h, identifier, show, titled, toast } from "./dom.js";
import { agreementCard, caution, strengthCard, winCard } from "./label_figure_cards.js";
import { raterTables } from "./label_rater_tables.js";
import { isOpen, openness, votesOf } from "./label_shared.js";
import { plural } from "./format.js";
import { apiButton, apiCalls } from "./shell.js";

const REFRESH_MS = 5000;
const MISSING = { question: "Results of which label task?", hint: "Open one from the list.", href: "/label", link: "All label tasks" };
const FORMATS = [
  ["pick_a_pic", "Pick-a-Pic (Parquet)"],
  ["hpdv2", "HPDv2 (zip)"],
  ["csv", "CSV"],
];
const WHOSE = [
  ["people", "People"],
  ["simulated", "Simulated raters"],
  ["all", "Both together"],
];
const WHOSE_WORDS = { people: "Votes of people alone.", simulated: "Votes of simulated raters alone.", all: "" };

export function mount(root) {
  titled("Label results");
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  const state = { task: await get(`/label-tasks/${id}`), raters: [], chosen: null, whose: "all" };
  const head = h("div", {}),
    body = h("div", { class: "u-stack" });
  titled(`Results of ${state.task.name}`);
  const load = async () => {
    state.raters = await getAll(`/label-tasks/${id}/raters`);
    state.whose = isMixed(state) ? (state.chosen ?? "people") : "all";
    const path = `/label-tasks/${id}/results`;
    const results = await get(withoutThem(path, state));
    show(head, header(state));
    show(body, ...content(state, results, { choose, exclude }));
    apiCalls(calls(id, withoutThem(path, state)));
  };
  const choose = (whose) => {
    state.chosen = whose;
    return load();
  };
  const exclude = async (rater, is_excluded) => {
    await patch(`/raters/${rater.rater_id}`, { is_excluded });
    await load();
  };
  await load();
  show(root, head, body);
  setInterval(async () => {
    if (document.hidden || !isOpen(state.task)) return;
    // The figures are drawn anew only when a vote came in. What fails here is tried again in a moment.
    const found = await get(`/label-tasks/${id}`).catch(() => state.task);
    const isNew = found.num_votes !== state.task.num_votes || found.status !== state.task.status;
    state.task = found;
    if (isNew) await load().catch(() => {});
  }, REFRESH_MS);
}

/** Whether people and programs have voted on one task: only then there is something to choose. */
function isMixed({ raters }) {
  return new Set(raters.filter((rater) => rater.num_votes).map((rater) => rater.is_simulated)).size > 1;
}

/** People and programs are never mixed unasked: those who are not asked for are left out, of exports and sets too. */
function leftOut({ raters, whose }) {
  if (whose === "all") return [];
  return raters.filter((rater) => rater.is_simulated === (whose === "people")).map((rater) => rater.id);
}

function withoutThem(path, state, parameters = {}) {
  const pairs = [...Object.entries(parameters), ...leftOut(state).map((id) => ["exclude_rater", id])];
  return pairs.length ? `${path}?${new URLSearchParams(pairs)}` : path;
}

function header(state) {
  const { task } = state;
  return [
    h(
      "div",
      { class: "u-head" },
      h(
        "div",
        {},
        h("p", { class: "u-crumb" }, h("a", { href: "/label" }, "Label"), " › ", h("a", { href: `/label?id=${task.id}` }, task.name)),
        h("h1", {}, "Results"),
        h("p", { class: "u-row wide", style: "margin-top:8px" }, openness(task), h("span", {}, votesOf(task, "votes"))),
      ),
      h("div", { class: "u-row" }, ...FORMATS.map((each) => exportLink(state, each)), freezeButton(state), apiButton()),
    ),
  ];
}

function exportLink(state, [format, words]) {
  const address = `/api/v1${withoutThem(`/label-tasks/${state.task.id}/export`, state, { format })}`;
  return h("a", { class: "u-btn", href: address, download: "" }, words);
}

/** The votes as they are now become a set of pairs that never changes: what a reward model can be trained on. */
function freezeButton(state) {
  const { task } = state;
  return action(
    "Freeze as pair set",
    async () => {
      const made = await post("/pair-sets", { label_task_id: task.id, name: task.name, exclude_rater: leftOut(state) });
      dialog(
        "Frozen as a pair set",
        h(
          "div",
          { class: "u-part u-stack tight" },
          h("p", {}, `${WHOSE_WORDS[state.whose]} ${plural(made.num_pairs, "pair")} of ${plural(made.num_prompts, "prompt")}, ${plural(made.num_votes, "vote")}. Votes that come later change nothing in it.`),
          h("p", { class: "u-row" }, "Its name for pairs.source of a reward model: ", identifier(made.sha256, 12)),
          h("p", { class: "u-row" }, h("a", { class: "u-btn u-main", href: `/launch?recipe=reward-from-votes&pairs=${made.sha256}` }, "Train a reward model on it"), h("a", { class: "u-btn", href: `/pairs?id=${made.sha256}` }, "Look at its pairs")),
        ),
      );
    },
    "u-main",
  );
}

function content(state, results, { choose, exclude }) {
  const excluded = new Set(state.raters.filter((rater) => rater.is_excluded).map((rater) => rater.id));
  const tables = raterTables(results, excluded, async (rater, isExcluded) => {
    await exclude(rater, isExcluded);
    toast(isExcluded ? `${rater.label} counts in no figure, no export and no pair set now.` : `${rater.label} counts again.`, 5);
  });
  if (!results.raters.some((rater) => rater.num_votes)) return [nothing(state.task), ...tables];
  const { figures } = results;
  return [
    isMixed(state) ? chooser(state, choose) : null,
    caution(results),
    h("div", { class: "u-cols" }, h("div", { class: "u-stack" }, winCard(results), strengthCard(figures)), agreementCard(results)),
    ...tables,
  ];
}

function chooser({ whose }, choose) {
  const button = ([value, words]) =>
    h("button", { type: "button", "aria-pressed": String(value === whose), onclick: () => choose(value) }, words);
  return h("div", { class: "u-layers", role: "group", "aria-label": "Whose votes" }, ...WHOSE.map(button));
}

function nothing(task) {
  return h(
    "div",
    { class: "u-card" },
    empty(
      "No votes yet",
      "Win rates, strengths and agreement appear here with the first votes, and move as more come in.",
      h("a", { class: "u-btn u-main", href: `/label?id=${task.id}` }, "Invite raters"),
    ),
  );
}

function calls(id, results) {
  return [
    { path: results },
    { path: `/label-tasks/${id}/votes` },
    { path: `/label-tasks/${id}/export?format=pick_a_pic` },
    { method: "POST", path: "/pair-sets", body: { label_task_id: id, name: "a name" } },
  ];
}
