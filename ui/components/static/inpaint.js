// Inpaint: draw over the token cells of a sample, say what shall be there, and see what a policy paints in their place.
// It is a sample run like any other: the page can be left, and the run has all of it.
import { TERMINAL, get, post } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, failure, h, query, select, show, titled, toast } from "./dom.js";
import { plural } from "./format.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const POLL_MS = 700,
  NUM_SEEDS = 4;
const MISSING = { question: "Which picture?", hint: "Open a sample and press “Paint over”.", href: "/runs", link: "All runs" };

export function mount(root) {
  titled("Inpaint");
  return openById(root, MISSING, (id) => open(root, id), query("sample"));
}

async function open(root, id) {
  const sample = await get(`/samples/${id}`);
  const [run, grid] = await Promise.all([get(`/runs/${sample.run_id}`), get(`/samples/${id}/trajectory`)]);
  const drawing = new Drawing(sample, grid.num_rows, grid.num_columns);
  const answer = h("div", {});
  const form = new PaintForm(sample, run, drawing, (made) => follow(answer, made));
  drawing.onChange = () => form.renew();
  show(
    root,
    heading(sample),
    h(
      "div",
      { class: "u-cols" },
      card("Picture", drawing.element, drawing.count),
      h("div", { class: "u-stack" }, card("Paint", form.element), answer),
    ),
  );
  keys([["c", "Clear the marks", () => drawing.setAll(false)]]);
  apiCalls([{ method: "POST", path: "/runs", body: { config: form.config() } }]);
}

function heading(sample) {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: `/sample?id=${sample.id}` }, "Sample")),
      h("h1", {}, "Inpaint"),
      h("p", { class: "u-muted" }, "Draw over what shall be another. All other cells keep their tokens."),
    ),
    h("div", { class: "u-row" }, apiButton()),
  );
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

class PaintForm {
  constructor(sample, run, drawing, onMade) {
    Object.assign(this, { sample, drawing });
    const start = run.config.policy?.source ?? "shipped";
    const sources = run.kind === "train" && run.status === "succeeded" ? [[`run:${run.id}`, "as the run left it"]] : [];
    sources.push([start, start === "shipped" ? "shipped" : `as the run began (${start})`]);
    if (start !== "shipped") sources.push(["shipped", "shipped"]);
    this.policy = select("Policy", sources, () => {});
    this.prompt = h("input", { class: "u-input", "aria-label": "Prompt", maxlength: 1000, value: sample.prompt, style: "width:100%" });
    this.seeds = h("input", { class: "u-input", "aria-label": "Pictures", type: "number", min: 1, max: 16, value: NUM_SEEDS, style: "width:80px" });
    this.steps = run.config.evaluation_sampling ?? run.config.sampling ?? {};
    this.paint = action("Paint", () => this.send(onMade), "u-main");
    this.hint = h("p", { class: "u-small u-muted" });
    const field = (name, input) => h("label", { class: "u-label" }, name, input);
    this.element = h("div", { class: "u-stack tight" }, field("What the whole picture shall show", this.prompt), h("div", { class: "u-row" }, field("Policy", this.policy), field("Pictures", this.seeds)), h("div", { class: "u-row" }, this.paint), this.hint);
    this.renew();
  }

  renew() {
    if (!this.paint) return;
    this.paint.disabled = this.drawing.numMarked === 0;
    this.hint.textContent = this.drawing.numMarked ? "" : "Mark at least one cell of the picture first.";
  }

  config() {
    const { sample, drawing } = this;
    return {
      kind: "sample",
      name: `inpaint ${sample.id.slice(-6)}`,
      seed: sample.seed % 2 ** 31,
      policy: { source: this.policy.value },
      prompts: { texts: [this.prompt.value.trim()] },
      samples_per_prompt: Number(this.seeds.value),
      sampling: this.steps,
      inpainting: { picture: `run:${sample.run_id}/${sample.image_path}`, mask: drawing.mask },
    };
  }

  async send(onMade) {
    if (!this.prompt.value.trim()) return toast("Say what the picture shall show.");
    onMade(await post("/runs", { config: this.config() }));
  }
}

/** The run's pictures as soon as they are there; a later painting takes the place of an earlier one. */
async function follow(root, made) {
  root.dataset.run = made.id;
  const link = () => h("a", { href: `/run?id=${made.id}` }, "its run");
  for (let run = made; ; run = await get(`/runs/${made.id}`)) {
    if (root.dataset.run !== made.id) return;
    const groups = run.num_events > 1 ? (await get(`/runs/${made.id}/groups`)).data : [];
    if (groups.length) return show(root, painted(groups[0], made, link()));
    if (TERMINAL.includes(run.status)) return show(root, failure({ title: `The run ${run.status}`, message: run.error ?? "It made no picture." }));
    const words = run.status === "queued" ? "Waits for a worker …" : "Paints …";
    show(root, h("div", { class: "u-card", "aria-busy": "true" }, words, " ", link()));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function painted(group, made, link) {
  const samples = [...group.samples].sort((a, b) => a.index - b.index);
  const tile = (sample) => h("a", { class: "u-tile", href: `/sample?id=${sample.id}` }, h("img", { src: sample.image_url, alt: `painted: ${sample.prompt}, seed ${sample.seed}` }));
  return card("Painted", h("div", { class: "u-painted" }, ...samples.map(tile)), h("span", { class: "u-small u-muted u-push" }, link));
}
