// One picture: its prompt, seed, rewards and why; its unmasking replay; and the other samples of its group.
import { get, getAll, query } from "./api.js";
import { ALL_RUNS, openById } from "./by_id.js";
import { card, h, identifier, show, titled } from "./dom.js";
import { figure, signed } from "./format.js";
import { groupRow } from "./board.js";
import { decodeInto } from "./frames.js";
import { fetchRun, runName } from "./runs_shared.js";
import { Replay } from "./replay.js";
import { apiButton, apiCalls, keys } from "./shell.js";

export function mount(root) {
  titled("Sample");
  const missing = { question: "Which sample?", hint: "Click a picture on a group board.", ...ALL_RUNS };
  return openById(root, missing, async (id) => {
    const sample = await get(`/samples/${id}`);
    await open(root, sample, await fetchRun(sample.run_id));
  });
}

async function open(root, sample, run) {
  titled(sample.prompt);
  const path = `/samples/${sample.id}`;
  apiCalls([
    { path },
    { path: `${path}/trajectory` },
    { path: `${path}/image` },
    { path: `${path}/frames`, method: "POST" },
    { path: `${path}/replay.gif` },
  ]);
  const stage = h("div", { class: "u-card" }, h("p", { class: "u-chart-none" }, "Loading the trajectory …")),
    siblings = h("div", {});
  show(
    root,
    heading(sample, run),
    h(
      "div",
      { class: "u-stack" },
      stage,
      h("div", { class: "u-half" }, verdictCard(sample), rewardCard(sample)),
      siblings,
    ),
  );
  if (!sample.has_trajectory)
    show(
      stage,
      picture(sample),
      h("p", { class: "u-chart-none" }, "This sample was stored without its trajectory, so there is no replay."),
    );
  else {
    const trajectory = await get(`${path}/trajectory`),
      player = new Replay(sample, trajectory);
    show(stage, player.element);
    player.draw();
    keys(player.keys());
    if (!trajectory.is_decoded) decodeInto(path, player.picture);
  }
  // Only training adds the parts up with the run's weights; other pictures are scored by the benchmark's own rule.
  if (sample.purpose === "train") weigh(root, run);
  const groups = await getAll(`/runs/${sample.run_id}/groups`, { step: sample.step });
  const group = groups.find((item) => item.id === sample.group_id);
  if (!group) return;
  show(
    siblings,
    card(
      "Its group",
      groupRow(group, { currentId: sample.id }),
      h("a", { class: "u-push", href: `/groups?id=${sample.run_id}&step=${sample.step}` }, "All groups of the step"),
    ),
  );
  const go = (by) => {
    const next = group.samples[group.samples.findIndex((item) => item.id === sample.id) + by];
    if (next) location.href = `/sample?id=${next.id}`;
  };
  keys([
    ["ArrowUp", "Better sample of the group", () => go(-1)],
    ["ArrowDown", "Worse sample of the group", () => go(1)],
  ]);
}

/** Enters the weights by which the run added the parts up. */
function weigh(root, run) {
  for (const { name, weight } of run.config.rewards ?? []) {
    const cell = root.querySelector(`[data-weight="${name}"]`);
    if (cell) cell.textContent = `${figure(weight)} ×`;
  }
}

const wordFor = (sample) => (sample.purpose === "train" ? "reward" : "score");

function picture(sample) {
  return h(
    "div",
    { class: "u-frame", style: "max-width:320px" },
    h("img", { src: sample.image_url, alt: sample.prompt }),
  );
}

function heading(sample, run) {
  const parts = Object.entries(sample.reward_breakdown)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${figure(value)}`)
    .join(", ");
  const exports = sample.has_trajectory
    ? [
        ["replay.gif", "GIF"],
        ["replay.webp", "WebP"],
        ["trajectory", "JSON"],
      ].map(([name, label]) =>
        h(
          "a",
          {
            class: "u-btn",
            href: `/api/v1/samples/${sample.id}/${name}`,
            download: `sample-${sample.id.slice(-8)}.${label.toLowerCase()}`,
          },
          label,
        ),
      )
    : [];
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h(
        "p",
        { class: "u-crumb" },
        h("a", { href: "/runs" }, "Runs"),
        " › ",
        h("a", { href: `/run?id=${sample.run_id}` }, runName(run)),
        " › ",
        h("a", { href: `/groups?id=${sample.run_id}&step=${sample.step}` }, `step ${sample.step}`),
      ),
      h("h1", { style: "overflow-wrap:anywhere" }, `“${sample.prompt}”`),
      h(
        "div",
        { class: "u-row wide u-muted", style: "margin-top:4px" },
        h("span", {}, `seed ${sample.seed}`),
        h("span", {}, `${wordFor(sample)} ${figure(sample.reward)}${parts ? ` (${parts})` : ""}`),
        sample.advantage === null ? null : h("span", {}, `advantage ${signed(sample.advantage)}`),
        identifier(sample.id),
      ),
    ),
    h("div", { class: "u-row" }, ...exports, h("a", { class: "u-btn", href: `/reward-test?sample=${sample.id}` }, "Test rewards"), sample.purpose === "probe" ? h("a", { class: "u-btn", href: query(`/strip`, { id: sample.run_id, prompt: sample.prompt }) }, "Over steps") : null, sample.has_trajectory && !run.config.extrapolation ? h("a", { class: "u-btn", href: `/inpaint?sample=${sample.id}` }, "Paint over") : null, sample.has_trajectory ? h("a", { class: "u-btn", href: `/extend?sample=${sample.id}` }, "Extend") : null, apiButton()),
  );
}

function verdictCard(sample) {
  const verdict = sample.verdict;
  if (!verdict) return card("Verdict", h("p", { class: "u-chart-none" }, "No verifier looked at this picture."));
  const found = verdict.found.map((item) => `${item.colour} ${item.shape}`).join(", ") || "nothing";
  return card(
    "Verdict",
    h(
      "div",
      { class: "u-stack tight" },
      h(
        "ul",
        { class: "u-list" },
        ...verdict.conditions.map((item) =>
          h("li", {}, h("span", { class: item.is_satisfied ? "u-yes" : "u-no" }), h("span", {}, item.text)),
        ),
      ),
      h("p", { class: "u-muted u-small" }, `Found: ${found}.`),
    ),
    h(
      "span",
      { class: "u-small u-muted" },
      verdict.is_strict
        ? "correct, nothing extra"
        : verdict.is_correct
          ? "correct, with something extra"
          : "not correct",
    ),
  );
}

function rewardCard(sample) {
  const rows = Object.entries(sample.reward_breakdown);
  return card(
    sample.purpose === "train" ? "Reward" : "Score",
    h(
      "div",
      {},
      h(
        "table",
        { class: "u-table" },
        h(
          "tbody",
          {},
          ...rows.map(([name, value]) =>
            h(
              "tr",
              {},
              h("td", {}, name.replaceAll("_", " ")),
              h("td", { class: "num u-muted", "data-weight": name }),
              h("td", { class: "num" }, figure(value)),
            ),
          ),
          h(
            "tr",
            {},
            h("td", {}, h("strong", {}, "total")),
            h("td", {}),
            h("td", { class: "num" }, h("strong", {}, figure(sample.reward))),
          ),
        ),
      ),
      sample.is_kept
        ? null
        : h("p", { class: "u-small u-muted", style: "margin-top:8px" }, `Its group was ${sample.reason}.`),
    ),
  );
}
