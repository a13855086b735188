// Each rater's votes: how many, how they fared on gold pairs, whether they lean to a side, how fast, how like the others.
import { card, h } from "./dom.js";
import { duration, figure } from "./format.js";
import { percent, shareOf } from "./label_figures.js";

// So one-sided by chance would be one rater in a hundred: worth a word, no proof.
const ONE_SIDED = 0.01;
const HEADS = ["Counts", "", "Rater", "Votes", "Gold right", "Left chosen", "Median time", "Hasty", "Agrees", ""];

/**
 * People and programs in tables of their own; `exclude(rater, isExcluded)` when a tick is changed. `excluded` has the
 * ids of those that are left out for good: the results call those excluded too that were not asked for just now.
 */
export function raterTables(results, excluded, exclude) {
  const raters = results.raters.map((rater) => ({ ...rater, is_excluded: excluded.has(rater.rater_id) }));
  const of = (isSimulated) => raters.filter((rater) => rater.is_simulated === isSimulated);
  const words = `Hasty: faster than ${figure(results.floor_seconds)} s. Agrees: mean share of the others' votes on the same pairs that chose the same.`;
  return [
    ["Raters", of(false)],
    ["Simulated raters: programs, no people", of(true)],
  ]
    .filter(([, raters]) => raters.length)
    .map(([title, raters]) => card(title, h("div", {}, table(raters, exclude), h("p", { class: "u-small u-muted", style: "margin-top:12px" }, words))));
}

function table(raters, exclude) {
  const heads = HEADS.map((name, index) => h("th", { class: index > 2 ? "num" : "", role: "columnheader", scope: "col" }, name));
  return h(
    "table",
    { class: "u-table u-cards", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)),
    h("tbody", { role: "rowgroup" }, ...raters.map((rater) => row(rater, exclude))),
  );
}

function row(rater, exclude) {
  const cell = (name, value) => h("td", { class: "num", role: "cell", "data-name": name }, value);
  const box = h("input", { type: "checkbox", "aria-label": `${rater.label} counts`, checked: !rater.is_excluded });
  box.addEventListener("change", async () => {
    box.disabled = true;
    try {
      await exclude(rater, !box.checked);
    } catch {
      box.checked = !box.checked;
    }
    box.disabled = false;
  });
  const kind = rater.is_simulated ? "simulated" : rater.is_excluded ? "left out" : "";
  return h(
    "tr",
    { role: "row", class: rater.is_excluded ? "u-muted" : "" },
    h("td", { role: "cell" }, box),
    h("td", { role: "cell" }, kind ? h("span", { class: "u-tag" }, kind) : ""),
    h("td", { class: "name", role: "cell" }, rater.label),
    cell("Votes", String(rater.num_votes)),
    cell("Gold right", shareOf(rater.num_gold_right, rater.num_gold, pair(rater.gold_interval))),
    cell("Left chosen", h("span", {}, shareOf(rater.num_left, rater.num_sided, pair(rater.left_interval)), ...leaning(rater))),
    cell("Median time", rater.median_seconds === null ? "–" : seconds(rater.median_seconds)),
    cell("Hasty", percent(rater.hasty_share)),
    cell("Agrees", percent(rater.agreement)),
    // On a narrow screen the last cell has a place of its own, for what can be done; here it is the tick.
    h("td", { role: "cell" }),
  );
}

const pair = (interval) => (interval ? [interval.low, interval.high] : null);
const seconds = (value) => (value < 90 ? `${figure(value)} s` : duration(value));

function leaning({ side_p_value: chance, num_left, num_sided }) {
  if (chance === null || chance >= ONE_SIDED) return [];
  const side = 2 * num_left > num_sided ? "left" : "right";
  return [" ", h("span", { class: "u-tag", title: `By chance so one-sided: ${figure(chance)}` }, `leans ${side}`)];
}
