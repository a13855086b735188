// Prompts down, policies across, the same seeds in each cell: places that fill with pictures as they are made.
import { labelsOf, sourcesOf } from "./compare_names.js";
import { h } from "./dom.js";
import { figure, plural } from "./format.js";

export class TryGrid {
  constructor(config, models) {
    this.labels = labelsOf(config);
    this.numSeeds = config.samples_per_prompt;
    this.texts = config.prompts.texts;
    this.numDone = 0;
    this.note = h("div", {});
    const sources = sourcesOf(config);
    this.names = Object.fromEntries(this.labels.map((label) => [label, models.find((each) => each.source === sources[label])?.name ?? sources[label]]));
    this.cells = new Map();
    this.element = h("div", { class: "u-stack wide" }, this.note, ...this.texts.map((text, index) => this.row(text, index)));
  }

  row(text, index) {
    const cells = this.labels.map((label) => {
      const pictures = h("div", { class: "u-try-pictures" }, ...Array.from({ length: this.numSeeds }, () => h("span", { class: "u-try-wait" })));
      this.cells.set(`${index} ${label}`, pictures);
      return h("div", { class: "u-try-cell" }, h("p", { class: "u-small u-muted", title: this.names[label] }, this.names[label]), pictures);
    });
    return h("article", { "aria-label": text }, h("h3", { class: "u-try-prompt" }, text), h("div", { class: "u-columns", style: `--columns:${this.labels.length}` }, ...cells));
  }

  /** Puts the pictures of some groups into their places; what was there before is made anew. */
  enter(groups) {
    for (const group of groups) {
      const cell = this.cells.get(`${group.index} ${group.policy}`);
      if (!cell) continue;
      if (!cell.querySelector("img")) this.numDone += group.samples.length;
      const samples = [...group.samples].sort((a, b) => a.index - b.index);
      cell.replaceChildren(...samples.map((sample) => this.tile(group, sample)));
    }
  }

  tile(group, sample) {
    const words = `${this.names[group.policy]}: ${sample.prompt}, seed ${sample.seed}`;
    const score = sample.reward === null ? null : h("span", { class: "u-small u-muted" }, figure(sample.reward));
    return h("a", { href: `/sample?id=${sample.id}`, title: `${words}: open its replay` }, h("img", { src: sample.image_url, alt: words, loading: "lazy" }), score);
  }

  /** How far it is. */
  words(isOver) {
    const all = this.texts.length * this.labels.length * this.numSeeds;
    if (isOver && this.numDone >= all) return `${plural(all, "picture")}; click one for its replay`;
    return `${this.numDone} of ${plural(all, "picture")}`;
  }
}
