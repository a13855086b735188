// Line charts over a run's steps: bands for spread, the last value at each line's end, one hover shared by all charts.
import { h, svg } from "./dom.js";
import { figure, ticks } from "./format.js";

/** The points of a run, by step, shared by all charts of a page; the hovered step is part of it. */
export class Points {
  constructor() {
    this.byStep = new Map();
    this.listeners = new Set();
    this.hovered = null;
    this.isPending = false;
  }

  add(step, values) {
    this.byStep.set(step, { ...this.byStep.get(step), ...values });
    this.changed();
  }

  /** Forgets what a lost attempt reported after the step it is resumed from. */
  forgetAfter(step) {
    for (const key of [...this.byStep.keys()]) if (key > step) this.byStep.delete(key);
    this.changed();
  }

  hover(step) {
    if (step === this.hovered) return;
    this.hovered = step;
    this.changed();
  }

  changed() {
    if (this.isPending) return;
    this.isPending = true;
    requestAnimationFrame(() => {
      this.isPending = false;
      this.steps = [...this.byStep.keys()].sort((a, b) => a - b);
      for (const listener of this.listeners) listener();
    });
  }

  series(key) {
    return (this.steps ?? [])
      .map((step) => [step, this.byStep.get(step)[key]])
      .filter(([, value]) => typeof value === "number");
  }
}

const LEFT = 44,
  TOP = 8,
  BOTTOM = 20;

/**
 * A chart of `series: [{ key, label, colour, band?: key, dots?: bool }]`. `unit` names the vertical axis; `why` is said
 * (by a function, when it is drawn) where there is nothing to draw. `low` and `high` widen the vertical range. Returns the element.
 */
export function lineChart(
  points,
  {
    series,
    unit = "",
    height = 200,
    low = null,
    high = null,
    why = () => "Nothing measured yet.",
    label,
    end = 64,
    legend = true,
  },
) {
  const plot = h("div", { class: "u-chart", role: "img", "aria-label": label });
  const keys = h("div", { class: "u-legend" });
  const root = h("div", { class: "u-stack tight" }, legend ? keys : null, plot);
  const size = () => ({ width: Math.max(plot.clientWidth, 160), height });

  const draw = () => {
    const drawn = series.map((item) => ({ ...item, data: points.series(item.key) })).filter(({ data }) => data.length);
    if (!drawn.length) {
      plot.replaceChildren(h("p", { class: "u-chart-none" }, why()));
      keys.replaceChildren();
      return;
    }
    const frame = scales(drawn, points, size(), { low, high, end });
    plot.replaceChildren(picture(drawn, points, frame, unit));
    keys.replaceChildren(...reading(drawn, points));
  };
  const move = (event) => {
    const box = plot.getBoundingClientRect();
    const steps = points.steps ?? [];
    if (!steps.length) return;
    const share = (event.clientX - box.left - LEFT) / Math.max(box.width - LEFT - end, 1);
    const wanted = steps[0] + share * (steps.at(-1) - steps[0]);
    points.hover(steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best)));
  };
  plot.addEventListener("pointermove", move);
  plot.addEventListener("pointerleave", () => points.hover(null));
  points.listeners.add(draw);
  new ResizeObserver(draw).observe(plot);
  draw();
  return root;
}

function scales(drawn, points, { width, height }, { low, high, end }) {
  const values = drawn.flatMap(({ data, band }) =>
    data.flatMap(([step, value]) => {
      const spread = band ? (points.byStep.get(step)[band] ?? 0) : 0;
      return [value - spread, value + spread];
    }),
  );
  let bottom = Math.min(...values, low ?? Infinity),
    top = Math.max(...values, high ?? -Infinity);
  if (bottom === top) {
    const room = Math.abs(bottom) * 0.1 || 0.1;
    bottom -= room;
    top += room;
  }
  if (low === null || bottom < low) bottom -= (top - bottom) * 0.05;
  if (high === null || top > high) top += (top - bottom) * 0.05;
  const first = points.steps[0],
    last = Math.max(points.steps.at(-1), first + 1);
  const x = (step) => LEFT + ((step - first) / (last - first)) * (width - LEFT - end);
  const y = (value) => TOP + (1 - (value - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
  return { x, y, bottom, top, first, last, width, height, end };
}

function picture(drawn, points, frame, unit) {
  const { x, y, width, height, bottom, top, first, last, end } = frame;
  const parts = [];
  for (const value of ticks(bottom, top, height < 130 ? 2 : 4)) {
    parts.push(
      svg("path", { class: "axis", d: `M${LEFT} ${y(value)}H${width - end}` }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, figure(value)),
    );
  }
  const marks = ticks(first, last, Math.max(2, Math.min(6, Math.floor(width / 110)))).filter(Number.isInteger);
  for (const step of marks)
    parts.push(svg("text", { x: x(step), y: height - 4, "text-anchor": "middle" }, String(step)));
  parts.push(svg("text", { x: width - end + 20, y: height - 4 }, "step"));
  if (unit) parts.push(svg("text", { x: 0, y: TOP - 1 }, ""), svg("title", {}, unit));
  for (const item of drawn) parts.push(...line(item, points, frame));
  parts.push(...ends(drawn, frame));
  const at = points.hovered;
  if (at !== null && at >= first && at <= last) {
    parts.push(svg("path", { class: "cursor", d: `M${x(at)} ${TOP}V${height - BOTTOM}` }));
    for (const { data, colour } of drawn) {
      const found = data.find(([step]) => step === at);
      if (found) parts.push(svg("circle", { cx: x(at), cy: y(found[1]), r: 3.5, fill: colour }));
    }
  }
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, height }, ...parts);
}

function line({ data, colour, band, dots }, points, { x, y }) {
  const parts = [];
  if (band) {
    const around = data
      .map(([step, value]) => [step, value, points.byStep.get(step)[band]])
      .filter(([, , spread]) => typeof spread === "number");
    const upper = around.map(([step, value, spread]) => `${x(step).toFixed(1)} ${y(value + spread).toFixed(1)}`);
    const lower = around
      .map(([step, value, spread]) => `${x(step).toFixed(1)} ${y(value - spread).toFixed(1)}`)
      .reverse();
    if (upper.length > 1)
      parts.push(svg("path", { class: "band", fill: colour, d: `M${[...upper, ...lower].join("L")}Z` }));
  }
  const path = data.map(([step, value]) => `${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  if (data.length > 1)
    parts.push(svg("path", { class: "line", stroke: colour, d: `M${path}`, "stroke-dasharray": dots ? "2 4" : null }));
  if (dots || data.length === 1)
    parts.push(...data.map(([step, value]) => svg("circle", { cx: x(step), cy: y(value), r: 3, fill: colour })));
  return parts;
}

/** The last value at each line's end, moved apart where lines meet. */
function ends(drawn, { y, width, end, height }) {
  const marks = drawn
    .map(({ data, colour }) => ({ colour, value: data.at(-1)[1], at: y(data.at(-1)[1]) }))
    .sort((a, b) => a.at - b.at);
  for (let index = 1; index < marks.length; index += 1)
    marks[index].at = Math.max(marks[index].at, marks[index - 1].at + 13);
  const over = (marks.at(-1)?.at ?? 0) - (height - BOTTOM);
  if (over > 0) for (const mark of marks) mark.at -= over;
  return marks.map(({ colour, value, at }) =>
    svg("text", { class: "end", x: width - end + 8, y: at + 4, style: `fill:${colour}` }, figure(value)),
  );
}

function reading(drawn, points) {
  const at = points.hovered;
  const entries = drawn.map(({ data, label, colour, band, dots }) => {
    const found = at === null ? data.at(-1) : data.find(([step]) => step === at);
    const spread = found && band ? points.byStep.get(found[0])[band] : null;
    const text = found ? figure(found[1]) + (typeof spread === "number" ? ` ± ${figure(spread)}` : "") : "–";
    return h("span", { class: `key${dots ? " dots" : ""}`, style: `--key:${colour}` }, label, " ", h("b", {}, text));
  });
  return at === null ? entries : [h("span", {}, `step ${at}`), ...entries];
}

/** A wordless little line for tables; the picture's meaning is its label. */
export function sparkline(values, label, width = 96, height = 24) {
  const real = values.filter((value) => typeof value === "number");
  if (real.length < 2) return h("span", { class: "u-muted" }, "–");
  const low = Math.min(...real),
    high = Math.max(...real),
    room = high - low || 1;
  const path = real.map(
    (value, index) =>
      `${(2 + (index / (real.length - 1)) * (width - 4)).toFixed(1)} ${(height - 3 - ((value - low) / room) * (height - 6)).toFixed(1)}`,
  );
  return svg(
    "svg",
    { class: "u-spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("path", { d: `M${path.join("L")}` }),
  );
}

/** Bars, one a place; `onpick(index)` makes them clickable, `now` is the current one. */
export function bars(values, { height = 40, now = null, onpick = null, label = "", tell = figure }) {
  const width = 200,
    real = values.map((value) => (typeof value === "number" ? value : 0));
  const low = Math.min(0, ...real),
    high = Math.max(0, ...real),
    room = high - low || 1,
    slot = width / Math.max(values.length, 1);
  const y = (value) => ((high - value) / room) * height;
  const parts = real.flatMap((value, index) => {
    const text = svg("title", {}, `step ${index + 1}: ${tell(values[index])}`);
    const pick = onpick ? () => onpick(index) : null;
    return [
      svg("rect", {
        class: index === now ? "now" : null,
        x: index * slot + slot * 0.12,
        width: slot * 0.76,
        y: Math.min(y(value), y(0)),
        height: Math.max(Math.abs(y(value) - y(0)), 0.75),
      }),
      svg("rect", { class: "hit", x: index * slot, width: slot, y: 0, height, onclick: pick }, text),
    ];
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", height, role: "img", "aria-label": label },
    ...parts,
  );
}
