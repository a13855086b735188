// Inpaint: draw over the token cells of a sample, say what shall be there, and see what a policy paints in their place.
// It is a sample run like any other: the page can be left, and the run has all of it.
import { action, card, empty, h, show, titled } from "./dom.js";
import { Answer, EditForm, editHeading } from "./edit_form.js";
import { openSource } from "./edit_source.js";
import { plural } from "./format.js";
import { apiCalls, keys } from "./shell.js";

const SOURCE = { hint: "Open a sample and press “Paint over”.", fit: "square" };

export function mount(root) {
  titled("Inpaint");
  return openSource(root, SOURCE, (source) => open(root, source));
}

function open(root, { sample, run, grid }) {
  if (grid.num_rows !== grid.window_side || grid.num_columns !== grid.window_side) return show(root, tooLarge(sample, grid));
  const drawing = new Drawing(sample, grid.num_rows, grid.num_columns);
  const answer = new Answer({ busy: "Paints", done: "Painted" }, tile);
  const edit = {
    name: "inpaint",
    verb: "Paint",
    promptLabel: "What the whole picture shall show",
    refusal: () => (drawing.numMarked ? null : "Mark at least one cell of the picture first."),
    part: () => ({ inpainting: { picture: sample.name, mask: drawing.mask } }),
  };
  const form = new EditForm(sample, run, edit, (made) => answer.follow(made.id));
  const tellCall = () => apiCalls([{ method: "POST", path: "/runs", body: { config: form.config() } }]);
  drawing.onChange = () => {
    form.renew();
    tellCall();
  };
  form.element.addEventListener("input", tellCall);
  const words = "Draw over what shall be another. All other cells keep their tokens.";
  show(
    root,
    editHeading(sample, "Inpaint", words, ["/extend", "Extend"]),
    h("div", { class: "u-cols" }, card("Picture", drawing.element, drawing.count), h("div", { class: "u-stack" }, card("Paint", form.element), answer.element)),
  );
  keys([["c", "Clear the marks", () => drawing.setAll(false)]]);
  tellCall();
  answer.resume();
}

function tooLarge(sample, grid) {
  const size = `It has ${grid.num_rows} × ${grid.num_columns} cells, the policy's own pictures ${grid.window_side} × ${grid.window_side}.`;
  const link = h("a", { class: "u-btn u-main", href: `/extend?${sample.address}` }, "Extend it");
  return empty("This picture has grown", `${size} A picture that has grown can grow further, not be painted over.`, link);
}

/** The picture under its token grid; the pointer marks cells, or unmarks them where it begins on a marked one. */
class Drawing {
  constructor(sample, rows, columns) {
    Object.assign(this, { rows, columns, onChange: () => {}, marks: Array(rows * columns).fill(false), paints: null });
    this.count = h("span", { class: "u-small u-muted u-push", role: "status" });
    const cell = (index) =>
      h("button", { type: "button", class: "u-cell", "data-cell": String(index), "aria-pressed": "false", "aria-label": `row ${1 + Math.floor(index / columns)}, column ${1 + (index % columns)}` });
    this.cells = this.marks.map((_, index) => cell(index));
    this.grid = h("div", { class: "u-cells", style: `grid-template-columns:repeat(${columns},1fr);grid-template-rows:repeat(${rows},1fr)` }, ...this.cells);
    this.grid.addEventListener("pointerdown", (event) => this.begin(event));
    this.grid.addEventListener("pointermove", (event) => this.paints !== null && this.mark(document.elementFromPoint(event.clientX, event.clientY)));
    for (const kind of ["pointerup", "pointercancel"]) addEventListener(kind, () => (this.paints = null));
    // A key presses the button; the pointer has done so already.
    this.grid.addEventListener("click", (event) => event.detail === 0 && this.turn(event.target));
    const picture = h("div", { class: "u-paintable" }, h("img", { src: sample.image_url, alt: sample.prompt, draggable: "false" }), this.grid);
    const all = action("Mark all", () => this.setAll(true)),
      none = action("Clear", () => this.setAll(false));
    this.element = h("div", {}, picture, h("div", { class: "u-row", style: "margin-top:8px" }, all, none));
    this.tell();
  }

  get mask() {
    return this.marks.map(Number).join("");
  }

  get numMarked() {
    return this.marks.filter(Boolean).length;
  }

  begin(event) {
    event.preventDefault();
    this.paints = !this.marks[Number(event.target.dataset.cell)];
    this.mark(event.target);
  }

  turn(target) {
    this.paints = !this.marks[Number(target.dataset.cell)];
    this.mark(target);
    this.paints = null;
  }

  mark(target) {
    const index = target?.dataset?.cell;
    if (index !== undefined && this.grid.contains(target)) this.set(Number(index), this.paints);
  }

  setAll(isMarked) {
    this.marks.forEach((_, index) => this.set(index, isMarked));
  }

  set(index, isMarked) {
    if (this.marks[index] === isMarked) return;
    this.marks[index] = isMarked;
    this.cells[index].setAttribute("aria-pressed", String(isMarked));
    this.tell();
  }

  tell() {
    this.count.textContent = `${this.numMarked} of ${plural(this.marks.length, "cell")} marked`;
    this.onChange();
  }
}

function tile(sample) {
  return h("a", { class: "u-tile", href: `/sample?id=${sample.id}` }, h("img", { src: sample.image_url, alt: `painted: ${sample.prompt}, seed ${sample.seed}` }));
}
