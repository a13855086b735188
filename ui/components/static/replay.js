// The unmasking replay: play, scrub and step through a trajectory; the picture and the token grid at each step.
import { bars } from "./chart.js";
import { h } from "./dom.js";
import { figure } from "./format.js";
import { LAYERS, hasKnownCells, layerRange, paintGrid, readCell } from "./heat.js";
import { Player } from "./player.js";
import { pictureStage, shapeOf } from "./replay_picture.js";
import { paintScale } from "./viridis.js";

export const NAMES = { mask: "mask", confidence: "confidence", entropy: "entropy", code: "token id" };
const ENDS = { mask: ["fixed first", "last"], confidence: ["0", "1"], entropy: ["0", null], code: ["0", null] };
const BARS = [
  ["unmasked", (step) => step.num_unmasked],
  ["confidence", (step) => step.mean_confidence],
  ["entropy", (step) => step.mean_entropy],
  ["log-prob", (step) => step.log_prob],
];

export class Replay extends Player {
  constructor(sample, trajectory) {
    super(trajectory.steps.length - 1);
    this.trajectory = trajectory;
    this.layer = "mask";
    this.cell = null;
    this.picture = pictureStage(sample, trajectory);
    this.canvas = h("canvas", { role: "img", tabindex: 0, style: shapeOf(trajectory) });
    this.caption = h("strong", {});
    this.reading = h("p", { class: "u-small u-muted", style: "min-height:32px" });
    this.scale = h("div", { class: "u-scale" });
    this.layers = h("div", { class: "u-layers", role: "group", "aria-label": "layer" });
    this.side = h("div", { class: "u-stack" });
    this.element = h(
      "div",
      { class: "u-stack" },
      h(
        "div",
        { class: trajectory.num_columns > 2 * trajectory.num_rows ? "u-replay u-broad" : "u-replay" },
        h("div", { class: "u-stack tight" }, this.caption, this.picture.element),
        h(
          "div",
          { class: "u-stack tight" },
          this.layers,
          h("div", { class: "u-frame" }, this.canvas),
          this.scale,
          this.reading,
        ),
        this.side,
      ),
      this.controls(),
    );
    this.listen();
  }

  listen() {
    this.canvas.addEventListener("pointermove", (event) => {
      this.cell = cellAt(this.canvas, this.trajectory, event);
      this.read();
    });
    this.canvas.addEventListener("pointerleave", () => {
      this.cell = null;
      this.read();
    });
    addEventListener("unmask-theme", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /** The keys of the replay, for the page's map. */
  keys() {
    return [
      ...super.keys(),
      ...LAYERS.map((layer, index) => [String(index + 1), `Layer: ${NAMES[layer]}`, () => this.choose(layer)]),
    ];
  }

  draw() {
    const { trajectory, at, layer } = this;
    this.picture.show(at);
    this.caption.textContent = `Picture at step ${at + 1}/${this.last + 1}`;
    this.drawControls();
    paintGrid(this.canvas, trajectory, at, layer, colours());
    this.canvas.setAttribute(
      "aria-label",
      `${NAMES[layer]} of ${trajectory.num_rows} × ${trajectory.num_columns} tokens at step ${at + 1}`,
    );
    this.layers.replaceChildren(...layerButtons(layer, (name) => this.choose(name)));
    this.scale.replaceChildren(...legend(layer, layerRange(trajectory, layer), hasKnownCells(trajectory)));
    this.side.replaceChildren(...this.stepBars());
    this.read();
  }

  read() {
    this.reading.textContent =
      this.cell === null ? summary(this.trajectory.steps[this.at]) : readCell(this.trajectory, this.at, this.cell);
  }

  choose(layer) {
    this.layer = layer;
    this.draw();
  }

  stepBars() {
    return BARS.map(([name, read]) => {
      const values = this.trajectory.steps.map(read);
      return h(
        "div",
        { class: "u-bars" },
        h("h3", {}, h("span", {}, name), h("b", {}, figure(values[this.at]))),
        bars(values, { height: 40, now: this.at, onpick: (at) => this.go(at), label: `${name} by unmasking step` }),
      );
    });
  }
}

/** One button a layer of the token grid. */
export function layerButtons(chosen, onChoose) {
  return LAYERS.map((name, index) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === chosen),
        title: `Key ${index + 1}`,
        onclick: () => onChoose(name),
      },
      NAMES[name],
    ),
  );
}

/** Which cell of a grid the pointer is on. */
export function cellAt(canvas, { num_rows: rows, num_columns: columns }, event) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * columns),
    row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  return Math.min(Math.max(row, 0), rows - 1) * columns + Math.min(Math.max(column, 0), columns - 1);
}

export function colours() {
  const style = getComputedStyle(document.documentElement),
    read = (name) => style.getPropertyValue(`--u-${name}`).trim();
  return { sunken: read("sunken"), surface: read("surface"), ring: read("ring"), line: read("border-strong") };
}

function summary(step) {
  const again = step.is_remasked.filter(Boolean).length;
  return `${step.num_unmasked} of ${step.num_masked_before} masked tokens fixed${again ? `, ${again} masked again` : ""}. Point at a cell to read it.`;
}

export function legend(layer, [, high], hasKnown = false) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  paintScale(canvas);
  const [low, top] = ENDS[layer];
  return [
    h("span", {}, low),
    canvas,
    h("span", {}, top ?? `${figure(high)}${layer === "entropy" ? " nats" : ""}`),
    h("span", { class: "swatch masked" }),
    h("span", {}, "masked"),
    h("span", { class: "swatch new" }),
    h("span", {}, "new"),
    h("span", { class: "swatch again" }),
    h("span", {}, "remasked"),
    ...(hasKnown ? [h("span", { class: "swatch known" }), h("span", {}, "known")] : []),
  ];
}
