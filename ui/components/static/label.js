// Label: the tasks in which people choose between two pictures, how far each is, and the form that makes a new one.
import { query as url } from "./api.js";
import { action, empty, h, query, show, titled, when } from "./dom.js";
import { createForm } from "./label_create.js";
import { isOpen, openness, votesOf } from "./label_shared.js";
import { mountTask } from "./label_task.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 30,
  REFRESH_MS = 5000;

export function mount(root) {
  if (query("id")) return mountTask(root);
  titled("Label");
  const body = h("div", { class: "u-card" }),
    form = h("div", {});
  const open = () => show(form, createForm(() => show(form)));
  const tasks = new PagedList(
    (after) => url("/label-tasks", { limit: PAGE_SIZE, after }),
    () => show(body, ...table(tasks, open)),
    body,
  );
  apiCalls([{ path: `/label-tasks?limit=${PAGE_SIZE}` }]);
  show(root, heading(open), h("div", { class: "u-stack" }, form, body));
  keys([["n", "New label task", open]]);
  // A link from an evaluation or a run opens the form, filled for it.
  if (query("run") || query("new") !== null) open();
  tasks.load();
  setInterval(() => {
    const isMoving = tasks.items.some(isOpen) && tasks.items.length <= PAGE_SIZE;
    if (!document.hidden && isMoving) tasks.load();
  }, REFRESH_MS);
}

function heading(open) {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("h1", {}, "Label"),
      h("p", { class: "u-muted" }, "People choose between two pictures of one prompt, without knowing what made them."),
    ),
    h("div", { class: "u-row" }, apiButton(), h("a", { class: "u-btn", href: "/pairs" }, "Pair sets"), action("New task", open, "u-main")),
  );
}

function table(tasks, open) {
  if (!tasks.items.length)
    return [
      empty(
        "No label tasks yet",
        "A task takes pictures of a finished evaluation or run, puts two of one prompt side by side, and asks people " +
          "which is better. Each gets a link of their own, that shows pairs and nothing else.",
        action("New task", open, "u-main"),
      ),
    ];
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const row = (task) =>
    h(
      "tr",
      { role: "row" },
      h("td", { role: "cell" }, ""),
      h("td", { role: "cell" }, openness(task)),
      h("td", { class: "name", role: "cell" }, h("a", { href: `/label?id=${task.id}` }, task.name)),
      cell("Votes", "num", votesOf(task)),
      cell("Pairs", "num", String(task.num_pairs)),
      cell("Raters", "num", String(task.num_raters)),
      cell("Age", "num u-muted", when(task.created_at)),
      h("td", { class: "num", role: "cell" }, h("a", { href: `/label-results?id=${task.id}` }, "Results")),
    );
  const names = ["", "Status", "Name", "Votes", "Pairs", "Raters", "Age", ""];
  const head = names.map((name, index) =>
    h("th", { class: index > 2 ? "num" : "", role: "columnheader", scope: "col" }, name),
  );
  return [
    h(
      "table",
      { class: "u-table u-cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
      h("tbody", { role: "rowgroup" }, ...tasks.items.map(row)),
    ),
    tasks.hasMore ? h("p", { class: "u-more" }, action("Load more", () => tasks.load(true))) : null,
  ];
}
