// Extend: a sample grows on the sides that are chosen, one after another; the outline of what is to come is seen before.
// It is a sample run like any other: the page can be left, and the run has all of it.
import { action, card, h, show, titled } from "./dom.js";
import { Answer, EditForm, editHeading } from "./edit_form.js";
import { openSource } from "./edit_source.js";
import { plural } from "./format.js";
import { MAX_GROWTH, Growing, SIDES } from "./growing.js";
import { apiCalls, keys } from "./shell.js";

const SOURCE = { hint: "Open a sample and press “Extend”.", fit: "whole" };
const ARROWS = { left: "←", right: "→", up: "↑", down: "↓" };
const KEYS = { left: "ArrowLeft", right: "ArrowRight", up: "ArrowUp", down: "ArrowDown" };

export function mount(root) {
  titled("Extend");
  return openSource(root, SOURCE, (source) => open(root, source));
}

function open(root, { sample, run, grid }) {
  const page = new Extending(sample, run, grid);
  const isOwnSize = grid.num_rows === grid.window_side && grid.num_columns === grid.window_side;
  const words = "The picture grows on the sides you choose, one after another. All that is there keeps its tokens.";
  show(
    root,
    editHeading(sample, "Extend", words, isOwnSize ? ["/inpaint", "Paint over"] : null),
    h("div", { class: "u-cols" }, card("Picture", page.element, page.size), h("div", { class: "u-stack" }, card("Extend", page.form.element), page.answer.element)),
  );
  keys([
    ...SIDES.map((side) => [KEYS[side], `Grow ${side}`, () => page.add(side)]),
    ["Backspace", "Take back the last", () => page.remove(page.growing.extensions.length - 1)],
    ["c", "Take back all", () => page.clear()],
  ]);
  page.answer.resume();
}

/** The picture with the outline of what it grows to, its buttons, the list of extensions, and the form beside. */
class Extending {
  constructor(sample, run, grid) {
    this.growing = new Growing(grid.num_rows, grid.num_columns, grid.window_side);
    this.sample = sample;
    this.size = h("span", { class: "u-small u-muted u-push", role: "status" });
    this.stage = h("div", { class: "u-grow-stage" });
    this.list = h("ol", { class: "u-grow-list" });
    const side = grid.window_side;
    this.added = h("input", { class: "u-input", type: "number", "aria-label": "New cells", min: 1, max: side - 1, step: 1, required: true, value: this.growing.added });
    this.added.addEventListener("input", () => this.setAdded());
    const button = (name) => h("button", { type: "button", class: `u-btn u-grow-${name}`, "aria-label": `Grow ${name}`, title: `Key ${ARROWS[name]}`, onclick: () => this.add(name) }, ARROWS[name]);
    this.buttons = Object.fromEntries(SIDES.map((name) => [name, button(name)]));
    const back = action("Take back all", () => this.clear());
    this.element = h(
      "div",
      { class: "u-stack" },
      h("div", { class: "u-grow" }, ...Object.values(this.buttons), this.stage),
      this.list,
      h("div", { class: "u-row", style: "align-items:end" }, h("label", { class: "u-label u-edit-field" }, `New cells each, 1 to ${side - 1}`, this.added), back),
    );
    this.answer = new Answer({ busy: "Grows", done: "Grown" }, (made) => tile(made));
    const edit = { name: "extend", verb: "Extend", promptLabel: "What the new parts shall show", refusal: () => this.refusal(), part: () => this.part() };
    this.form = new EditForm(sample, run, edit, (made) => this.answer.follow(made.id));
    this.form.element.addEventListener("input", () => this.tellCall());
    this.draw();
  }

  add(side) {
    if (this.growing.canAdd(side)) this.growing.extensions.push({ side, prompt: "" });
    this.draw();
  }

  remove(index) {
    if (index >= 0) this.growing.extensions.splice(index, 1);
    this.draw();
  }

  clear() {
    this.growing.extensions.length = 0;
    this.draw();
  }

  setAdded() {
    if (this.added.checkValidity()) this.growing.added = Number(this.added.value);
    this.draw();
  }

  /** What stands in the way of growing; nothing where nothing does. */
  refusal() {
    const { growing } = this;
    if (!growing.extensions.length) return "Choose a side first: the arrows around the picture, or the arrow keys.";
    if (!this.added.checkValidity()) return `New cells: 1 to ${growing.side - 1}.`;
    return growing.isTooLarge() ? `At most ${MAX_GROWTH} times the policy's own picture: take an extension back, or let each add fewer cells.` : null;
  }

  /** The part of the configuration that is this page's own. */
  part() {
    const { growing } = this;
    const extensions = growing.extensions.map(({ side, prompt }) => ({ direction: side, ...(prompt.trim() ? { prompt: prompt.trim() } : {}) }));
    const added = growing.added === growing.half ? {} : { num_new: growing.added };
    return { extrapolation: { picture: this.sample.name, extensions, ...added } };
  }

  draw() {
    const { growing, sample } = this;
    const plan = growing.plan();
    const box = ({ top, left, rows, columns }) => `left:${(100 * left) / plan.columns}%;top:${(100 * top) / plan.rows}%;width:${(100 * columns) / plan.columns}%;height:${(100 * rows) / plan.rows}%`;
    const outlines = plan.added.map((part, index) => h("div", { class: "u-grow-new", style: box(part) }, h("span", {}, String(index + 1))));
    this.stage.style.aspectRatio = `${plan.columns} / ${plan.rows}`;
    this.stage.style.width = `min(100%, ${Math.round((440 * plan.columns) / plan.rows)}px)`;
    this.stage.replaceChildren(h("img", { src: sample.image_url, alt: sample.prompt, style: box(plan.start) }), ...outlines);
    for (const [side, button] of Object.entries(this.buttons)) button.disabled = !growing.canAdd(side);
    this.list.replaceChildren(...growing.extensions.map((each, index) => this.row(each, index)));
    const cell = `${plan.rows} × ${plan.columns} cells`;
    this.size.textContent = growing.extensions.length ? `${growing.rows} × ${growing.columns} → ${cell}, ${plural(plan.numWindows, "window")}` : cell;
    this.form?.renew();
    this.tellCall();
  }

  row(extension, index) {
    const words = `prompt of extension ${index + 1}`;
    const prompt = h("input", { class: "u-input", "aria-label": words, maxlength: 1000, value: extension.prompt, placeholder: "its own prompt" });
    prompt.addEventListener("input", () => {
      extension.prompt = prompt.value;
      this.tellCall();
    });
    const away = h("button", { type: "button", class: "u-btn quiet", "aria-label": `Take back extension ${index + 1}`, title: "Take back", onclick: () => this.remove(index) }, "×");
    return h("li", {}, h("b", {}, `${index + 1} ${ARROWS[extension.side]} ${extension.side}`), prompt, away);
  }

  tellCall() {
    if (this.form) apiCalls([{ method: "POST", path: "/runs", body: { config: this.form.config() } }]);
  }
}

function tile(sample) {
  return h(
    "figure",
    { class: "u-grown" },
    h("a", { class: "u-tile", href: `/sample?id=${sample.id}` }, h("img", { src: sample.image_url, alt: `grown: ${sample.prompt}, seed ${sample.seed}` })),
    h("figcaption", { class: "u-small u-row" }, h("span", { class: "u-muted" }, `seed ${sample.seed}`), h("a", { class: "u-push", href: `/sample?id=${sample.id}` }, "Replay"), h("a", { href: `/extend?sample=${sample.id}` }, "Extend further")),
  );
}
