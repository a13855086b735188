// Which rewards the sandbox asks: those that are here, by name, and the learned ones. What the studio would ask by itself
// is ticked. Knows no picture and no answer.
import { get } from "./api.js";
import { failure, h, show } from "./dom.js";
import { plural } from "./format.js";
import { LearnedChoice } from "./learned_choice.js";

// As many of the newest learned ones as a test that names no reward asks.
const NUM_LEARNED = 3;

export class RewardChoice {
  constructor() {
    this.learned = new LearnedChoice(NUM_LEARNED);
    this.here = null; // Until they are read, and where they cannot be, a test names none: the studio then asks all.
    this.body = h("div", {}, h("p", { class: "u-small u-muted" }, "Reading the rewards …"));
    const named = h("fieldset", { class: "u-learned" }, h("legend", { class: "u-label" }, "Rewards to ask"), this.body);
    this.element = h("div", { class: "u-stack tight" }, named, this.learned.element);
  }

  async load() {
    await Promise.all([this.readNamed(), this.learned.load()]);
  }

  async readNamed() {
    try {
      const named = (await get("/rewards")).data.filter(({ name }) => name !== "learned");
      const here = named.filter(({ availability }) => availability === "here");
      const lines = here.map(({ name, description }) => h("label", { title: description }, h("input", { type: "checkbox", value: name, checked: true }), name.replaceAll("_", " ")));
      show(this.body, h("div", { class: "u-row", style: "gap:4px 20px" }, ...lines), ...absent(named.length - here.length));
      this.here = here;
    } catch (error) {
      show(this.body, failure(error, () => this.readNamed()));
    }
  }

  /** What is ticked, as the request has it; null while nobody knows what there is. */
  get chosen() {
    if (!this.here) return null;
    const ticked = [...this.body.querySelectorAll("input:checked")].map((box) => box.value);
    const named = this.here.filter(({ name }) => ticked.includes(name)).map(({ name, source }) => ({ name, source }));
    return [...named, ...this.learned.chosen.map((source) => ({ name: "learned", source }))];
  }

  /** What a learned reward's source is called here; null where it is not in the list. */
  called(source) {
    return this.learned.called(source);
  }
}

function absent(number) {
  if (!number) return [];
  const words = `${plural(number, "other")} ${number === 1 ? "is" : "are"} not on this machine. `;
  return [h("p", { class: "u-small u-muted" }, words, h("a", { href: "/rewards" }, "What they need"))];
}
