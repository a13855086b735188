// Figures with their intervals, a row each, drawn on one axis; and how a share of few votes is told honestly.
import { h } from "./dom.js";
import { axis, whisker } from "./forest.js";
import { figure } from "./format.js";

const MARGIN = 4;

/**
 * Rows of `{ name, value, ends, note }` on one axis. `mark` is the value that says "no difference"; `least` and `most`
 * are what the axis shows at least; `tell` puts a value into words.
 */
export function intervalTable(heads, rows, { mark, least = mark, most = mark, tell = figure }) {
  const all = rows.flatMap(({ value, ends }) => [value, ...(ends ?? [])]).filter((value) => value !== null);
  const low = Math.min(least, ...all) - mark,
    high = Math.max(most, ...all) - mark;
  const at = (value) => `${MARGIN + ((100 - 2 * MARGIN) * (value - low)) / (high - low || 1)}%`;
  const row = ({ name, value, ends, note = null }) => [
    h(
      "tr",
      {},
      h("td", {}, name),
      h("td", { class: "num" }, tell(value), ends ? h("div", { class: "u-small u-muted u-ends" }, `[${tell(ends[0])}, ${tell(ends[1])}]`) : null),
      h("td", {}, value === null ? null : whisker(value - mark, ends?.map((end) => end - mark), at)),
    ),
    // Below its row, for on a phone there is no room beside it.
    note ? h("tr", {}, h("td", { colspan: 3, class: "u-small u-muted" }, note)) : null,
  ];
  return h(
    "table",
    { class: "u-table u-forest" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, heads[0]),
        h("th", { scope: "col", class: "num" }, heads[1]),
        h("th", { scope: "col" }, axis(low, high, at, (value) => tell(value + mark))),
      ),
    ),
    h("tbody", {}, ...rows.flatMap(row).filter(Boolean)),
  );
}

export function percent(value) {
  return value === null || value === undefined ? "–" : `${figure(Number((100 * value).toPrecision(3)))} %`;
}

/** A share never without what it is a share of, and with its interval where there is room. */
export function shareOf(count, of, ends) {
  if (!of) return h("span", {}, "–");
  const interval = ends ? h("span", { class: "u-wide-only u-muted" }, ` [${percent(ends[0])}, ${percent(ends[1])}]`) : null;
  return h("span", {}, `${count} of ${of}, ${percent(count / of)}`, interval);
}
