// Makes a prompt set, or the next version of one, of a dropped file or of pasted lines.
import { ApiError } from "./api.js";
import { action, card, failure, h, select, show } from "./dom.js";

const FORMATS = [
  ["text", "Text, a prompt a line"],
  ["csv", "CSV with a header"],
  ["jsonl", "JSON lines, or GenEval's file"],
];
const ENDINGS = { txt: "text", csv: "csv", jsonl: "jsonl", json: "jsonl" };

/** The form in its card. `set` = the set whose next version is made, with its `etag`; none = a new one. */
export function uploadForm({ close, set = null, etag = null }) {
  const name = h("input", { class: "u-input", maxlength: 120, value: set?.name ?? "", "aria-label": "Name" });
  const format = select("Format", FORMATS, () => {});
  const lines = h("textarea", { class: "u-input u-area", rows: 8, "aria-label": "Prompts", placeholder: "a photo of a red circle\na photo of two stars" });
  const told = h("p", { class: "u-small u-muted" }, "Drop a file here, choose one, or paste below. UTF-8, at most 10 000 prompts of 1000 characters."),
    refusal = h("div", {});
  let file = null;
  const take = (chosen) => {
    if (!chosen) return;
    file = chosen;
    format.value = ENDINGS[chosen.name.split(".").at(-1).toLowerCase()] ?? format.value;
    if (!name.value) name.value = chosen.name.replace(/\.[^.]*$/, "").slice(0, 120);
    told.textContent = `${chosen.name}, ${Math.max(1, Math.round(chosen.size / 1024))} KiB: sent instead of the text below.`;
    lines.disabled = true;
  };
  const picker = h("input", { type: "file", accept: ".txt,.csv,.jsonl,.json,text/plain", "aria-label": "File", onchange: () => take(picker.files[0]) });
  const send = action(
    set ? "Store as the next version" : "Create",
    async () => {
      show(refusal);
      try {
        const made = await upload(file ?? new File([lines.value], "pasted lines"), format.value, name.value, set, etag);
        location.href = `/prompts?id=${made.id}`;
      } catch (error) {
        show(refusal, failure(error));
      }
    },
    "u-main",
  );
  const drop = h("div", { class: "u-drop" }, told, picker);
  const body = h(
    "div",
    { class: "u-stack tight" },
    drop,
    h(
      "div",
      { class: "u-form-grid" },
      h("label", {}, h("b", {}, "Name"), name),
      h("label", {}, h("b", {}, "Format"), format),
      h("label", { class: "u-wide" }, h("b", {}, "Prompts"), lines),
    ),
    h("div", { class: "u-row" }, send),
    refusal,
  );
  body.addEventListener("dragover", (event) => event.preventDefault());
  body.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  const title = set ? "Next version" : "New prompt set";
  return card(title, body, h("button", { class: "u-btn quiet u-push", type: "button", onclick: close }, "Close"));
}

/** The bytes go as they are: whether they are UTF-8 is the studio's to say. */
async function upload(file, format, name, set, etag) {
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("format", format);
  form.append("name", name);
  if (set) form.append("prompt_set_id", set.id);
  const answer = await fetch("/api/v1/prompt-sets/upload", { method: "POST", body: form, headers: etag ? { "If-Match": etag } : {} }).catch(() => {
    throw new ApiError({ title: "The studio does not answer", detail: "Is it still running? Start it again with: make up", status: 0 });
  });
  const told = await answer.json();
  if (!answer.ok) throw new ApiError(told);
  return told;
}
