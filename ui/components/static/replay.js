// The unmasking replay: play, scrub and step through a trajectory; the picture and the token grid at each step.
import { bars } from "./chart.js";
import { h } from "./dom.js";
import { figure } from "./format.js";
import { LAYERS, layerRange, paintGrid, readCell } from "./heat.js";
import { pictureStage } from "./replay_picture.js";
import { paintScale } from "./viridis.js";

const SPEEDS = [0.5, 1, 2, 4],
  STEP_MS = 500;
const NAMES = { mask: "mask", confidence: "confidence", entropy: "entropy", code: "token id" };
const ENDS = { mask: ["fixed first", "last"], confidence: ["0", "1"], entropy: ["0", null], code: ["0", null] };
const BARS = [
  ["unmasked", (step) => step.num_unmasked],
  ["confidence", (step) => step.mean_confidence],
  ["entropy", (step) => step.mean_entropy],
  ["log-prob", (step) => step.log_prob],
];

export class Replay {
  constructor(sample, trajectory) {
    this.trajectory = trajectory;
    this.last = trajectory.steps.length - 1;
    this.at = this.last;
    this.layer = "mask";
    this.isPlaying = false;
    this.speed = 1;
    this.cell = null;
    this.picture = pictureStage(sample, trajectory);
    this.canvas = h("canvas", { role: "img", tabindex: 0 });
    this.caption = h("strong", {});
    this.reading = h("p", { class: "u-small u-muted", style: "min-height:32px" });
    this.scale = h("div", { class: "u-scale" });
    this.layers = h("div", { class: "u-layers", role: "group", "aria-label": "layer" });
    this.side = h("div", { class: "u-stack" });
    this.where = h("span", {});
    this.slider = h("input", {
      class: "u-range",
      type: "range",
      min: 0,
      max: this.last,
      "aria-label": "unmasking step",
    });
    this.playButton = h("button", { class: "u-btn", type: "button", onclick: () => this.play(!this.isPlaying) });
    this.element = h(
      "div",
      { class: "u-stack" },
      h(
        "div",
        { class: "u-replay" },
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

  controls() {
    const jump = (label, words, by) =>
      h(
        "button",
        { class: "u-btn", type: "button", "aria-label": words, title: words, onclick: () => this.move(by) },
        label,
      );
    const speed = h(
      "select",
      {
        class: "u-select",
        "aria-label": "speed",
        onchange: (event) => {
          this.speed = Number(event.target.value);
        },
      },
      ...SPEEDS.map((value) => h("option", { value, selected: value === 1 }, `${value}×`)),
    );
    return h(
      "div",
      { class: "u-player" },
      jump("|◀", "First step (Home)", -this.last),
      jump("◀", "Step back (←)", -1),
      this.playButton,
      jump("▶", "Step on (→)", 1),
      jump("▶|", "Last step (End)", this.last),
      this.slider,
      this.where,
      speed,
    );
  }

  listen() {
    this.slider.addEventListener("input", () => {
      const at = Number(this.slider.value);
      this.play(false);
      this.go(at);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      this.cell = this.cellAt(event);
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
      ["Space", "Play or pause", () => this.play(!this.isPlaying)],
      ["ArrowLeft", "Step back", () => this.move(-1)],
      ["ArrowRight", "Step on", () => this.move(1)],
      ["Home", "First step", () => this.move(-this.last)],
      ["End", "Last step", () => this.move(this.last)],
      ...LAYERS.map((layer, index) => [String(index + 1), `Layer: ${NAMES[layer]}`, () => this.choose(layer)]),
    ];
  }

  draw() {
    const { trajectory, at, layer } = this;
    this.picture.show(at);
    this.caption.textContent = `Picture at step ${at + 1}/${this.last + 1}`;
    this.where.textContent = `${at + 1}/${this.last + 1}`;
    this.slider.value = at;
    this.playButton.textContent = this.isPlaying ? "Pause" : "Play";
    paintGrid(this.canvas, trajectory, at, layer, colours());
    this.canvas.setAttribute(
      "aria-label",
      `${NAMES[layer]} of ${trajectory.num_rows} × ${trajectory.num_columns} tokens at step ${at + 1}`,
    );
    this.layers.replaceChildren(
      ...LAYERS.map((name, index) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(name === layer),
            title: `Key ${index + 1}`,
            onclick: () => this.choose(name),
          },
          NAMES[name],
        ),
      ),
    );
    this.scale.replaceChildren(...legend(trajectory, layer));
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

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.last);
    this.draw();
  }

  move(by) {
    this.play(false);
    this.go(this.at + by);
  }

  play(isOn) {
    clearTimeout(this.timer);
    this.isPlaying = isOn;
    if (isOn && this.at >= this.last) this.at = 0;
    this.draw();
    if (isOn) this.timer = setTimeout(() => this.tick(), STEP_MS / this.speed);
  }

  tick() {
    this.go(this.at + 1);
    if (this.at >= this.last) this.play(false);
    else this.timer = setTimeout(() => this.tick(), STEP_MS / this.speed);
  }

  cellAt(event) {
    const { num_rows: rows, num_columns: columns } = this.trajectory,
      box = this.canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * columns),
      row = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return Math.min(Math.max(row, 0), rows - 1) * columns + Math.min(Math.max(column, 0), columns - 1);
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

function colours() {
  const style = getComputedStyle(document.documentElement),
    read = (name) => style.getPropertyValue(`--u-${name}`).trim();
  return { sunken: read("sunken"), surface: read("surface"), ring: read("ring"), line: read("border-strong") };
}

function summary(step) {
  const again = step.is_remasked.filter(Boolean).length;
  return `${step.num_unmasked} of ${step.num_masked_before} masked tokens fixed${again ? `, ${again} masked again` : ""}. Point at a cell to read it.`;
}

function legend(trajectory, layer) {
  const [, high] = layerRange(trajectory, layer),
    canvas = h("canvas", { "aria-hidden": "true" });
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
  ];
}
