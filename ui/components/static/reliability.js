// A reward model's calibration: how sure it is of a choice against how often people make it, and how many pairs say so.
import { h, svg } from "./dom.js";
import { figure, plural, ticks } from "./format.js";

const WIDTH = 340,
  HEIGHT = 260,
  LEFT = 40,
  RIGHT = 12,
  TOP = 12,
  BOTTOM = 78,
  COUNTS = 28; // The height of the bars that count pairs.
const LOW = 0.5;

/** `calibration` of a report. A point is a bin; on the dashed line people agree exactly as often as the model expects. */
export function reliability(calibration) {
  const filled = calibration.bins.filter((bin) => bin.num_pairs > 0);
  if (!filled.length) return h("p", { class: "u-chart-none" }, "No held-out pair has a vote.");
  const floor = Math.min(0.4, ...filled.map((bin) => bin.agreement));
  const x = (value) => LEFT + ((value - LOW) / (1 - LOW)) * (WIDTH - LEFT - RIGHT);
  const y = (value) => TOP + ((1 - value) / (1 - floor)) * (HEIGHT - TOP - BOTTOM);
  const path = filled.map((bin) => `${x(bin.confidence).toFixed(1)} ${y(bin.agreement).toFixed(1)}`).join("L");
  const line = svg("path", { class: "line", stroke: "var(--u-series-blue)", d: `M${path}` });
  return h(
    "div",
    { class: "u-chart", style: `max-width:${WIDTH}px` },
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": words(calibration, filled) },
      ...axes(x, y, floor),
      svg("path", { class: "cursor", d: `M${x(LOW)} ${y(LOW)}L${x(1)} ${y(1)}`, style: "stroke-dasharray:4 4" }),
      filled.length > 1 ? line : null,
      ...filled.map((bin) => point(bin, x, y)),
      ...counts(calibration.bins, x),
    ),
  );
}

function axes(x, y, floor) {
  const rows = ticks(floor, 1, 4).map((value) => [
    svg("path", { class: "axis", d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}` }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, figure(value)),
  ]);
  const columns = [0.5, 0.6, 0.7, 0.8, 0.9, 1].map((value) =>
    svg("text", { x: x(value), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, figure(value)),
  );
  const name = svg("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - BOTTOM + 32, "text-anchor": "middle" }, "probability that the model gives its choice");
  return [...rows.flat(), ...columns, name];
}

function point(bin, x, y) {
  const text = `${figure(bin.low)} to ${figure(bin.high)}: ${plural(bin.num_pairs, "pair")}, expected ${figure(bin.confidence)}, people agree ${figure(bin.agreement)}`;
  const props = { cx: x(bin.confidence), cy: y(bin.agreement), r: 4, fill: "var(--u-series-blue)" };
  return svg("circle", props, svg("title", {}, text));
}

/** How many pairs each bin has: a point of three pairs says little. */
function counts(bins, x) {
  const most = Math.max(...bins.map((bin) => bin.num_pairs));
  return bins.flatMap((bin) => {
    const height = (bin.num_pairs / most) * COUNTS,
      width = x(bin.high) - x(bin.low) - 2;
    return [
      svg("rect", { x: x(bin.low) + 1, width, y: HEIGHT - 12 - height, height, fill: "var(--u-border-strong)" }),
      svg("text", { x: x(bin.low) + 1 + width / 2, y: HEIGHT, "text-anchor": "middle" }, String(bin.num_pairs)),
    ];
  });
}

function words({ expected_error: error }, filled) {
  const parts = filled.map((bin) => `expected ${figure(bin.confidence)}, found ${figure(bin.agreement)} in ${bin.num_pairs}`);
  return `Calibration, expected error ${figure(error)}: ${parts.join("; ")}`;
}
