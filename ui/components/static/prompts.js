// Prompt sets: the lists of prompts that runs and evaluations name, and the form that makes one of a file or of typed lines.
import { query as url } from "./api.js";
import { action, empty, h, query, show, titled, when } from "./dom.js";
import { PagedList } from "./paged.js";
import { uploadForm } from "./prompts_upload.js";
import { mountSet } from "./prompts_set.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 30;

export function mount(root) {
  if (query("id")) return mountSet(root);
  titled("Prompt sets");
  const body = h("div", { class: "u-card" }),
    form = h("div", {});
  const open = () => show(form, uploadForm({ close: () => show(form) }));
  const sets = new PagedList(
    (after) => url("/prompt-sets", { limit: PAGE_SIZE, after }),
    () => show(body, ...table(sets, open)),
    body,
  );
  apiCalls([{ path: `/prompt-sets?limit=${PAGE_SIZE}` }]);
  show(root, heading(open), h("div", { class: "u-stack" }, form, body));
  keys([["n", "New prompt set", open]]);
  if (query("new") !== null) open();
  return sets.load();
}

function heading(open) {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("h1", {}, "Prompt sets"),
      h("p", { class: "u-muted" }, "Lists of prompts by name. Every change is a version; a run names the one it was made with."),
    ),
    h("div", { class: "u-row" }, apiButton(), action("New set", open, "u-main")),
  );
}

function table(sets, open) {
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const row = (set) =>
    h(
      "tr",
      { role: "row" },
      h("td", { role: "cell" }, ""),
      cell("Version", "", set.is_builtin ? h("span", { class: "u-tag" }, "shipped") : String(set.latest.version)),
      h("td", { class: "name", role: "cell" }, h("a", { href: `/prompts?id=${set.id}` }, set.name)),
      cell("Prompts", "num", String(set.latest.num_prompts)),
      cell("Tasks", "num", String(Object.keys(set.latest.tasks).filter((task) => task !== "none").length)),
      h("td", { class: "num u-muted", role: "cell" }, set.is_builtin ? "–" : when(set.updated_at)),
    );
  const names = ["", "Version", "Name", "Prompts", "Tasks", "Changed"];
  const head = names.map((name, index) => h("th", { class: index > 2 ? "num" : "", role: "columnheader", scope: "col" }, name));
  const hasOwn = sets.items.some((set) => !set.is_builtin);
  return [
    hasOwn
      ? null
      : empty(
          "No prompt sets of your own yet",
          "Drop a text, CSV or JSON lines file, or paste prompts. GenEval's evaluation_metadata.jsonl is read as it is.",
          action("New set", open, "u-main"),
        ),
    h(
      "table",
      { class: "u-table u-cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
      h("tbody", { role: "rowgroup" }, ...sets.items.map(row)),
    ),
    sets.hasMore ? h("p", { class: "u-more" }, action("Load more", () => sets.load(true))) : null,
  ];
}
