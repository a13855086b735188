// One pair looked at closely: a slider between the two pictures, both beside each other, or both unmasking replays.
import { labelsOf, nameOf } from "./compare_names.js";
import { openReplays } from "./compare_replays.js";
import { dialog, h, select, show } from "./dom.js";
import { figure, signed } from "./format.js";

export const LOOKS = [
  ["slider", "Slider"],
  ["beside", "Side by side"],
  ["replays", "Replays"],
];
const MOVES = { slider: 5, beside: 0, replays: 0 };

/**
 * Opens a pair. `state` has the two policies of the list, `look`, and as `sides` two others where those are looked at;
 * `go(pair, by, isQuestion)` gives the pair before or after one, or null; `onChange(pair)` is told what is on screen,
 * null when it is closed.
 */
export function openClosely(pair, state, config, go, onChange) {
  const view = new CloseView(pair, state, config, go, onChange);
  view.draw();
  // Not the first control: what is typed there would be the control's.
  view.box.focus();
}

class CloseView {
  constructor(pair, state, config, go, onChange) {
    Object.assign(this, { pair, state, config, go, onChange, isFlipped: false, player: null });
    this.looks = h("div", { class: "u-layers", role: "group", "aria-label": "Look" });
    this.before = this.jump("↑ Previous", "Previous pair (↑)", -1);
    this.after = this.jump("Next ↓", "Next pair (↓)", 1);
    this.body = h("div", { class: "u-close-body" });
    this.words = h("p", { class: "u-small", style: "margin-top:8px" });
    const tools = h("div", { class: "u-row", style: "margin-bottom:12px" }, this.looks, ...this.twoTools(), h("div", { class: "u-row u-push" }, this.before, this.after));
    this.box = dialog(`“${pair.prompt}”`, tools, this.body, this.words);
    this.box.classList.add("u-close");
    this.box.tabIndex = -1;
    this.box.addEventListener("keydown", (event) => this.press(event));
    this.box.addEventListener("keyup", (event) => event.key === "f" && this.flip(false));
    this.box.addEventListener("close", () => {
      this.player?.play(false);
      this.state.sides = null;
      onChange(null);
    });
  }

  /** Where there are more than two policies: which two are looked at. */
  twoTools() {
    const labels = labelsOf(this.config);
    if (labels.length < 3) return [];
    const options = labels.map((label) => [label, nameOf(label)]);
    const boxes = ["Left", "Right"].map((title, place) => {
      const box = select(title, options, (label) => {
        const two = [...this.two()];
        if (two[1 - place] === label) two[1 - place] = two[place];
        two[place] = label;
        this.state.sides = two;
        this.draw();
      });
      return box;
    });
    this.boxes = boxes;
    return boxes;
  }

  /** The labels of the two that are looked at. */
  two() {
    return this.state.sides ?? [this.state.base, this.state.policy];
  }

  sampleOf(label) {
    const { base, policy } = this.state;
    return label === base ? this.pair.base : label === policy ? this.pair.policy : this.pair.others[label];
  }

  jump(label, words, by) {
    return h("button", { class: "u-btn", type: "button", title: words, "aria-label": words, onclick: () => this.move(by) }, label);
  }

  async move(by) {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const next = await this.go(this.pair, by);
    if (!next || turn !== this.turn || !this.box.open) return;
    this.pair = next;
    this.draw();
  }

  choose(look) {
    this.state.look = look;
    this.draw();
  }

  /** The sides as they stand: where they are flipped, the other way round. */
  sides() {
    const sides = this.two().map((label) => [label, this.sampleOf(label)]);
    return this.isFlipped ? sides.reverse() : sides;
  }

  draw() {
    const { pair, state } = this;
    this.player?.play(false);
    this.player = null;
    this.isFlipped = false;
    this.line = undefined;
    this.two().forEach((label, place) => {
      if (this.boxes) this.boxes[place].value = label;
    });
    this.box.setAttribute("aria-label", `“${pair.prompt}”`);
    this.box.querySelector("h2").textContent = `“${pair.prompt}”`;
    this.box.classList.toggle("wide", state.look !== "slider");
    show(
      this.looks,
      ...LOOKS.map(([name, label], index) =>
        h("button", { type: "button", "aria-pressed": String(name === state.look), title: `Key ${index + 1}`, onclick: () => this.choose(name) }, label),
      ),
    );
    show(this.words, ...words(pair, this.sides()));
    this.fill();
    for (const [button, by] of [
      [this.before, -1],
      [this.after, 1],
    ])
      button.disabled = this.go(pair, by, true) === null;
    // What had the focus may be gone or disabled, and then no key would reach the dialog any more.
    if (!this.box.contains(document.activeElement) || document.activeElement.disabled) this.box.focus();
    this.onChange(pair);
  }

  fill() {
    const absent = this.sides().find(([, sample]) => !sample);
    if (absent) show(this.body, h("p", { class: "u-chart-none" }, `${nameOf(absent[0])} has not made its picture yet.`));
    else if (this.state.look === "slider") show(this.body, ...slider(this.sides(), this.line));
    else if (this.state.look === "beside") show(this.body, beside(this.sides()));
    else {
      const root = h("div", {});
      show(this.body, root);
      openReplays(root, this.sides(), this.config.num_replayed, (player) => {
        if (root.isConnected) this.player = player;
      });
    }
  }

  /** While the key is down, each picture stands in the other's place; replays keep theirs. */
  flip(isFlipped) {
    if (this.isFlipped === isFlipped || this.state.look === "replays") return;
    this.line = this.body.querySelector("input[type=range]")?.value;
    this.isFlipped = isFlipped;
    this.fill();
  }

  slide(by) {
    const range = this.body.querySelector(".u-slider ~ .u-row input");
    if (!range) return;
    range.value = Number(range.value) + by;
    range.dispatchEvent(new Event("input"));
  }

  /** The page's own keys rest while a dialog is open, so it has a map of its own. */
  keys() {
    const by = MOVES[this.state.look];
    const own = this.player?.keys() ?? [
      ["ArrowLeft", "", () => this.slide(-by)],
      ["ArrowRight", "", () => this.slide(by)],
    ];
    return new Map([
      ...own.map(([key, , handler]) => [key, handler]),
      ["ArrowUp", () => this.move(-1)],
      ["ArrowDown", () => this.move(1)],
      ["f", () => this.flip(true)],
      ...LOOKS.map(([name], index) => [String(index + 1), () => this.choose(name)]),
    ]);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    const key = event.key === " " ? "Space" : event.key;
    // Space and Enter on a control belong to the control.
    if (["Space", "Enter"].includes(key) && event.target.closest("button, a, input:not([type=range])")) return;
    const handler = this.keys().get(key);
    if (!handler) return;
    event.preventDefault();
    handler();
  }
}

/** Both pictures at one place: drag the line between them. The first lies left of the line, as the words below say. */
export function slider([[first, one], [second, other]], line = 50) {
  const top = h("img", { src: one.image_url, alt: `${nameOf(first)}: ${one.prompt}` });
  const range = h("input", {
    class: "u-range",
    type: "range",
    min: 0,
    max: 100,
    "aria-label": `Where ${nameOf(first)} ends and ${nameOf(second)} begins`,
  });
  range.value = line;
  const divide = h("span", { class: "u-divide", "aria-hidden": "true" });
  const move = () => {
    top.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
    divide.style.left = `${range.value}%`;
  };
  range.addEventListener("input", move);
  move();
  return [
    h("div", { class: "u-slider" }, h("img", { src: other.image_url, alt: `${nameOf(second)}: ${other.prompt}` }), top, divide),
    h("div", { class: "u-row", style: "margin-top:8px" }, h("span", {}, nameOf(first)), range, h("span", {}, nameOf(second))),
  ];
}

function beside(sides) {
  const figures = sides.map(([label, sample]) =>
    h(
      "figure",
      {},
      h("img", { src: sample.image_url, alt: `${nameOf(label)}: ${sample.prompt}` }),
      h("figcaption", {}, h("b", {}, nameOf(label)), ` ${figure(sample.reward)}`, verdict(sample)),
    ),
  );
  return h("div", { class: "u-two" }, ...figures);
}

/** What of the prompt holds in the picture, where a verifier has looked. */
function verdict({ verdict: found }) {
  if (!found) return null;
  return h(
    "ul",
    { class: "u-list u-small" },
    ...found.conditions.map((each) => h("li", {}, h("b", { class: each.is_satisfied ? "u-yes" : "u-no" }), each.text)),
  );
}

function words(pair, sides) {
  const rewards = sides.map(([, sample]) => sample?.reward ?? null);
  const difference = rewards.includes(null) ? null : rewards[1] - rewards[0];
  const change = difference === null ? "" : ` (${difference === 0 ? "equal" : signed(difference)})`;
  const links = sides.map(([label, sample]) => (sample ? h("a", { class: "u-link", href: `/sample?id=${sample.id}` }, nameOf(label)) : nameOf(label)));
  return [
    `${pair.task ? `${pair.task.replaceAll("_", " ")} · ` : ""}seed ${pair.seed} · reward ${rewards.map(figure).join(" → ")}${change} · each alone: `,
    links[0],
    ", ",
    links[1],
    ". Keys: ↑ ↓ other pairs, 1 2 3 looks, hold f to flip.",
  ];
}
