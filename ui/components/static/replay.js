// The unmasking replay: play, scrub and step through a trajectory; the picture and the token grid at each step.
import { bars } from "./chart.js";
import { h } from "./dom.js";
import { figure } from "./format.js";
import { pictureStage } from "./replay_picture.js";
import { LAYERS, layerRange, paintGrid, readCell } from "./heat.js";
import { paintScale } from "./viridis.js";

const SPEEDS = [0.5, 1, 2, 4], STEP_MS = 500;
const NAMES = { mask: "mask", confidence: "confidence", entropy: "entropy", code: "token id" };
const ENDS = { mask: ["fixed first", "last"], confidence: ["0", "1"], entropy: ["0", null], code: ["0", null] };

export function replay(sample, trajectory) {
  const last = trajectory.steps.length - 1, state = { at: last, layer: "mask", isPlaying: false, speed: 1, timer: 0, cell: null };
  const picture = pictureStage(sample, trajectory), canvas = h("canvas", { role: "img", tabindex: 0 });
  const caption = h("strong", {}), reading = h("p", { class: "u-small u-muted", style: "min-height:32px", "aria-live": "off" }), scale = h("div", { class: "u-scale" });
  const slider = h("input", { class: "u-range", type: "range", min: 0, max: last, "aria-label": "unmasking step" }), side = h("div", { class: "u-stack" }), where = h("span", {});
  const layers = h("div", { class: "u-layers", role: "group", "aria-label": "layer" }), playButton = h("button", { class: "u-btn", type: "button" });

  const draw = () => {
    const step = trajectory.steps[state.at];
    picture.show(state.at);
    caption.textContent = `Picture at step ${state.at + 1}/${last + 1}`;
    where.textContent = `${state.at + 1}/${last + 1}`;
    slider.value = state.at;
    playButton.textContent = state.isPlaying ? "Pause" : "Play";
    paintGrid(canvas, trajectory, state.at, state.layer, colours());
    canvas.setAttribute("aria-label", `${NAMES[state.layer]} of ${trajectory.num_rows} × ${trajectory.num_columns} tokens at step ${state.at + 1}`);
    layers.replaceChildren(...LAYERS.map((layer, index) => h("button", { type: "button", "aria-pressed": String(layer === state.layer), title: `Key ${index + 1}`, onclick: () => { state.layer = layer; draw(); } }, NAMES[layer])));
    scale.replaceChildren(...legend(trajectory, state.layer));
    reading.textContent = state.cell === null ? summary(step) : readCell(trajectory, state.at, state.cell);
    side.replaceChildren(...stepBars(trajectory, state.at, go));
  };
  const go = (at) => { state.at = Math.min(Math.max(at, 0), last); draw(); };
  const tick = () => {
    if (!state.isPlaying) return;
    if (state.at >= last) return play(false);
    go(state.at + 1);
    state.timer = setTimeout(tick, STEP_MS / state.speed);
  };
  const play = (on) => {
    clearTimeout(state.timer);
    state.isPlaying = on;
    if (on && state.at >= last) state.at = 0;
    draw();
    if (on) state.timer = setTimeout(tick, STEP_MS / state.speed);
  };
  const move = (by) => { play(false); go(state.at + by); };
  const cell = (event) => {
    const box = canvas.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * trajectory.num_columns), row = Math.floor(((event.clientY - box.top) / box.height) * trajectory.num_rows);
    state.cell = Math.min(Math.max(row, 0), trajectory.num_rows - 1) * trajectory.num_columns + Math.min(Math.max(column, 0), trajectory.num_columns - 1);
    reading.textContent = readCell(trajectory, state.at, state.cell);
  };
  canvas.addEventListener("pointermove", cell);
  canvas.addEventListener("pointerleave", () => { state.cell = null; reading.textContent = summary(trajectory.steps[state.at]); });
  slider.addEventListener("input", () => { const at = Number(slider.value); play(false); go(at); });
  playButton.addEventListener("click", () => play(!state.isPlaying));
  addEventListener("unmask-theme", draw);
  new ResizeObserver(draw).observe(canvas);

  const jump = (label, words, act) => h("button", { class: "u-btn", type: "button", "aria-label": words, title: words, onclick: act }, label);
  const speed = h("select", { class: "u-select", "aria-label": "speed", onchange: (event) => { state.speed = Number(event.target.value); } }, ...SPEEDS.map((value) => h("option", { value, selected: value === 1 }, `${value}×`)));
  const controls = h("div", { class: "u-player" }, jump("|◀", "First step (Home)", () => move(-last)), jump("◀", "Step back (←)", () => move(-1)), playButton,
    jump("▶", "Step on (→)", () => move(1)), jump("▶|", "Last step (End)", () => move(last)), slider, where, speed);
  const element = h("div", { class: "u-stack" }, h("div", { class: "u-replay" },
    h("div", { class: "u-stack tight" }, caption, picture.element),
    h("div", { class: "u-stack tight" }, layers, h("div", { class: "u-frame" }, canvas), scale, reading), side), controls);
  const keys = [["Space", "Play or pause", () => play(!state.isPlaying)], ["ArrowLeft", "Step back", () => move(-1)], ["ArrowRight", "Step on", () => move(1)],
    ["Home", "First step", () => move(-last)], ["End", "Last step", () => move(last)],
    ...LAYERS.map((layer, index) => [String(index + 1), `Layer: ${NAMES[layer]}`, () => { state.layer = layer; draw(); }])];
  return { element, keys, start: draw };
}

function colours() {
  const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(`--u-${name}`).trim();
  return { sunken: read("sunken"), surface: read("surface"), accent: "#4338ca", text: read("text"), line: read("border-strong") };
}

function summary(step) {
  const again = step.is_remasked.filter(Boolean).length;
  return `${step.num_unmasked} of ${step.num_masked_before} masked tokens fixed${again ? `, ${again} masked again` : ""}. Point at a cell to read it.`;
}

function legend(trajectory, layer) {
  const [, high] = layerRange(trajectory, layer), canvas = h("canvas", { "aria-hidden": "true" });
  paintScale(canvas);
  const [low, top] = ENDS[layer];
  return [h("span", {}, low), canvas, h("span", {}, top ?? `${figure(high)}${layer === "entropy" ? " nats" : ""}`), h("span", { class: "swatch masked" }), h("span", {}, "masked"),
    h("span", { class: "swatch new" }), h("span", {}, "new"), h("span", { class: "swatch again" }), h("span", {}, "remasked")];
}

function stepBars(trajectory, at, go) {
  const rows = [["unmasked", (step) => step.num_unmasked], ["confidence", (step) => step.mean_confidence], ["entropy", (step) => step.mean_entropy], ["log-prob", (step) => step.log_prob]];
  return rows.map(([name, read]) => {
    const values = trajectory.steps.map(read);
    return h("div", { class: "u-bars" }, h("h3", {}, h("span", {}, name), h("b", {}, figure(values[at]))), bars(values, { height: 40, now: at, onpick: go, label: `${name} by unmasking step` }));
  });
}
