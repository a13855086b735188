// Models: what runs can start from or be rewarded by, their names, their lineage; entering, fetching and deleting them.
import { get, post, query as url, request } from "./api.js";
import { action, card, dialog, empty, failure, h, query, select, show, titled, toast, when } from "./dom.js";
import { bytes, figure, plural } from "./format.js";
import { lineageDrawing } from "./lineage.js";
import { aliasCard, nameDialog } from "./model_aliases.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 20;
const KINDS = [
  ["", "Every kind"],
  ["base", "base"],
  ["imported", "imported"],
  ["export", "final policies"],
  ["checkpoint", "checkpoints"],
  ["reward_model", "reward models"],
];
export const pathOf = (ref) => `/models/${encodeURIComponent(ref)}`;

export function mount(root) {
  titled("Models");
  const state = { kind: "", ref: query("ref") ?? "shipped" };
  const body = h("div", {}),
    drawn = h("div", {});
  const names = aliasCard(() => models.load());
  const pathOfPage = (after) => url("/models", { limit: PAGE_SIZE, kind: state.kind, after });
  const models = new PagedList(pathOfPage, () => draw(), body);
  const trace = async (ref, isAsked) => {
    state.ref = ref;
    if (isAsked) history.replaceState(null, "", `${location.pathname}?ref=${encodeURIComponent(ref)}`);
    tellCalls(state, pathOfPage);
    await drawLineage(drawn, ref);
    if (isAsked) drawn.scrollIntoView({ block: "nearest" });
  };
  const after = async () => {
    await Promise.all([models.load(), names.load()]);
    await drawLineage(drawn, state.ref);
  };
  const draw = () => show(body, ...table(models, state, { trace, after, names }));
  show(
    root,
    h(
      "div",
      { class: "u-head" },
      h(
        "div",
        {},
        h("h1", {}, "Models"),
        h("p", { class: "u-muted" }, "What runs start from and are rewarded by; what was made from what; names that move."),
      ),
      h("div", { class: "u-row" }, apiButton(), action("Import a model", () => importDialog(after))),
    ),
    h(
      "div",
      { class: "u-stack" },
      names.element,
      card("Lineage", drawn),
      card(
        "All models",
        body,
        h(
          "span",
          { class: "u-push" },
          select("Kind", KINDS, (value) => {
            state.kind = value;
            models.load();
          }),
        ),
      ),
    ),
  );
  keys([["i", "Import a model", () => importDialog(after)]]);
  models.load();
  names.load();
  trace(state.ref, false);
}

function tellCalls(state, pathOfPage) {
  apiCalls([
    { path: pathOfPage(null) },
    { path: `${pathOf(state.ref)}/lineage` },
    { path: "/aliases" },
    { method: "PUT", path: "/aliases/champion", body: { target: state.ref } },
  ]);
}

async function drawLineage(drawn, ref) {
  try {
    lineageDrawing(drawn, await get(`${pathOf(ref)}/lineage`));
  } catch (error) {
    show(
      drawn,
      failure(error, () => drawLineage(drawn, ref)),
    );
  }
}

function table(models, state, does) {
  if (!models.items.length)
    return [empty("No model of this kind", "Choose another kind: every run that trains adds its checkpoints here.")];
  const heads = [
    ["Model", ""],
    ["Kind", ""],
    ["Parameters", "num"],
    ["On disk", "num"],
    ["Made", "num"],
    ["", "num"],
  ];
  const isBare = !state.kind && models.items.every((model) => model.kind === "base");
  return [
    h(
      "table",
      { class: "u-table u-cards u-models", role: "table" },
      h(
        "thead",
        { role: "rowgroup" },
        h(
          "tr",
          { role: "row" },
          ...heads.map(([name, kind]) => h("th", { class: kind, role: "columnheader", scope: "col" }, name)),
        ),
      ),
      h("tbody", { role: "rowgroup" }, ...models.items.map((model) => row(model, does))),
    ),
    isBare
      ? empty(
          "Nothing is trained yet",
          "The checkpoints and the final policy of every training run are listed here, with their lineage.",
          h("a", { class: "u-btn u-main", href: "/launch" }, "Launch a run"),
        )
      : null,
    models.hasMore
      ? h(
          "div",
          { class: "u-more" },
          action("Load more", () => models.load(true)),
        )
      : null,
  ];
}

function row(model, { trace, after, names }) {
  const cell = (name, kind, value) => h("td", { class: kind, role: "cell", "data-name": name }, value);
  const link = model.run_id ? h("a", { href: `/run?id=${model.run_id}` }, model.name) : model.name;
  const download = `/api/v1${pathOf(model.source)}/download`;
  return h(
    "tr",
    { role: "row" },
    h(
      "td",
      { class: "name", role: "cell" },
      link,
      ...model.aliases.map((name) => h("span", { class: "u-tag u-alias" }, name)),
      h("div", { class: "u-small u-muted u-mono source", title: model.description }, model.source),
    ),
    cell("Kind", "u-muted", model.kind.replaceAll("_", " ")),
    cell("Parameters", "num", model.num_parameters === null ? "–" : millions(model.num_parameters)),
    cell("On disk", "num", model.num_bytes === null ? "–" : bytes(model.num_bytes)),
    cell("Made", "num u-muted", when(model.created_at)),
    h(
      "td",
      { class: "num", role: "cell" },
      h(
        "div",
        { class: "u-row u-row-end" },
        action("Lineage", () => trace(model.source, true), "quiet"),
        action("Name", () => nameDialog(model, names.items(), after), "quiet"),
        model.num_bytes === null ? null : h("a", { class: "u-btn quiet", href: download, download: "" }, "Download"),
        model.kind === "base" ? null : action("Delete", () => deleteDialog(model, after), "quiet u-danger"),
      ),
    ),
  );
}

const millions = (count) => (count < 1e6 ? String(count) : `${figure(count / 1e6)} M`);

/** What is in the way says what helps: an alias is moved; what runs and label tasks name stays as long as they do. */
function cureOf(users) {
  const aliases = users.filter((user) => user.kind === "alias").length;
  const stays = "What runs and label tasks name stays as long as they do.";
  return [aliases ? "Move the aliases first." : "", aliases < users.length ? stays : ""].filter(Boolean).join(" ");
}

/** What uses the model is shown instead of the button: such a deletion would be refused. */
async function deleteDialog(model, after) {
  const users = await get(`${pathOf(model.source)}/users`);
  if (users.length) {
    dialog(
      "This model is used",
      h("p", {}, `${model.name} cannot be deleted while ${plural(users.length, "thing refers", "things refer")} to it:`),
      h("ul", { class: "u-list" }, ...users.map(userLine)),
      h("p", { class: "u-small u-muted" }, cureOf(users)),
    );
    return;
  }
  const words =
    model.kind === "imported"
      ? "Only its entry goes: the folder or the hub's files stay where they are."
      : `Its files go for good: ${bytes(model.num_bytes ?? 0)}. Pictures, metrics and events of the run stay.`;
  const box = dialog(
    `Delete ${model.name}?`,
    h("p", {}, words),
    h(
      "p",
      { style: "margin-top:16px" },
      action(
        "Delete",
        async () => {
          try {
            await request("DELETE", pathOf(model.source));
          } finally {
            box.close();
          }
          toast(`${model.name} is deleted.`, 5);
          await after();
        },
        "u-danger",
      ),
    ),
  );
}

function userLine(user) {
  const kind = h("span", { class: "u-tag" }, user.kind.replaceAll("_", " "));
  if (user.kind === "alias") return h("li", {}, kind, h("span", {}, user.name));
  const href = user.kind === "label_task" ? `/label-results?id=${user.id}` : `/run?id=${user.id}`;
  return h("li", {}, kind, h("a", { class: "u-link", href }, user.name));
}

function importDialog(after) {
  const field = (label, hint) => {
    const input = h("input", { class: "u-input", "aria-label": label, placeholder: hint });
    return { input, line: h("label", { class: "u-field" }, h("span", {}, label), input) };
  };
  const source = field("Source", "/models/show-o or showlab/show-o-512x512");
  const name = field("Name", "shown in lists; may stay empty");
  const trouble = h("div", {});
  const box = dialog(
    "Import a model",
    h(
      "div",
      { class: "u-part u-stack" },
      h("p", {}, "A folder on the server in Show-o's format, or a name on the Hugging Face hub. Nothing is copied."),
      source.line,
      name.line,
      trouble,
      h(
        "p",
        {},
        action(
          "Import",
          async () => {
            try {
              await post("/models", { source: source.input.value.trim(), name: name.input.value.trim() });
            } catch (error) {
              return trouble.replaceChildren(failure(error));
            }
            box.close();
            await after();
          },
          "u-main",
        ),
      ),
    ),
  );
  source.input.focus();
}
