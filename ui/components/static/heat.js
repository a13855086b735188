// The token grid of one unmasking step as a heat map: layers, hatched masked cells, rings for new and remasked ones.
import { css, viridis } from "./viridis.js";
import { figure } from "./format.js";

export const LAYERS = ["mask", "confidence", "entropy", "code"];

/** The range of a layer over the whole trajectory, so that colours keep their meaning from step to step. */
export function layerRange(trajectory, layer) {
  if (layer === "confidence") return [0, 1];
  if (layer === "code") return [0, trajectory.codebook_size - 1];
  if (layer === "mask") return [0, trajectory.steps.length - 1];
  const values = trajectory.steps.flatMap((step) => step.entropy).filter((value) => typeof value === "number");
  return [0, Math.max(...values, 1e-6)];
}

const fixedAtOf = new WeakMap();

/** For each cell the step that fixed it; null where it was known from the start, as all that an edit keeps. */
function fixedAt(trajectory) {
  if (!fixedAtOf.has(trajectory)) {
    const found = trajectory.steps[0].codes.map(() => null);
    trajectory.steps.forEach((step, index) => step.is_newly_unmasked.forEach((isNew, cell) => isNew && (found[cell] = index)));
    fixedAtOf.set(trajectory, found);
  }
  return fixedAtOf.get(trajectory);
}

/** Whether some cells were known from the start. */
export const hasKnownCells = (trajectory) => fixedAt(trajectory).includes(null);

/** For each cell the step at which it was fixed, up to and with `index`; null while masked or where none had to. */
function unmaskedAt(trajectory, index) {
  return fixedAt(trajectory).map((step) => (step !== null && step <= index ? step : null));
}

/** The layer's value of each cell at a step; null = nothing to colour. Confidence and entropy stay as last measured. */
function layerValues(trajectory, index, layer) {
  const at = unmaskedAt(trajectory, index),
    step = trajectory.steps[index];
  if (layer === "mask") return at;
  if (layer === "code") return step.codes.map((code) => (code < 0 ? null : code));
  return step[layer].map(
    (value, cell) => value ?? (at[cell] === null ? null : trajectory.steps[at[cell]][layer][cell]),
  );
}

/** `range` is what the colours span: of this trajectory alone, unless grids that stand side by side share one. */
export function paintGrid(canvas, trajectory, index, layer, colours, range = layerRange(trajectory, layer)) {
  const { num_rows: rows, num_columns: columns } = trajectory;
  const scale = Math.max(1, Math.floor((canvas.clientWidth * devicePixelRatio) / columns) || 40);
  canvas.width = columns * scale;
  canvas.height = rows * scale;
  const context = canvas.getContext("2d"),
    step = trajectory.steps[index];
  const values = layerValues(trajectory, index, layer),
    [low, high] = range;
  for (let cell = 0; cell < rows * columns; cell += 1) {
    const x = (cell % columns) * scale,
      y = Math.floor(cell / columns) * scale,
      value = values[cell];
    const isMasked = step.codes[cell] < 0;
    context.fillStyle = value === null ? colours.sunken : css(viridis((value - low) / (high - low || 1)));
    context.fillRect(x, y, scale, scale);
    if (isMasked) hatch(context, x, y, scale, value === null ? colours.line : colours.surface);
    if (step.is_newly_unmasked[cell]) ring(context, x, y, scale, colours.ring, colours.surface);
    else if (step.is_remasked[cell]) dashes(context, x, y, scale, colours.line);
  }
  context.strokeStyle = colours.surface;
  context.lineWidth = Math.max(1, scale / 40);
  for (let line = 1; line < Math.max(rows, columns); line += 1) {
    context.beginPath();
    context.moveTo(line * scale, 0);
    context.lineTo(line * scale, rows * scale);
    context.moveTo(0, line * scale);
    context.lineTo(columns * scale, line * scale);
    context.stroke();
  }
}

function hatch(context, x, y, size, colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, size, size);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1, size / 28);
  context.globalAlpha = 0.75;
  context.beginPath();
  for (let shift = -size; shift < size; shift += Math.max(4, size / 5)) {
    context.moveTo(x + shift, y + size);
    context.lineTo(x + shift + size, y);
  }
  context.stroke();
  context.restore();
}

function ring(context, x, y, size, colour, halo) {
  const width = Math.max(2, size / 12),
    inset = width;
  context.save();
  context.lineWidth = width * 1.8;
  context.strokeStyle = halo;
  context.strokeRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.strokeRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
  context.restore();
}

function dashes(context, x, y, size, colour) {
  const width = Math.max(1, size / 32),
    inset = size / 10;
  context.save();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.setLineDash([size / 10, size / 10]);
  context.strokeRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
  context.restore();
}

/** What the cell under the pointer holds, in words. */
export function readCell(trajectory, index, cell) {
  const step = trajectory.steps[index],
    at = unmaskedAt(trajectory, index)[cell];
  const row = Math.floor(cell / trajectory.num_columns),
    column = cell % trajectory.num_columns;
  const state = step.is_newly_unmasked[cell]
    ? "unmasked at this step"
    : step.is_remasked[cell]
      ? "drawn, then masked again"
      : step.codes[cell] < 0
        ? "masked"
        : at === null
          ? "known from the start"
          : `unmasked at step ${at + 1}`;
  const confidence = layerValues(trajectory, index, "confidence")[cell],
    entropy = layerValues(trajectory, index, "entropy")[cell];
  const parts = [
    `row ${row + 1}, column ${column + 1}`,
    state,
    step.codes[cell] < 0 ? null : `code ${step.codes[cell]}`,
    confidence === null ? null : `p ${figure(confidence)}`,
    entropy === null ? null : `entropy ${figure(entropy)} nats`,
  ];
  return parts.filter(Boolean).join(" · ");
}
