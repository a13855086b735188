// Names of models: what each means, what it has meant, and the dialog that sets or moves one.
import { getAll, request } from "./api.js";
import { action, card, dialog, failure, h, show, toast, when } from "./dom.js";

const KINDS = { policy: "policy", reward_model: "reward model" };

/** The card of all names; `onChange()` is called after a name was given up. */
export function aliasCard(onChange) {
  const body = h("div", {});
  let items = [];
  const load = async () => {
    try {
      items = await getAll("/aliases");
      show(body, items.length ? list(items, reload) : nothing());
    } catch (error) {
      show(body, failure(error, load));
    }
  };
  const reload = () => Promise.all([load(), onChange()]);
  return { element: card("Aliases", body), load, items: () => items };
}

function nothing() {
  return h(
    "p",
    { class: "u-chart-none" },
    "No name yet. Give the best model one, such as champion, with “Name” below: then ",
    h("code", {}, "alias:champion"),
    " goes wherever a policy does, or, of a reward model, into the source of the reward learned. A run keeps the model that it " +
      "meant when the run was launched.",
  );
}

function list(items, reload) {
  return h(
    "ul",
    { class: "u-list" },
    ...items.map((alias) =>
      h(
        "li",
        {},
        h("b", {}, alias.name),
        h("span", { class: "u-tag" }, KINDS[alias.kind]),
        h("span", { class: "u-mono u-muted", style: "overflow-wrap:anywhere" }, alias.target),
        h("span", { class: "u-small u-muted" }, "since ", when(alias.updated_at)),
        h(
          "span",
          { class: "u-push u-row" },
          action("History", () => movesDialog(alias), "quiet"),
          action("Give up", () => giveUp(alias, reload), "quiet u-danger"),
        ),
      ),
    ),
  );
}

async function giveUp(alias, reload) {
  await request("DELETE", `/aliases/${alias.name}`, undefined, { "If-Match": `"${alias.revision}"` });
  toast(`${alias.name} means nothing any more. Runs that were launched by it keep their model.`, 6);
  await reload();
}

async function movesDialog(alias) {
  const moves = await getAll(`/aliases/${alias.name}/moves`);
  dialog(
    `What ${alias.name} has meant`,
    h(
      "ul",
      { class: "u-list" },
      ...moves.map((move) =>
        h(
          "li",
          {},
          h("span", { class: "u-tag" }, String(move.revision)),
          h("span", { class: "u-mono", style: "overflow-wrap:anywhere" }, move.target ?? "given up"),
          h("span", { class: "u-small u-muted" }, new Date(move.created_at).toLocaleString()),
          move.note ? h("span", {}, move.note) : null,
        ),
      ),
    ),
  );
}

/** Sets a name to a model, or moves it there; a name that somebody else moved meanwhile is not overwritten. */
export function nameDialog(model, known, after) {
  const kind = model.kind === "reward_model" ? "reward_model" : "policy";
  const hint = kind === "policy" ? "champion" : "taste";
  const name = h("input", { class: "u-input", "aria-label": "Alias", list: "u-aliases", placeholder: hint });
  const note = h("input", { class: "u-input", "aria-label": "Why", placeholder: "kept with the move; may stay empty" });
  const words = h("p", { class: "u-small u-muted", "aria-live": "polite" }),
    trouble = h("div", {});
  const before = () => known.find((alias) => alias.name === name.value.trim());
  name.addEventListener("input", () => {
    const own = before();
    const isOther = own && own.kind !== kind;
    const other = `${own?.name} means a ${KINDS[own?.kind]}, and this is a ${KINDS[kind]}: choose another name.`;
    words.textContent = isOther ? other : own ? `Moves from ${own.target}.` : "";
  });
  const box = dialog(
    `A name for ${model.name}`,
    h(
      "div",
      { class: "u-part u-stack" },
      h("datalist", { id: "u-aliases" }, ...known.filter((alias) => alias.kind === kind).map((alias) => h("option", { value: alias.name }))),
      h("label", { class: "u-field" }, h("span", {}, "Alias"), name),
      h("label", { class: "u-field" }, h("span", {}, "Why"), note),
      words,
      trouble,
      h(
        "p",
        {},
        action(
          "Set",
          async () => {
            const headers = before() ? { "If-Match": `"${before().revision}"` } : {};
            const body = { target: model.source, note: note.value.trim() };
            try {
              await request("PUT", `/aliases/${encodeURIComponent(name.value.trim())}`, body, headers);
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
  name.focus();
}
