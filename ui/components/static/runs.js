// All runs: filtered, newest first, "load more" by cursor, and what can be asked of several at once.
import { query as url, verb } from "./api.js";
import { action, empty, h, select, show, status, titled, toast, when } from "./dom.js";
import { figure, plural } from "./format.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";
import { TERMINAL, headlineReward, runName } from "./runs_shared.js";

const STATUSES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];
const PAGE_SIZE = 30,
  REFRESH_MS = 15000;
const KINDS = ["train", "sample", "evaluate", "pretrain", "reward_model"];

export function mount(root) {
  titled("Runs");
  const state = { chosen: new Set(), status: "", kind: "", text: "" };
  const body = h("div", { class: "u-card" }),
    tools = h("div", { class: "u-row" });
  const pathOf = (after) =>
    url("/runs", { limit: PAGE_SIZE, search: state.text, status: state.status, kind: state.kind, after });
  const draw = () => {
    show(body, ...table(state, runs, draw));
    tools.replaceChildren(...bulk(state, runs));
    apiCalls([{ path: url("/runs", { limit: PAGE_SIZE, status: state.status, kind: state.kind }) }]);
  };
  const runs = new PagedList(pathOf, draw, body);
  const filter = (label, name, values) =>
    select(label, [["", label], ...values.map((value) => [value, value])], (value) => {
      state[name] = value;
      state.chosen.clear();
      runs.load();
    });
  const search = h("input", {
    class: "u-input",
    type: "search",
    size: 24,
    placeholder: "Search names and tags",
    "aria-label": "Search names and tags",
    oninput: (event) => {
      state.text = event.target.value.trim();
      clearTimeout(state.timer);
      state.timer = setTimeout(() => runs.load(), 200);
    },
  });

  show(
    root,
    h(
      "div",
      { class: "u-head" },
      h("h1", {}, "Runs"),
      h(
        "div",
        { class: "u-row" },
        apiButton(),
        h("button", { class: "u-btn", type: "button", onclick: () => exportCSV(runs.items) }, "Export CSV"),
        h("a", { class: "u-btn u-main", href: "/launch" }, "Launch a run"),
      ),
    ),
    h(
      "div",
      { class: "u-row", style: "margin-bottom:16px" },
      search,
      filter("Every status", "status", STATUSES),
      filter("Every kind", "kind", KINDS),
      h("span", { class: "u-push" }, tools),
    ),
    body,
  );
  keys([["/", "Search runs", () => search.focus()]]);
  runs.load();
  setInterval(() => {
    if (!document.hidden && runs.items.length <= PAGE_SIZE && !state.chosen.size) runs.load();
  }, REFRESH_MS);
}

function table(state, runs, draw) {
  if (!runs.items.length) {
    const isFiltered = state.status || state.kind || state.text;
    return [
      isFiltered
        ? empty("No run matches", "Change the filters to see others.")
        : empty(
            "No runs yet",
            "Every run you launch is listed here, with its status, its step and its reward.",
            h("a", { class: "u-btn u-main", href: "/launch" }, "Launch a run"),
          ),
    ];
  }
  const pick = (run, on) => {
    if (on) state.chosen.add(run.id);
    else state.chosen.delete(run.id);
    draw();
  };
  // On a narrow screen each row is a card whose values carry the names of their columns. The roles are spelled out,
  // for a row that is laid out as a grid is no row to a screen reader.
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const row = (run) =>
    h(
      "tr",
      { role: "row" },
      h(
        "td",
        { role: "cell" },
        h("input", {
          type: "checkbox",
          "aria-label": `Choose ${runName(run)}`,
          checked: state.chosen.has(run.id),
          onchange: (event) => pick(run, event.target.checked),
        }),
      ),
      h("td", { role: "cell" }, status(run.status)),
      h(
        "td",
        { class: "name", role: "cell" },
        h("a", { href: `/run?id=${run.id}` }, runName(run)),
        ...run.tags.map((tag) => h("span", { class: "u-tag", style: "margin-left:8px" }, tag)),
      ),
      cell("Kind", "u-muted", run.kind),
      cell("Step", "num", run.num_steps ? `${run.step}/${run.num_steps}` : "–"),
      cell("Reward", "num", figure(headlineReward(run.latest_metrics))),
      cell("Age", "num u-muted", when(run.created_at)),
      h("td", { class: "num", role: "cell" }, h("a", { href: `/launch?clone=${run.id}` }, "Clone")),
    );
  const head = [
    ["", ""],
    ["Status", ""],
    ["Name", ""],
    ["Kind", ""],
    ["Step", "num"],
    ["Reward", "num"],
    ["Age", "num"],
    ["", "num"],
  ];
  const more = runs.hasMore
    ? h(
        "div",
        { style: "text-align:center;margin-top:12px" },
        action("Load more", () => runs.load(true)),
      )
    : null;
  return [
    h(
      "table",
      { class: "u-table u-cards", role: "table" },
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          ...head.map(([name, kind]) => h("th", { class: kind, role: "columnheader", scope: "col" }, name)),
        ),
      ),
      h("tbody", { role: "rowgroup" }, ...runs.items.map(row)),
    ),
    more,
  ];
}

function bulk(state, runs) {
  const chosen = runs.items.filter((run) => state.chosen.has(run.id) && !TERMINAL.includes(run.status));
  if (!chosen.length) return [];
  return [
    action(
      `Cancel ${plural(chosen.length, "run")}`,
      async () => {
        await Promise.all(chosen.map((run) => verb(run.id, "cancel")));
        state.chosen.clear();
        toast("Cancel is asked for: the runs end within one step.", 5);
        await runs.load();
      },
      "u-danger",
    ),
  ];
}

function exportCSV(runs) {
  const columns = ["id", "name", "kind", "status", "step", "num_steps", "recipe", "recipe_changes", "created_at", "finished_at"];
  const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.latest_metrics)))].sort();
  const cell = (value) =>
    value === null || value === undefined
      ? ""
      : /[",\n]/.test(String(value))
        ? `"${String(value).replaceAll('"', '""')}"`
        : String(value);
  const lines = runs.map((run) =>
    [...columns.map((name) => cell(run[name])), ...metrics.map((name) => cell(run.latest_metrics[name]))].join(","),
  );
  const blob = new Blob([[[...columns, ...metrics].join(","), ...lines].join("\n"), "\n"], { type: "text/csv" });
  const link = h("a", { href: URL.createObjectURL(blob), download: "runs.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}
