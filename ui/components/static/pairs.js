// Pair sets: preference pairs that never change, frozen of votes or imported; what reward models learn from.
import { query as url } from "./api.js";
import { action, empty, h, identifier, query, show, titled, when } from "./dom.js";
import { freezeForm, importForm } from "./pairs_forms.js";
import { mountPairSet } from "./pairs_set.js";
import { ratersOf, sourceOf } from "./pairs_shared.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 30;

export function mount(root) {
  if (query("id")) return mountPairSet(root);
  titled("Pair sets");
  const body = h("div", { class: "u-card" }),
    form = h("div", {});
  const close = () => show(form);
  const opens = {
    freeze: () => show(form, freezeForm(close, query("task"))),
    import: () => show(form, importForm(close)),
  };
  const sets = new PagedList(
    (after) => url("/pair-sets", { limit: PAGE_SIZE, after }),
    () => show(body, ...table(sets, opens)),
    body,
  );
  apiCalls([{ path: `/pair-sets?limit=${PAGE_SIZE}` }, { method: "POST", path: "/pair-sets", body: { label_task_id: "the task's id", name: "a name" } }]);
  show(root, heading(opens), h("div", { class: "u-stack" }, form, body));
  keys([
    ["n", "Freeze votes", opens.freeze],
    ["i", "Import pairs", opens.import],
  ]);
  // A link from a label task opens the form, filled for it.
  if (query("task")) opens.freeze();
  return sets.load();
}

function heading(opens) {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: "/label" }, "Label"), " ›"),
      h("h1", {}, "Pair sets"),
      h("p", { class: "u-muted" }, "Pairs with people's votes, frozen under the hash of their content: what a reward model learns from."),
    ),
    h("div", { class: "u-row" }, apiButton(), action("Import a file", opens.import), action("Freeze votes", opens.freeze, "u-main")),
  );
}

function table(sets, opens) {
  if (!sets.items.length)
    return [
      empty(
        "No pair sets yet",
        "Votes keep coming in; a set holds them as they were at one moment, so that what is learned from them can be repeated. " +
          "Freeze the votes of a label task, or import pairs that you have.",
        h("div", { class: "u-row", style: "justify-content:center" }, action("Freeze votes", opens.freeze, "u-main"), action("Import a file", opens.import), h("a", { class: "u-btn", href: "/label" }, "Label tasks")),
      ),
    ];
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const row = (set) =>
    h(
      "tr",
      { role: "row" },
      h("td", { role: "cell" }, ""),
      cell("Version", "u-muted", String(set.version)),
      h("td", { class: "name", role: "cell" }, h("a", { href: `/pairs?id=${set.sha256}` }, set.name)),
      cell("Of", "", sourceOf(set)),
      cell("Pairs", "num", String(set.num_pairs)),
      cell("Votes", "num", String(set.num_votes)),
      cell("Prompts", "num", String(set.num_prompts)),
      cell("Raters", "num", ratersOf(set)),
      cell("Made", "num u-muted", when(set.created_at)),
      h("td", { class: "num", role: "cell" }, identifier(set.sha256, 12)),
    );
  const names = ["", "Version", "Name", "Of", "Pairs", "Votes", "Prompts", "Raters", "Made", "Hash"];
  const head = names.map((name, index) => h("th", { class: index > 3 ? "num" : "", role: "columnheader", scope: "col" }, name));
  return [
    h(
      "table",
      { class: "u-table u-cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
      h("tbody", { role: "rowgroup" }, ...sets.items.map(row)),
    ),
    sets.hasMore ? h("p", { class: "u-more" }, action("Load more", () => sets.load(true))) : null,
  ];
}
