// The group board: the samples of one prompt in order of advantage, reward by component, and why a group was filtered.
import { h } from "./dom.js";
import { figure, signed } from "./format.js";

const COLOURS = { strict: "blue", correct: "green", dense: "orange", jpeg_size: "purple" };
const SPARE = ["sky", "vermillion", "yellow"];

/** A reward's colour: the same reward always wears the same one. */
export function rewardColour(name) {
  if (name in COLOURS) return `var(--u-series-${COLOURS[name]})`;
  const sum = [...name].reduce((total, letter) => total + letter.codePointAt(0), 0);
  return `var(--u-series-${SPARE[sum % SPARE.length]})`;
}

/** How many pictures a row may have, by the width of the board: parts.css has the widths. */
const COLUMNS = [4, 6, 8];
const PURPOSES = { probe: "held-out probe", sample_now: "sample now" };

function tile(sample, { isCurrent = false } = {}) {
  const advantage = sample.advantage,
    kind = advantage > 0 ? "u-up" : advantage < 0 ? "u-down" : "u-muted";
  const parts = Object.entries(sample.reward_breakdown);
  const words = parts.map(([name, value]) => `${name} ${figure(value)}`).join(", ");
  return h(
    "a",
    {
      class: "u-tile",
      href: `/sample?id=${sample.id}`,
      "aria-current": isCurrent ? "true" : null,
      title: `${sample.purpose === "train" ? "reward" : "score"} ${figure(sample.reward)}${words ? `: ${words}` : ""}\nseed ${sample.seed}`,
    },
    h("img", { src: sample.image_url, alt: sample.prompt, loading: "lazy", width: 80, height: 80 }),
    h(
      "span",
      { class: "figures" },
      h("span", { class: "u-muted" }, sample.reward === null ? "–" : String(Number(sample.reward.toPrecision(2)))),
      advantage === null ? null : h("span", { class: kind, title: "advantage" }, signed(Number(advantage.toFixed(2)))),
    ),
    parts.length > 1
      ? h(
          "span",
          { class: "parts", "aria-hidden": "true" },
          ...parts.map(([name, value]) =>
            h("i", { style: `--key:${rewardColour(name)};--share:${Math.min(Math.max(value ?? 0, 0), 1)}` }),
          ),
        )
      : null,
  );
}

/**
 * Columns that a group is laid in where at most `most` fit: so many that no row is left with a few, such as 8 in rows of
 * 4 where 6 would fit.
 */
export function columnsFor(count, most) {
  if (count <= most) return count;
  for (let columns = most; 2 * columns > most; columns -= 1) if (count % columns === 0) return columns;
  return Math.ceil(count / Math.ceil(count / most));
}

export function groupRow(group, { currentId = null } = {}) {
  const facts = [`mean ${figure(group.mean_reward)}`, `spread ${figure(group.reward_std)}`];
  if (group.num_tries > 1) facts.push(`${group.num_tries} tries`);
  const note = group.is_kept ? null : h("span", { class: "u-tag" }, group.reason);
  return h(
    "article",
    { class: `u-group${group.is_kept ? "" : " dropped"}`, "aria-label": group.prompt },
    h(
      "div",
      { class: "u-group-head" },
      h("span", { class: "prompt" }, `“${group.prompt}”`),
      h("span", { class: "u-small u-muted" }, facts.join(" · ")),
      group.purpose in PURPOSES ? h("span", { class: "u-tag" }, PURPOSES[group.purpose]) : null,
      group.task ? h("span", { class: "u-tag" }, group.task.replaceAll("_", " ")) : null,
      group.policy === "base" ? h("span", { class: "u-tag" }, "base policy") : null,
      note,
    ),
    h(
      "div",
      { class: "u-tiles even", style: COLUMNS.map((most) => `--in-${most}:${columnsFor(group.samples.length, most)}`).join(";") },
      ...group.samples.map((sample) => tile(sample, { isCurrent: sample.id === currentId })),
    ),
  );
}

/**
 * Groups one under the other, those of a single picture side by side under what they were made for. Each part of the
 * board has the key to its own bars: training is rewarded by other parts than a probe is scored by.
 */
export function groupRows(groups) {
  const many = groups.filter((group) => group.samples.length > 1),
    walls = new Map();
  for (const group of groups.filter((item) => item.samples.length === 1)) {
    const title = `${group.policy === "base" ? "base policy, " : ""}${PURPOSES[group.purpose] ?? group.purpose}`;
    walls.set(title, [...(walls.get(title) ?? []), group]);
  }
  const purposes = [...new Set(many.map((group) => group.purpose))];
  return [
    ...purposes.flatMap((purpose) => {
      const members = many.filter((group) => group.purpose === purpose);
      return [rewardKey(members), ...members.map((group) => groupRow(group))];
    }),
    ...[...walls].map(([title, members]) => wall(title, members)),
  ].filter(Boolean);
}

function wall(title, groups) {
  const figures = groups.map((group) =>
    h(
      "figure",
      { class: "u-single" },
      tile(group.samples[0]),
      h("figcaption", { class: "u-small u-muted" }, group.prompt),
    ),
  );
  return h(
    "section",
    { class: "u-group" },
    h("div", { class: "u-group-head" }, h("h2", {}, title)),
    rewardKey(groups),
    h("div", { class: "u-tiles" }, ...figures),
  );
}

/** The key to the small bars under the pictures of these groups; null where they have none. */
function rewardKey(groups) {
  const names = [
    ...new Set(groups.flatMap((group) => group.samples.flatMap((sample) => Object.keys(sample.reward_breakdown)))),
  ];
  if (names.length < 2) return null;
  return h(
    "div",
    { class: "u-legend u-reward-key" },
    ...names.map((name) =>
      h("span", { class: "key", style: `--key:${rewardColour(name)}` }, name.replaceAll("_", " ")),
    ),
  );
}
