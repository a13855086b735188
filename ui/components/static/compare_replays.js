// The unmasking of both pictures of a pair, step by step and at the same time: what each policy fixed, and when.
import { get } from "./api.js";
import { nameOf } from "./compare_names.js";
import { empty, failure, h, show } from "./dom.js";
import { figure } from "./format.js";
import { decodeInto } from "./frames.js";
import { LAYERS, layerRange, paintGrid, readCell } from "./heat.js";
import { Player } from "./player.js";
import { NAMES, cellAt, colours, layerButtons, legend } from "./replay.js";
import { pictureStage, shapeOf } from "./replay_picture.js";

/** Fills `root` with the replays of both sides, `[label, sample]` each, and hands their player to `onReady`. */
export async function openReplays(root, sides, numReplayed, onReady) {
  const missing = sides.filter(([, sample]) => !sample.has_trajectory).map(([label]) => nameOf(label));
  if (missing.length) {
    const why = `The evaluation keeps the unmasking steps of its first ${numReplayed} prompts (num_replayed), the pictures of all.`;
    show(root, empty(`No unmasking steps of ${missing.join(" and ")}`, why));
    return;
  }
  show(root, h("p", { class: "u-chart-none" }, "Loading the trajectories …"));
  try {
    const loaded = await Promise.all(sides.map(([, sample]) => get(`/samples/${sample.id}/trajectory`)));
    const replays = new PairReplay(sides, loaded);
    show(root, replays.element);
    replays.draw();
    replays.decode();
    onReady(replays);
  } catch (error) {
    show(
      root,
      failure(error, () => openReplays(root, sides, numReplayed, onReady)),
    );
  }
}

class PairReplay extends Player {
  constructor(sides, trajectories) {
    super(Math.max(...trajectories.map((each) => each.steps.length)) - 1);
    this.layer = "mask";
    this.cell = null;
    this.ranges = Object.fromEntries(LAYERS.map((layer) => [layer, sharedRange(trajectories, layer)]));
    this.sides = sides.map(([label, sample], index) => new Side(label, sample, trajectories[index]));
    this.layers = h("div", { class: "u-layers", role: "group", "aria-label": "layer" });
    this.scale = h("div", { class: "u-scale" });
    this.element = h(
      "div",
      { class: "u-stack" },
      h("div", { class: "u-row" }, this.layers, this.scale),
      h("div", { class: "u-two" }, ...this.sides.map((side) => side.element)),
      this.controls(),
    );
    for (const side of this.sides) this.listen(side);
    new ResizeObserver(() => this.draw()).observe(this.sides[0].canvas);
  }

  /** Pointing at a cell of one grid reads the same cell of both. */
  listen({ canvas, trajectory }) {
    const point = (cell) => {
      this.cell = cell;
      for (const side of this.sides) side.read(this.stepOf(side), cell);
    };
    canvas.addEventListener("pointermove", (event) => point(cellAt(canvas, trajectory, event)));
    canvas.addEventListener("pointerleave", () => point(null));
  }

  decode() {
    for (const { sample, trajectory, picture } of this.sides)
      if (!trajectory.is_decoded) decodeInto(`/samples/${sample.id}`, picture);
  }

  keys() {
    return [...super.keys(), ["l", "Next layer", () => this.choose(LAYERS[(LAYERS.indexOf(this.layer) + 1) % LAYERS.length])]];
  }

  /** A policy that needed fewer steps stays at its last one. */
  stepOf = (side) => Math.min(this.at, side.trajectory.steps.length - 1);

  draw() {
    this.drawControls();
    this.layers.replaceChildren(...layerButtons(this.layer, (name) => this.choose(name)));
    this.scale.replaceChildren(...legend(this.layer, this.ranges[this.layer]));
    for (const side of this.sides) {
      side.draw(this.stepOf(side), this.layer, this.ranges[this.layer]);
      side.read(this.stepOf(side), this.cell);
    }
  }

  choose(layer) {
    this.layer = layer;
    this.draw();
  }
}

class Side {
  constructor(label, sample, trajectory) {
    Object.assign(this, { label, sample, trajectory });
    this.picture = pictureStage(sample, trajectory);
    this.canvas = h("canvas", { role: "img", style: shapeOf(trajectory) });
    this.reading = h("p", { class: "u-small u-muted u-two-reading" });
    this.element = h(
      "section",
      { class: "u-stack tight", "aria-label": `replay of ${nameOf(label)}` },
      h("strong", {}, `${nameOf(label)} ${figure(sample.reward)}`),
      h("div", { class: "u-two-grids" }, this.picture.element, h("div", { class: "u-frame" }, this.canvas)),
      this.reading,
    );
  }

  draw(at, layer, range) {
    this.picture.show(at);
    paintGrid(this.canvas, this.trajectory, at, layer, colours(), range);
    const { num_rows: rows, num_columns: columns } = this.trajectory;
    this.canvas.setAttribute("aria-label", `${nameOf(this.label)}: ${NAMES[layer]} of ${rows} × ${columns} tokens at step ${at + 1}`);
  }

  read(at, cell) {
    const step = this.trajectory.steps[at];
    this.reading.textContent =
      cell === null
        ? `${step.num_unmasked} of ${step.num_masked_before} fixed, confidence ${figure(step.mean_confidence)}, entropy ${figure(step.mean_entropy)}`
        : readCell(this.trajectory, at, cell);
  }
}

/** Both grids in one range, so that a colour means the same in both. */
function sharedRange(trajectories, layer) {
  const ranges = trajectories.map((each) => layerRange(each, layer));
  return [Math.min(...ranges.map(([low]) => low)), Math.max(...ranges.map(([, high]) => high))];
}
