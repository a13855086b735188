// What the pages of pair sets say alike: where the pairs come from, and who voted, programs told as such.
import { h } from "./dom.js";

const FORMAT_WORDS = { pick_a_pic: "Pick-a-Pic", hpdv2: "HPDv2", csv: "CSV" };

/** Where a set's pairs come from: a link to its label task, or the imported file. */
export function sourceOf({ source }) {
  if (source.label_task_id) return h("a", { href: `/label?id=${source.label_task_id}` }, source.label_task_name ?? "a label task");
  if (source.kind === "import") return h("span", { class: "u-muted", style: "overflow-wrap:anywhere" }, `${source.file}, ${FORMAT_WORDS[source.format] ?? source.format}`);
  return h("span", { class: "u-muted" }, String(source.kind ?? "unknown").replaceAll("_", " "));
}

/** How many voted. A set that programs voted on never looks like people's. */
export function ratersOf({ num_raters: raters, num_simulated_raters: programs }) {
  if (!programs) return h("span", {}, String(raters));
  const words = programs === raters ? "all simulated" : `${programs} simulated`;
  return h("span", {}, `${raters} `, h("span", { class: "u-tag", title: "A program votes here, no person" }, words));
}

/** The row and column that a refusal points at, where it points at one: `/rows/3/label_0`. */
export function placeOf(pointer) {
  const found = /^\/rows\/(\d+)\/(.+)$/.exec(pointer);
  return found ? { row: Number(found[1]), column: found[2] } : { row: null, column: pointer.split("/").at(-1) };
}
