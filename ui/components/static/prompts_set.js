// One prompt set: its prompts as a table that can be edited, its versions, the runs that name one, and its downloads.
import { get, request, query as url } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, failure, h, identifier, query, select, show, titled, toast, when } from "./dom.js";
import { plural, shortId } from "./format.js";
import { PagedList } from "./paged.js";
import { uploadForm } from "./prompts_upload.js";
import { apiButton, apiCalls } from "./shell.js";

const PAGE_SIZE = 50;
const MISSING = { question: "Which prompt set?", hint: "Open one from the list.", href: "/prompts", link: "Prompt sets" };

export function mountSet(root) {
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  const { data: set, etag } = await request("GET", `/prompt-sets/${id}`);
  const number = Number(query("version")) || set.latest.version;
  const version = set.versions.find((each) => each.version === number) ?? set.latest;
  titled(set.name);
  apiCalls([{ path: `/prompt-sets/${id}` }, { path: `/prompt-sets/${id}/prompts?version=${version.version}` }]);
  const place = h("div", {});
  const edit = action("Edit", async () => show(place, await editor(set, version, etag, () => read())));
  const next = action("Upload a version", () => show(place, uploadForm({ set, etag, close: () => read() })));
  const read = () => show(place, prompts(set, version));
  read();
  const side = h("div", { class: "u-stack" }, versions(set, version), users(set));
  show(
    root,
    heading(set, version, set.is_builtin ? [] : [next, edit]),
    h("div", { class: "u-stack" }, place, side),
  );
}

function heading(set, version, actions) {
  const downloads = ["jsonl", "csv", "text"].map((format) =>
    h("a", { class: "u-btn", href: `/api/v1/prompt-sets/${set.id}/download?format=${format}&version=${version.version}`, download: true }, format === "jsonl" ? "JSONL" : format === "csv" ? "CSV" : "Text"),
  );
  const twice = version.num_duplicates ? `, ${version.num_duplicates} of them again` : "";
  const facts = `${plural(version.num_prompts, "prompt")}${twice}, version ${version.version} of ${set.latest.version}`;
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: "/prompts" }, "Prompt sets"), " ›"),
      h("h1", {}, set.name),
      h("p", { class: "u-muted" }, facts, set.is_builtin ? " · shipped, read-only" : ""),
      h("p", { class: "u-small u-muted" }, "A run names it by ", identifier(version.sha256)),
    ),
    h("div", { class: "u-row" }, ...downloads, ...actions, apiButton(), h("a", { class: "u-btn u-main", href: `/launch?prompt_set=${version.sha256}` }, "Train on it")),
  );
}

function prompts(set, version) {
  const body = h("div", {}),
    tasks = Object.entries(version.tasks);
  let task = "";
  const list = new PagedList(
    (after) => url(`/prompt-sets/${set.id}/prompts`, { version: version.version, task, limit: PAGE_SIZE, after }),
    () => show(body, table(list.items), list.hasMore ? h("p", { class: "u-more" }, action("Load more", () => list.load(true))) : null),
    body,
  );
  const options = [["", "All tasks"], ...tasks.filter(([name]) => name !== "none").map(([name, count]) => [name, `${name} (${count})`])];
  const choice = select("Task", options, (value) => {
    task = value;
    list.load();
  });
  list.load();
  return card("Prompts", body, options.length > 1 ? choice : null);
}

function table(items) {
  const row = (item) =>
    h(
      "tr",
      {},
      h("td", { style: "overflow-wrap:anywhere" }, item.text),
      h("td", {}, item.task ?? "–"),
      h("td", {}, ...item.tags.map((tag) => h("span", { class: "u-tag" }, tag)), item.geneval ? h("span", { class: "u-tag", title: JSON.stringify(item.geneval) }, "GenEval") : null),
    );
  const head = ["Prompt", "Task", "Tags"].map((name) => h("th", { scope: "col" }, name));
  return h("table", { class: "u-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...items.map(row)));
}

/** All prompts as rows of inputs; what is stored is the next version. */
async function editor(set, version, etag, close) {
  const rows = h("tbody", {}),
    refusal = h("div", {});
  const add = (item = { text: "", task: null, tags: [], geneval: null }) => {
    const text = h("input", { class: "u-input", style: "width:100%", value: item.text, maxlength: 1000, "aria-label": "Prompt" });
    const task = h("input", { class: "u-input", style: "width:100%", value: item.task ?? "", maxlength: 40, "aria-label": "Task" });
    const tags = h("input", { class: "u-input", style: "width:100%", value: item.tags.join("; "), "aria-label": "Tags, set apart by ;" });
    const line = h("tr", {}, h("td", {}, text), h("td", {}, task), h("td", {}, tags), h("td", {}, h("button", { class: "u-btn quiet", type: "button", title: "Remove this prompt", onclick: () => line.remove() }, "Remove")));
    line.entry = () => ({
      text: text.value,
      task: task.value.trim() || null,
      tags: tags.value.split(";").map((tag) => tag.trim()).filter(Boolean),
      // GenEval's line stands for its prompt: other words are no prompt of GenEval.
      geneval: text.value === item.text ? item.geneval : null,
    });
    rows.append(line);
    return text;
  };
  for (const item of await everyPrompt(set, version)) add(item);
  const note = h("input", { class: "u-input", maxlength: 300, placeholder: "Why, kept with the version", "aria-label": "Note" });
  const save = action(
    "Store as the next version",
    async () => {
      show(refusal);
      const wanted = { prompts: [...rows.children].map((line) => line.entry()).filter((entry) => entry.text.trim()), note: note.value };
      try {
        const { data } = await request("PATCH", `/prompt-sets/${set.id}`, wanted, { "If-Match": etag });
        if (data.latest.version === set.latest.version) return toast("Nothing was changed, so there is no new version.");
        location.href = `/prompts?id=${set.id}`;
      } catch (error) {
        show(refusal, failure(error));
      }
    },
    "u-main",
  );
  const more = action("Add a prompt", () => add().focus());
  const head = ["Prompt", "Task", "Tags", ""].map((name) => h("th", { scope: "col" }, name));
  const body = h("div", {}, h("table", { class: "u-table u-edit" }, h("thead", {}, h("tr", {}, ...head)), rows), h("div", { class: "u-row", style: "margin-top:16px" }, more, note, save), refusal);
  return card("Edit", body, h("button", { class: "u-btn quiet u-push", type: "button", onclick: close }, "Close"));
}

async function everyPrompt(set, version) {
  const items = [];
  for (let after = null; ; ) {
    const page = await get(url(`/prompt-sets/${set.id}/prompts`, { version: version.version, limit: 100, after }));
    items.push(...page.data);
    if (!page.has_more) return items;
    after = page.next_cursor;
  }
}

function versions(set, shown) {
  const row = (each) =>
    h(
      "li",
      {},
      each.version === shown.version ? h("b", {}, `version ${each.version}`) : h("a", { href: `/prompts?id=${set.id}&version=${each.version}` }, `version ${each.version}`),
      h("span", { class: "u-muted" }, plural(each.num_prompts, "prompt")),
      each.note ? h("span", {}, each.note) : null,
      set.is_builtin ? null : h("span", { class: "u-small u-muted u-push" }, when(each.created_at)),
    );
  return card("Versions", h("ul", { class: "u-list" }, ...set.versions.map(row)));
}

function users(set) {
  const row = (run) => h("li", {}, h("a", { href: `/run?id=${run.run_id}` }, run.name || shortId(run.run_id)), h("span", { class: "u-muted" }, `${run.kind}, version ${run.version}`));
  const body = set.used_by.length ? h("ul", { class: "u-list" }, ...set.used_by.map(row)) : h("p", { class: "u-chart-none" }, "No run names it yet.");
  return card("Used by", body);
}
