// A comparison's figures by task: two policies and their paired difference drawn on one axis; and all policies as a table.
import { differenceName, nameOf } from "./compare_names.js";
import { h, svg } from "./dom.js";
import { figure, signed, ticks } from "./format.js";

const ROW = 24,
  MARGIN = 4; // Per cent of the axis that stay free at either end, for half a dot or a number.
const HIDDEN = ["num_wins", "num_losses", "num_ties", "win_rate"];

/** The figures of the two policies that a state names; no difference while the one to that base is not there. */
export function chosenFigures(found, { base, policy }) {
  const of = (label) => found.scores.find((score) => score.policy === label) ?? null;
  const isOfBase = found.against === base;
  return {
    base: of(base),
    policy: of(policy),
    difference: isOfBase ? differenceOf(found, policy) : null,
    smallest: isOfBase ? (found.smallest_visible_by_policy[policy]?.overall ?? null) : null,
  };
}

function differenceOf({ differences }, label) {
  return differences.find((each) => each.policy === differenceName(label)) ?? null;
}

/** `kinds` is the API's figure_kinds: figures of one unit share an axis, and it says where lower is better. */
export function forest({ base, policy, difference, smallest }, state, kinds) {
  const [first, ...others] = axesOf(difference, kinds);
  const row = (name, { at }, scale = null) =>
    h(
      "tr",
      {},
      h("td", {}, name.replaceAll("_", " "), direction(kinds[name])),
      cell(base, name),
      cell(policy, name),
      h("td", { class: "num" }, signed(difference.values[name]), interval(difference.intervals[name], signed)),
      h("td", {}, scale, whisker(difference.values[name], difference.intervals[name], at, kinds[name]?.is_lower_better)),
    );
  return h(
    "div",
    {},
    h(
      "table",
      { class: "u-table u-forest" },
      h("thead", {}, h("tr", {}, ...heads(state).concat(h("th", { scope: "col" }, axis(first.low, first.high, first.at))))),
      h(
        "tbody",
        {},
        ...first.names.map((name) => row(name, first)),
        // A further axis stands above the first figure that it measures.
        ...others.flatMap((each) => each.names.map((name, place) => row(name, each, place ? null : axis(each.low, each.high, each.at)))),
      ),
    ),
    h("p", { class: "u-small u-muted", style: "margin-top:12px" }, ...words(base, difference, smallest)),
  );
}

/** The figures by unit, with the ends of their axis and where on it a value stands. */
function axesOf({ values, intervals }, kinds) {
  const byUnit = new Map();
  for (const name of rowsOf(values)) {
    const unit = kinds[name]?.unit ?? name;
    byUnit.set(unit, [...(byUnit.get(unit) ?? []), name]);
  }
  // Pictures that nothing scored have wins and losses of nought, and no figure.
  return (byUnit.size ? [...byUnit.values()] : [[]]).map((names) => {
    const ends = names.flatMap((name) => intervals[name] ?? [values[name]]);
    const low = Math.min(0, ...ends),
      high = Math.max(0, ...ends);
    return { names, low, high, at: (value) => `${MARGIN + ((100 - 2 * MARGIN) * (value - low)) / (high - low || 1)}%` };
  });
}

function direction(kind) {
  return kind?.is_lower_better ? h("div", { class: "u-small u-muted" }, "lower is better") : null;
}

/** Whether an interval leaves out zero: 1 for a gain, -1 for a loss, 0 where it may be chance. */
function verdict([low, high], isLowerBetter) {
  const sign = low > 0 ? 1 : high < 0 ? -1 : 0;
  return isLowerBetter ? -sign : sign;
}

function rowsOf(values) {
  const tasks = Object.keys(values).filter((name) => !HIDDEN.includes(name) && !name.endsWith("_strict"));
  const first = ["overall", "strict"].filter((name) => tasks.includes(name));
  return [...first, ...tasks.filter((name) => !first.includes(name)).sort()];
}

function heads(state) {
  const names = [nameOf(state.base), nameOf(state.policy), "difference"];
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

export function whisker(value, ends, at, isLowerBetter = false) {
  const [low, high] = ends ?? [value, value];
  // Without an interval nobody knows whether it is chance.
  const change = ends ? verdict(ends, isLowerBetter) : 0;
  const colour = change > 0 ? "var(--u-succeeded)" : change < 0 ? "var(--u-failed)" : "var(--u-muted)";
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
    { class: "u-chart u-axis" },
    svg(
      "svg",
      { height: 16, "aria-hidden": "true" },
      ...marks.map((mark) => svg("text", { x: at(mark), y: 12, "text-anchor": "middle" }, tell(mark))),
    ),
  );
}

function words({ num_prompts: shown }, { num_prompts: stored, notes }, smallest) {
  const visible = `The smallest overall difference that this many prompts show in four of five evaluations is ${figure(smallest)}. `;
  return [
    "Intervals at 95 %, the difference paired by prompt and seed. Green is better, red is worse. ",
    stored < shown ? `It is of the ${stored} of ${shown} prompts whose samples are stored. ` : null,
    smallest === null ? null : visible,
    ...noted(notes),
  ];
}

/** What is to be said of single figures; those of which the same is said stand together. */
function noted(notes) {
  const names = new Map();
  for (const [name, note] of Object.entries(notes)) if (name !== "geneval") names.set(note, [...(names.get(note) ?? []), name.replaceAll("_", " ")]);
  return [...names].map(([note, of]) => `${of.sort().join(", ")}: ${note}. `);
}

/** Every policy's figures by task, each with its difference to the one compared to, where that is beyond chance. */
export function everyPolicy(found) {
  const { scores, figure_kinds: kinds } = found;
  const names = rowsOf(scores[0].values);
  const value = (score, name) => {
    const fate = verdict(differenceOf(found, score.policy)?.intervals[name] ?? [0, 0], kinds[name]?.is_lower_better);
    const kind = fate > 0 ? "u-up" : fate < 0 ? "u-down" : "";
    const change = kind ? signed(differenceOf(found, score.policy).values[name]) : "";
    return h(
      "td",
      { class: "num", "data-name": nameOf(score.policy) },
      figure(score.values[name]),
      kind ? h("span", { class: `u-small ${kind}` }, ` ${change}`) : null,
      interval(score.intervals[name], figure),
    );
  };
  return h(
    "div",
    {},
    h(
      "table",
      { class: "u-table u-many" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "task"), ...scores.map((score) => h("th", { scope: "col", class: "num" }, nameOf(score.policy))))),
      h("tbody", {}, ...names.map((name) => h("tr", {}, h("th", { scope: "row" }, name.replaceAll("_", " "), direction(kinds[name])), ...scores.map((score) => value(score, name))))),
    ),
    h("p", { class: "u-small u-muted", style: "margin-top:12px" }, `Intervals at 95 %. A signed number is the paired difference to ${nameOf(found.against)}, where its interval leaves out zero; green is better.`),
  );
}
