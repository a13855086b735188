// The pairs of a comparison: two pictures each, or a column for every policy; in order, by task, by difference.
import { TERMINAL, get, query as url } from "./api.js";
import { openClosely } from "./compare_close.js";
import { labelsOf, nameOf, numPrompts, twoOf } from "./compare_names.js";
import { action, card, empty, failure, h, select, setOptions, show, toast } from "./dom.js";
import { figure, plural, signed } from "./format.js";
import { PagedList } from "./paged.js";

export const PAGE_SIZE = 24;
const ORDERS = [
  ["worst", "Worst regressions first"],
  ["best", "Best gains first"],
];
const VIEWS = [
  ["pairs", "Pairs"],
  ["grid", "Every policy"],
];

/** The API's parameters of the pairs that a state means. */
export function wantedOf(state) {
  const { order, task, min_difference, max_difference } = state;
  return { ...twoOf(state), order, task, min_difference, max_difference };
}

export class PairPanel {
  /** `onState(state)` is told whenever what a link carries has changed. */
  constructor(found, state, onState) {
    Object.assign(this, { found, state, onState, tally: null });
    this.labels = labelsOf(found.config);
    this.body = h("div", { class: "u-pairs-body" });
    this.note = h("p", { class: "u-small u-muted u-push", role: "status" });
    const path = `/evaluations/${found.run_id}/pairs`;
    this.path = path;
    this.pairs = new PagedList((after) => url(path, { ...wantedOf(state), limit: PAGE_SIZE, after }), () => this.draw(), this.body);
    this.tasks = select("Task", [], (value) => this.choose("task", value));
    this.flipButton = h("button", { class: "u-btn", type: "button", "aria-pressed": "false", title: "Hold f", onclick: () => this.flip() }, "Flip");
    this.element = card("Pairs", h("div", {}, this.tools(), this.body));
    this.renew(found);
    if (state.pair) this.openLinked();
  }

  tools() {
    const order = select("Order", ORDERS, (value) => this.choose("order", value));
    order.value = this.state.order;
    const row = h("div", { class: "u-row", style: "margin-bottom:16px" }, this.labels.length > 2 ? this.views() : null, order, this.tasks, ...this.bounds(), this.flipButton, this.note);
    return row;
  }

  /** Where there are more than two policies: the two, or all of them in columns. */
  views() {
    const view = select("View", VIEWS, (value) => {
      this.state.view = value;
      this.onState(this.state);
      this.draw();
    });
    view.value = this.state.view;
    return view;
  }

  bounds() {
    return [
      ["min_difference", "Difference from"],
      ["max_difference", "to"],
    ].map(([name, words]) => {
      const box = h("input", { class: "u-input u-bound", type: "number", step: "any", value: this.state[name], "aria-label": `${words} (reward)`, onchange: () => this.choose(name, box.value) });
      return h("label", { class: "u-small u-muted u-row" }, words, box);
    });
  }

  choose(name, value) {
    this.state[name] = value;
    this.onState(this.state);
    this.load();
  }

  load() {
    this.loading = this.pairs.load();
    this.count();
  }

  /** How many there are of what is shown; what fails here fails in the list too, which says why. */
  async count() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const tally = await get(url(`${this.path}/tally`, wantedOf(this.state))).catch(() => null);
    if (turn !== this.turn) return;
    this.tally = tally;
    this.note.textContent = storedWords(this.found, tally);
  }

  /** Pairs and tasks come one after another while the evaluation runs. */
  renew(found) {
    this.found = found;
    const tasks = [["", "Every task"], ...found.tasks.map((task) => [task, task.replaceAll("_", " ")])];
    setOptions(this.tasks, tasks);
    if (found.tasks.includes(this.state.task)) this.tasks.value = this.state.task;
    this.load();
  }

  flip(isFlipped = !this.state.isFlipped) {
    this.state.isFlipped = isFlipped;
    this.body.classList.toggle("flipped", isFlipped);
    this.flipButton.setAttribute("aria-pressed", String(isFlipped));
  }

  draw() {
    if (!this.pairs.items.length) return show(this.body, nothing(this.found, this.state));
    const isGrid = this.state.view === "grid" && this.labels.length > 2;
    const tile = isGrid ? (pair) => this.row(pair) : (pair) => this.tile(pair);
    show(
      this.body,
      h("div", { class: isGrid ? "u-stack wide" : "u-pairs" }, ...this.pairs.items.map(tile)),
      this.pairs.hasMore ? h("p", { class: "u-more" }, action("Load more", () => this.pairs.load(true))) : null,
    );
  }

  tile(pair) {
    const sides = [
      [this.state.base, pair.base],
      [this.state.policy, pair.policy],
    ];
    return h(
      "article",
      { class: "u-pair", "aria-label": pair.prompt },
      h("button", { type: "button", class: "u-pair-pictures", title: "Compare closely", onclick: () => this.open(pair) }, ...sides.map(([label, sample]) => side(label, sample))),
      h("p", { class: "u-small prompt", title: pair.prompt }, pair.prompt),
      change(pair),
    );
  }

  /** A prompt and seed with a column for every policy; a click compares that picture with the first of the two. */
  row(pair) {
    const { base, policy } = this.state;
    const sides = this.labels.map((label) => [label, label === base ? pair.base : label === policy ? pair.policy : pair.others[label]]);
    const cell = ([label, sample]) =>
      sample
        ? h("button", { type: "button", class: "u-pair-pictures one", title: `Compare ${nameOf(label)} closely`, onclick: () => this.open(pair, label === base ? null : [base, label]) }, side(label, sample))
        : h("span", { class: "u-small u-muted" }, `${nameOf(label)}: not yet`);
    return h(
      "article",
      { class: "u-pair", "aria-label": pair.prompt },
      h("p", { class: "u-row prompt" }, h("b", {}, pair.prompt), h("span", { class: "u-small u-muted" }, `seed ${pair.seed}`), change(pair)),
      h("div", { class: "u-columns", style: `--columns:${this.labels.length}` }, ...sides.map(cell)),
    );
  }

  open(pair, sides = null) {
    this.state.sides = sides;
    openClosely(pair, this.state, this.found.config, (from, by, isQuestion) => this.neighbour(from, by, isQuestion), (shown) => {
      this.state.pair = shown?.policy.id ?? null;
      this.onState(this.state);
    });
  }

  /** The pair that a link names, which need not be among those listed first. */
  async openLinked() {
    try {
      const path = url(`${this.path}/${encodeURIComponent(this.state.pair)}`, twoOf(this.state));
      const [pair] = await Promise.all([get(path), this.loading]);
      this.open(pair, this.state.sides);
    } catch (error) {
      toast(failure(error));
    }
  }

  /** The pair before or after one in the list as it is shown; null where there is none. */
  neighbour(pair, by, isQuestion = false) {
    const { pairs } = this;
    const at = pairs.items.findIndex((each) => each.policy.id === pair.policy.id);
    const next = at < 0 ? null : (pairs.items[at + by] ?? null);
    if (next || at < 0 || by < 0 || !pairs.hasMore) return next;
    return isQuestion ? true : pairs.load(true).then(() => pairs.items[at + by] ?? null);
  }
}

function side(label, sample) {
  return h(
    "span",
    { class: "u-pair-side" },
    h("img", { src: sample.image_url, alt: `${nameOf(label)}: ${sample.prompt}`, loading: "lazy" }),
    h("span", { class: "u-small u-muted" }, `${nameOf(label)} ${figure(sample.reward)}`),
  );
}

function change({ difference }) {
  const kind = difference > 0 ? "u-up" : difference < 0 ? "u-down" : "u-muted";
  return h("p", { class: `u-small ${kind}` }, difference === 0 ? "equal" : signed(difference));
}

function storedWords(found, tally) {
  const { config, num_pairs: stored } = found;
  if (!tally || !stored) return "";
  const { num_pairs: shown, num_wins: wins, num_losses: losses, num_unjudged: unjudged } = tally;
  const equal = `${shown - wins - losses - unjudged} equal${unjudged ? `, ${unjudged} without a reward` : ""}`;
  const fates = `${plural(wins, "win")}, ${plural(losses, "loss", "losses")}, ${equal}`;
  const made = (numPrompts(found) ?? 0) * config.samples_per_prompt;
  if (shown !== stored) return `${shown} of ${plural(stored, "stored pair")}: ${fates}`;
  return `${stored} of ${plural(Math.max(made, stored), "pair")} stored: ${fates}`;
}

function nothing(found, { task, min_difference: low, max_difference: high }) {
  if (found.num_pairs && (low || high)) return empty("No pair differs by so much", "Widen the bounds of the difference, or choose every task.");
  if (found.num_pairs) return empty(`No pair of ${task ? "this task" : "these policies"} is stored`, "Choose another, or wait while the evaluation runs.");
  if (TERMINAL.includes(found.status))
    return empty(
      "No pairs",
      "The evaluation ended before both policies had made a picture. Its run says why.",
      h("a", { class: "u-btn", href: `/run?id=${found.run_id}` }, "Open the run"),
    );
  return empty("No pairs yet", "The pictures of base and policy appear here as the evaluation makes them.");
}
