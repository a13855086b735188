// One prompt from step to step of a run: the same seed's picture at every probe, and the first beside any later one.
import { follow, getAll, query as url } from "./api.js";
import { ALL_RUNS, openById } from "./by_id.js";
import { slider } from "./compare_close.js";
import { card, empty, failure, h, query, select, setOptions, show, status, titled } from "./dom.js";
import { figure, plural } from "./format.js";
import { TERMINAL, fetchRun, runName } from "./runs_shared.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PURPOSES = [
  ["probe", "Held-out probe"],
  ["sample_now", "Sample now"],
  ["train", "Training"],
];

export function mount(root) {
  titled("Prompt over steps");
  const missing = { question: "A prompt of which run?", hint: "Open a run and choose “Prompts over steps”.", ...ALL_RUNS };
  return openById(root, missing, async (id) => new StripPage(root, await fetchRun(id)).start());
}

class StripPage {
  constructor(root, run) {
    Object.assign(this, { root, run, prompts: [], shown: [], turn: 0 });
    this.purpose = query("purpose") ?? "probe";
    this.prompt = query("prompt");
    this.place = Number(query("seed") ?? 0);
    this.body = h("div", { "aria-live": "polite" });
    this.choice = select("Prompt", [], (value) => this.choose({ prompt: value, place: 0 }));
    this.seeds = select("Seed", [], (value) => this.choose({ place: Number(value) }));
    this.purposes = select("Pictures of", PURPOSES, (value) => {
      Object.assign(this, { purpose: value, prompt: null, place: 0 });
      this.told(() => this.list());
    });
    this.purposes.value = this.purpose;
  }

  async start() {
    const { run } = this;
    titled(`Prompts of ${runName(run)}`);
    const crumb = h("p", { class: "u-crumb" }, h("a", { href: "/runs" }, "Runs"), " › ", h("a", { href: `/run?id=${run.id}` }, runName(run)));
    show(
      this.root,
      h("div", { class: "u-head" }, h("div", {}, crumb, h("h1", {}, "Prompt over steps")), h("div", { class: "u-row" }, status(run.status), apiButton())),
      h("div", { class: "u-stack" }, h("div", { class: "u-row" }, this.purposes, this.choice, this.seeds), this.body),
    );
    keys([
      ["ArrowLeft", "Earlier step", () => this.move(-1)],
      ["ArrowRight", "Later step", () => this.move(1)],
      ["ArrowUp", "Prompt before", () => this.jump(-1)],
      ["ArrowDown", "Next prompt", () => this.jump(1)],
    ]);
    await this.told(() => this.list());
    if (!TERMINAL.includes(run.status)) follow(run.id, run.num_events, (event) => event.body.type === "samples" && this.told(() => this.list()));
  }

  /** Does what asks the studio; what fails is told in the place of the pictures, and can be tried again. */
  async told(ask) {
    try {
      await ask();
    } catch (error) {
      show(
        this.body,
        failure(error, () => this.told(ask)),
      );
    }
  }

  get path() {
    return `/runs/${this.run.id}/prompts`;
  }

  async list() {
    const { purpose } = this;
    apiCalls([{ path: url(this.path, { purpose }) }]);
    const prompts = await getAll(this.path, { purpose });
    if (purpose !== this.purpose) return;
    this.prompts = prompts;
    setOptions(this.choice, this.prompts.map((each) => [each.prompt, each.prompt]));
    if (!this.prompts.length) return this.nothing();
    if (!this.prompts.some((each) => each.prompt === this.prompt)) this.prompt = this.prompts[0].prompt;
    await this.load();
  }

  nothing() {
    this.seeds.hidden = this.choice.hidden = true;
    history.replaceState(null, "", url("/strip", { id: this.run.id, purpose: this.purpose === "probe" ? "" : this.purpose }));
    const isOver = TERMINAL.includes(this.run.status);
    const hint = isOver ? "The run has ended. Launch one with a held-out probe (probe.num_prompts) to see its prompts from step to step." : "They come with the second probe; this page shows them by itself.";
    show(this.body, h("div", { class: "u-card" }, empty("No prompt has pictures of more than one step", hint)));
  }

  async load() {
    const turn = ++this.turn;
    this.choice.hidden = false;
    this.choice.value = this.prompt;
    const wanted = { prompt: this.prompt, purpose: this.purpose };
    const groups = await getAll(`${this.path}/groups`, wanted);
    if (turn !== this.turn) return;
    this.groups = groups;
    // Gone since the prompts were listed: a resumed run makes its later steps anew.
    if (!groups.some((group) => group.samples.length)) return this.nothing();
    apiCalls([{ path: url(this.path, { purpose: this.purpose }) }, { path: url(`${this.path}/groups`, wanted) }]);
    this.draw();
  }

  choose(change) {
    Object.assign(this, change);
    if ("prompt" in change) this.told(() => this.load());
    else this.draw();
  }

  /** The pictures of the seed that is followed, step after step. */
  pictures() {
    return this.groups.flatMap((group) => {
      const sample = group.samples.find((each) => each.index === this.place);
      return sample ? [{ group, sample }] : [];
    });
  }

  draw() {
    const places = [...new Set(this.groups.flatMap((group) => group.samples.map((each) => each.index)))].sort((a, b) => a - b);
    if (!places.includes(this.place)) this.place = places[0];
    setOptions(this.seeds, places.map((place) => [String(place), `picture ${place + 1}`]));
    this.seeds.value = String(this.place);
    this.seeds.hidden = places.length < 2;
    const told = { id: this.run.id, purpose: this.purpose === "probe" ? "" : this.purpose, prompt: this.prompt, seed: this.place || "" };
    history.replaceState(null, "", url("/strip", told));
    this.shown = this.pictures();
    // What was chosen stays chosen when a new step comes; else the newest is looked at.
    const kept = this.shown.findIndex(({ sample }) => sample.id === this.chosen);
    this.at = kept < 0 ? this.shown.length - 1 : kept;
    this.stage = h("div", {});
    this.tiles = this.shown.map((each, index) => this.tile(each, index));
    show(this.body, card(`“${this.prompt}”`, h("div", { class: "u-followed" }, this.stage, h("div", {}, h("div", { class: "u-strip", role: "group", "aria-label": "Pictures by step" }, ...this.tiles), this.note()))));
    this.look();
  }

  tile({ group, sample }, index) {
    const look = () => {
      this.at = index;
      this.chosen = sample.id;
      this.look();
    };
    return h(
      "button",
      { type: "button", "aria-pressed": "false", title: `${stepName(group)}, score ${figure(sample.reward)}`, onclick: look },
      h("img", { src: sample.image_url, alt: `${stepName(group)}: ${sample.prompt}`, loading: "lazy" }),
      h("span", { class: "u-small" }, h("span", { class: "u-muted" }, stepName(group)), h("b", {}, figure(sample.reward))),
    );
  }

  note() {
    const seeds = new Set(this.shown.map(({ sample }) => sample.seed));
    const words = seeds.size === 1 ? `Seed ${[...seeds][0]} at every step: what differs is the policy.` : "The seed is another at each step: what differs is the policy and chance.";
    return h("p", { class: "u-small u-muted", style: "margin-top:12px" }, `${plural(this.shown.length, "picture")}. ${words}`);
  }

  /** The first picture and the chosen one at one place, or the only one there is. */
  look() {
    this.tiles.forEach((tile, index) => tile.setAttribute("aria-pressed", String(index === this.at)));
    const [first, chosen] = [this.shown[0], this.shown[this.at]];
    const link = ({ group, sample }) => h("a", { href: `/sample?id=${sample.id}` }, stepName(group));
    const words = h("p", { class: "u-small", style: "margin-top:8px" }, "Replays: ", link(first), ...(chosen === first ? [] : [", ", link(chosen)]));
    if (chosen === first) return show(this.stage, h("div", { class: "u-slider" }, h("img", { src: first.sample.image_url, alt: `${stepName(first.group)}: ${this.prompt}` })), words);
    show(this.stage, ...slider([first, chosen].map(({ group, sample }) => [stepName(group), sample])), words);
  }

  move(by) {
    this.tiles[Math.min(Math.max(this.at + by, 0), this.tiles.length - 1)]?.click();
  }

  jump(by) {
    const next = this.prompts[this.prompts.findIndex((each) => each.prompt === this.prompt) + by];
    if (next) this.choose({ prompt: next.prompt });
  }
}

function stepName({ step, policy }) {
  return policy === "base" ? "base" : `step ${step}`;
}
