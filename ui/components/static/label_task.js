// One label task as its owner sees it: how far it is, its guideline, who votes, and whether it still takes votes.
import { ApiError, getAll, patch, request } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, failure, h, identifier, show, titled, toast, when } from "./dom.js";
import { isOpen, openness, taskProgress, votesOf } from "./label_shared.js";
import { raterPanel } from "./label_raters.js";
import { plural, shortId } from "./format.js";
import { apiButton, apiCalls } from "./shell.js";

const REFRESH_MS = 3000;
const MISSING = { question: "Which label task?", hint: "Open one from the list.", href: "/label", link: "All label tasks" };
const CHANGED = 412;

export function mountTask(root) {
  titled("Label task");
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  const path = `/label-tasks/${id}`;
  const state = await request("GET", path);
  const head = h("div", {});
  const take = ({ data, etag }) => {
    Object.assign(state, { data, etag });
    show(head, ...header(data, (status) => change({ status })));
    guideline.renew();
    flags.renew(data.num_flags);
  };
  /** Changes the task as it is now; who else changed it meanwhile is not overwritten, for only this field is sent. */
  const change = async (changes) => take(await patch(path, changes, (await request("GET", path)).etag));
  const guideline = guidelinePanel(path, state, take);
  const raters = raterPanel(state.data),
    flags = flagPanel(path);
  titled(state.data.name);
  take(state);
  show(
    root,
    head,
    h(
      "div",
      { class: "u-cols" },
      h("div", { class: "u-stack" }, raters.element, flags.element),
      h("div", { class: "u-stack" }, guideline.element, factsCard(state.data)),
    ),
  );
  apiCalls([
    { path },
    { method: "PATCH", path, body: { status: "closed" } },
    { method: "POST", path: `${path}/raters`, body: { label: "a name" } },
    { path: `${path}/raters` },
    { path: `${path}/votes` },
    { path: `${path}/results` },
  ]);
  setInterval(async () => {
    if (document.hidden || !isOpen(state.data)) return;
    const before = state.data.num_votes;
    // What fails here is tried again in a moment; what is shown stays true as of then.
    const found = await request("GET", path).catch(() => null);
    if (found) take(found);
    if (state.data.num_votes !== before) raters.load().catch(() => {});
  }, REFRESH_MS);
}

function header(task, setStatus) {
  const turn = isOpen(task)
    ? action("Close the task", () => setStatus("closed"))
    : action("Open again", () => setStatus("open"), "u-main");
  return [
    h(
      "div",
      { class: "u-head", style: "margin-bottom:16px" },
      h(
        "div",
        {},
        h("p", { class: "u-crumb" }, h("a", { href: "/label" }, "Label")),
        h("h1", { style: "overflow-wrap:anywhere" }, task.name),
      ),
      h(
        "div",
        { class: "u-row" },
        turn,
        h("a", { class: "u-btn", href: `/label-results?id=${task.id}` }, "Results and export"),
        apiButton(),
      ),
    ),
    h(
      "div",
      { class: "u-row wide", style: "margin-bottom:8px", "aria-live": "polite" },
      openness(task),
      h("span", {}, votesOf(task, "votes")),
      h("span", { class: "u-muted" }, plural(task.num_raters, "rater")),
      h("span", { class: "u-muted" }, "created ", when(task.created_at)),
      identifier(task.id),
    ),
    h("div", { style: "margin-bottom:24px" }, taskProgress(task)),
  ];
}

/** The text that raters read. Each change is a version of its own, and every vote knows which one it was made under. */
function guidelinePanel(path, state, take) {
  const version = h("span", { class: "u-small u-muted u-push" });
  const box = h("textarea", { class: "u-input u-area", rows: 8, maxlength: 10000, "aria-label": "Guideline" });
  const note = h("div", {});
  let saved = null;
  const isChanged = () => saved !== null && box.value !== saved;
  const renew = () => {
    // What somebody is writing is never overwritten; what they began with is compared when they save.
    if (isChanged()) return;
    saved = box.value = state.data.guideline;
    began = state.etag;
    version.textContent = `version ${state.data.guideline_version}`;
    save.disabled = true;
  };
  let began = state.etag;
  const store = async (etag) => {
    try {
      const found = await patch(path, { guideline: box.value }, etag);
      saved = found.data.guideline;
      box.value = saved;
      show(note);
      take(found);
      toast("Saved. Raters read the new guideline with their next pair.", 5);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== CHANGED) throw error;
      show(note, conflict(await request("GET", path)));
    }
  };
  const conflict = ({ data, etag }) =>
    h(
      "div",
      { class: "u-note u-warning", role: "alert", style: "margin-top:12px" },
      h("strong", {}, "Somebody else has changed the task meanwhile"),
      h("p", {}, `Theirs is version ${data.guideline_version}:`),
      h("pre", { class: "u-code" }, data.guideline),
      h(
        "div",
        { class: "u-row", style: "margin-top:8px" },
        action("Take theirs", () => {
          saved = box.value;
          show(note);
          take({ data, etag });
        }),
        action("Save mine as the next version", () => store(etag)),
      ),
    );
  const save = action("Save", () => store(began), "u-main");
  box.addEventListener("input", () => {
    save.disabled = !isChanged();
  });
  const foot = h("div", { class: "u-row", style: "margin-top:8px" }, save);
  return { element: card("Guideline", h("div", {}, box, foot, note), version), renew };
}

/** What raters found wrong; hidden while there is nothing. */
function flagPanel(path) {
  const list = h("ul", { class: "u-list" }),
    element = card("Flagged pairs", list);
  let shown = 0;
  element.hidden = true;
  const line = ({ reason, prompt, sample_0: first, sample_1: second }) =>
    h(
      "li",
      {},
      h("span", {}, reason),
      h("span", { class: "u-muted" }, `“${prompt}”`),
      h("span", { class: "u-small u-push" }, ...[first, second].flatMap((id, index) => [index ? ", " : "", h("a", { href: `/sample?id=${id}` }, index ? "second" : "first picture")])),
    );
  const renew = async (count) => {
    if (count === shown) return;
    shown = count;
    element.hidden = count === 0;
    show(list, ...(await getAll(`${path}/flags`)).map(line));
  };
  return { element, renew: (count) => renew(count).catch((error) => show(list, failure(error))) };
}

const SOURCE_WORDS = {
  evaluation: "two policies of an evaluation, the same seeds",
  checkpoints: "two steps of a run, the same seeds",
  runs: "two runs, the same seeds",
  within_group: "two samples of one training group",
  sampling: "two seeds of one prompt",
};

/** What the pairs are made of. */
function factsCard(task) {
  const { source } = task;
  const runs = [source.run_id, source.other_run_id].filter(Boolean);
  const links = runs.flatMap((id, index) => [index ? " and " : "", h("a", { href: `/run?id=${id}` }, `run ${shortId(id)}`)]);
  const facts = [
    ["Pairs", SOURCE_WORDS[source.kind] ?? source.kind],
    source.kind === "evaluation" ? ["Policies", source.policies.join(" against ")] : null,
    source.kind === "runs" && source.run_policies.some((each) => each !== "policy")
      ? ["Policies", `${source.run_policies[0]} of the first run against ${source.run_policies[1]} of the second`]
      : null,
    ["Made of", h("span", {}, ...links)],
    ["How many", `${plural(task.num_pairs, "pair")}, ${plural(task.votes_per_pair, "vote")} each`],
    ["Gold pairs", task.num_gold ? `${task.num_gold}, shown to everybody` : "none"],
    ["Next pair", task.strategy.replaceAll("_", " ")],
  ];
  return card("Pairs", h("dl", { class: "u-facts" }, ...facts.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}
