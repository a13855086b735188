// What an evaluation's prompts share with training: one line, and the prompts behind it on request.
import { get } from "./api.js";
import { failure, h, show } from "./dom.js";
import { plural } from "./format.js";

/** An element that fills itself with the overlap of an evaluation. */
export function overlapNote(id) {
  const root = h("div", { class: "u-small", role: "status", "aria-label": "Overlap with training prompts" });
  const load = async () => {
    try {
      show(root, ...words(await get(`/evaluations/${id}/overlap`)));
    } catch (error) {
      show(root, failure(error, load));
    }
  };
  load();
  return root;
}

function words(found) {
  const { num_overlapping: exact, num_same_content: alike, num_prompts: all } = found;
  const line = `Overlap with training prompts: ${exact ? `${exact} of ${plural(all, "prompt")} word for word` : "none word for word"}${alike ? `, ${alike} in other words` : ""}.`;
  const unknown = found.unknown.length ? h("p", { class: "u-muted" }, `Of the training of ${found.unknown.join(", ")} nothing is known here.`) : null;
  const sources = found.training_runs.filter((run) => run.num_exact || run.num_same_content);
  const from = ({ run_id, name, policies, num_exact, num_same_content }) =>
    h("li", {}, run_id ? h("a", { href: `/run?id=${run_id}` }, name) : name, h("span", { class: "u-muted" }, `behind ${policies.join(", ")}: ${num_exact} word for word, ${num_same_content} in other words`));
  const prompt = (each) => h("li", {}, each.prompt, h("span", { class: "u-muted" }, each.is_exact ? "word for word" : "in other words"));
  const details = sources.length
    ? h("details", {}, h("summary", {}, "Which, and from where"), h("ul", { class: "u-list" }, ...sources.map(from)), h("ul", { class: "u-list" }, ...found.prompts.map(prompt)))
    : null;
  const text = exact ? h("div", { class: "u-note u-warning" }, h("strong", {}, line), "Figures on prompts that were trained on say little of new ones.") : h("p", { class: "u-muted" }, line);
  return [text, unknown, details].filter(Boolean);
}
