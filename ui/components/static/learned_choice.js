// Learned rewards to choose from: each by name, with the aliases that mean it now. A refused one stands there too, with
// the reason, and cannot be ticked. Knows nothing of what is done with the choice.
import { getAll } from "./api.js";
import { failure, h, show } from "./dom.js";
import { accuracyOf } from "./learned.js";
import { shortId } from "./format.js";

/** The names that mean a reward model now, by its source. */
export async function namesBySource() {
  const names = new Map();
  for (const alias of await getAll("/aliases"))
    if (alias.kind === "reward_model") names.set(alias.target, [...(names.get(alias.target) ?? []), alias.name]);
  return names;
}

/** A reward model's aliases, each a tag. */
export const aliasTags = (names = []) => names.map((name) => h("span", { class: "u-tag", title: "a name that means this reward model now" }, `alias:${name}`));

export class LearnedChoice {
  /** Of those that may be asked, the newest `numTicked` are ticked at first. */
  constructor(numTicked = 0) {
    this.numTicked = numTicked;
    this.models = [];
    this.names = new Map();
    this.body = h("div", {}, h("p", { class: "u-small u-muted" }, "Reading the learned rewards …"));
    this.element = h("fieldset", { class: "u-learned" }, h("legend", { class: "u-label" }, "Learned rewards to ask"), this.body);
  }

  async load() {
    try {
      const [models, names] = await Promise.all([getAll("/reward-models"), namesBySource()]);
      this.models = models.filter((model) => model.report);
      this.names = names;
      const ticked = this.models.filter((model) => !model.refusal).slice(0, this.numTicked);
      show(this.body, ...(this.models.length ? this.models.map((model) => this.line(model, ticked.includes(model))) : [nothing()]));
    } catch (error) {
      const ticked = this.models.filter((model) => !model.refusal).slice(0, this.numTicked);
      show(this.body, failure(error, () => this.load()));
    }
  }

  line(model, isTicked) {
    const box = h("input", { type: "checkbox", value: model.source, disabled: Boolean(model.refusal), checked: isTicked });
    const id = h("span", { class: "u-mono u-small u-muted", title: model.source }, shortId(model.source));
    const words = h("span", { class: "u-small u-muted" }, accuracyOf(model));
    const why = model.refusal ? h("span", { class: "u-small why" }, h("b", {}, "Refused. "), model.refusal) : null;
    return h("label", {}, box, h("span", {}, h("span", { class: "u-row" }, titleOf(model), ...aliasTags(this.names.get(model.source)), id, words), why));
  }

  /** The sources that are ticked. */
  get chosen() {
    return [...this.body.querySelectorAll("input:checked")].map((box) => box.value);
  }

  /** What a source is called here; null where no model of the list has it. */
  called(source) {
    const model = this.models.find((each) => each.source === source);
    return model ? [titleOf(model), ...(this.names.get(source) ?? [])].join(", ") : null;
  }
}

const titleOf = (model) => model.name || `reward ${shortId(model.run_id)}`;

function nothing() {
  const words = "None has been learned from votes yet. ";
  return h("p", { class: "u-small u-muted" }, words, h("a", { href: "/rewards" }, "How one is made"));
}
