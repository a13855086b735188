// A comparison's figures by task: base, tuned, and the paired difference drawn on one axis with its interval.
import { h, svg } from "./dom.js";
import { figure, signed, ticks } from "./format.js";

const ROW = 24,
  MARGIN = 4; // Per cent of the axis that stay free at either end, for half a dot or a number.
const HIDDEN = ["num_wins", "num_losses", "num_ties", "win_rate"];

export function forest(found) {
  const { base, policy, difference } = found;
  const names = rowsOf(difference.values);
  const ends = names.flatMap((name) => difference.intervals[name] ?? [difference.values[name]]);
  const low = Math.min(0, ...ends),
    high = Math.max(0, ...ends);
  const at = (value) => `${MARGIN + ((100 - 2 * MARGIN) * (value - low)) / (high - low || 1)}%`;
  const row = (name) =>
    h(
      "tr",
      {},
      h("td", {}, name.replaceAll("_", " ")),
      cell(base, name),
      cell(policy, name),
      h("td", { class: "num" }, signed(difference.values[name]), interval(difference.intervals[name], signed)),
      h("td", {}, whisker(difference.values[name], difference.intervals[name], at)),
    );
  return h(
    "div",
    {},
    h(
      "table",
      { class: "u-table u-forest" },
      h("thead", {}, h("tr", {}, ...heads().concat(h("th", { scope: "col" }, axis(low, high, at))))),
      h("tbody", {}, ...names.map(row)),
    ),
    h("p", { class: "u-small u-muted", style: "margin-top:12px" }, ...words(found)),
  );
}

function rowsOf(values) {
  const tasks = Object.keys(values).filter((name) => !HIDDEN.includes(name) && !name.endsWith("_strict"));
  const first = ["overall", "strict"].filter((name) => tasks.includes(name));
  return [...first, ...tasks.filter((name) => !first.includes(name)).sort()];
}

function heads() {
  const names = ["base", "tuned", "difference"];
  return [
    h("th", { scope: "col" }, "task"),
    ...names.map((name) => h("th", { scope: "col", class: "num" }, name)),
  ];
}

function cell(score, name) {
  return h("td", { class: "num" }, figure(score.values[name]), interval(score.intervals[name], figure, "wide-only"));
}

function interval(ends, tell, kind = "") {
  return ends ? h("div", { class: `u-small u-muted ${kind}` }, `[${tell(ends[0])}, ${tell(ends[1])}]`) : null;
}

export function whisker(value, ends, at) {
  const [low, high] = ends ?? [value, value];
  const colour = low > 0 ? "var(--u-succeeded)" : high < 0 ? "var(--u-failed)" : "var(--u-muted)";
  return h(
    "span",
    { class: "u-chart" },
    svg(
      "svg",
      { height: ROW, role: "img", "aria-label": signed(value) },
      svg("line", { class: "axis", x1: at(0), x2: at(0), y1: 0, y2: ROW }),
      svg("line", { x1: at(low), x2: at(high), y1: ROW / 2, y2: ROW / 2, stroke: colour, "stroke-width": 2 }),
      svg("circle", { cx: at(value), cy: ROW / 2, r: 4, fill: colour }),
    ),
  );
}

export function axis(low, high, at, tell = signed) {
  const marks = ticks(low, high, 4);
  return h(
    "span",
    { class: "u-chart" },
    svg(
      "svg",
      { height: 16, "aria-hidden": "true" },
      ...marks.map((mark) => svg("text", { x: at(mark), y: 12, "text-anchor": "middle" }, tell(mark))),
    ),
  );
}

function words({ smallest_visible: smallest }) {
  return [
    "Intervals at 95 %, the difference paired by prompt and seed. ",
    `The smallest overall difference that this many prompts show in four of five evaluations is ${figure(smallest)}. `,
    "Prompts are the small world's held-out captions: no training caption is one, but own prompts of a run may be.",
  ];
}
