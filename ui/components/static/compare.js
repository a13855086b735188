// Policies on the same prompts and seeds: the figures with their intervals, and pairs, worst regressions first.
import { TERMINAL, get, query as url } from "./api.js";
import { openById } from "./by_id.js";
import { nameOf, numPrompts, sourcesOf, twoOf } from "./compare_names.js";
import { PAGE_SIZE, PairPanel, wantedOf } from "./compare_pairs.js";
import { addressOf, readState } from "./compare_state.js";
import { action, card, dialog, h, show, status, titled } from "./dom.js";
import { chosenFigures, everyPolicy, forest } from "./forest.js";
import { figure, plural, signed } from "./format.js";
import { overlapNote } from "./overlap.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const REFRESH_MS = 5000;
const MISSING = {
  question: "Which evaluation?",
  hint: "Launch an evaluate run with a base, then open its comparison from the run's page.",
  href: "/launch?recipe=mini-geneval",
  link: "Launch an evaluation",
};

export function mount(root) {
  titled("Compare");
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  let found = await get(`/evaluations/${id}`);
  const state = readState(found.config);
  const head = h("div", {}),
    figures = h("div", { class: "u-stack" });
  const draw = () => {
    titled(`Compare ${found.name}`);
    const chosen = chosenFigures(found, state);
    show(head, header(found, state, chosen));
    show(figures, card("By task", chosen.difference ? forest(chosen, state, found.figure_kinds) : noFigures(found, state)), everyPolicyCard(found));
  };
  const told = () => {
    history.replaceState(null, "", addressOf(id, state, found.config));
    const pairs = `/evaluations/${id}/pairs`;
    apiCalls([
      { path: `/evaluations/${id}` },
      { path: url(pairs, { ...wantedOf(state), limit: PAGE_SIZE }) },
      ...(state.pair ? [{ path: url(`${pairs}/${state.pair}`, twoOf(state)) }] : []),
      { path: url(`/evaluations/${id}/export`, { format: "csv", ...twoOf(state) }) },
    ]);
  };
  draw();
  told();
  const panel = new PairPanel(found, state, (_, isOtherTwo) => {
    told();
    if (isOtherTwo) draw();
  });
  show(root, head, h("div", { class: "u-stack" }, figures, overlapNote(id), panel.element));
  holdToFlip((isFlipped) => panel.flip(isFlipped));
  const timer = setInterval(async () => {
    if (TERMINAL.includes(found.status)) return clearInterval(timer);
    if (document.hidden) return;
    const before = found.num_pairs;
    // What fails here is tried again in a moment; what is shown stays true as of then.
    found = await get(`/evaluations/${id}`).catch(() => found);
    draw();
    if (found.num_pairs !== before) panel.renew(found);
  }, REFRESH_MS);
}

function header(found, state, chosen) {
  const { config } = found,
    prompts = numPrompts(found);
  const settings = [
    `${prompts === null ? "a prompt set" : plural(prompts, "prompt")} × ${plural(config.samples_per_prompt, "seed")}`,
    `${config.sampling.num_unmasking_steps} unmasking steps`,
    `guidance ${figure(config.sampling.guidance_scale)}`,
    `temperature ${figure(config.sampling.temperature)}`,
    `seed ${config.seed}`,
  ];
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: "/runs" }, "Runs"), " › ", h("a", { href: `/run?id=${found.run_id}` }, found.name || "Evaluation"), " › Compare"),
      h("h1", {}, headline(chosen, found.status)),
      ...fates(chosen.difference),
      h("p", { class: "u-muted", style: "margin-top:4px;overflow-wrap:anywhere" }, policies(config)),
      h("p", { class: "u-small u-muted", style: "margin-top:4px" }, settings.join(" · ")),
    ),
    h(
      "div",
      { class: "u-row" },
      status(found.status),
      h("a", { class: "u-btn", href: `/label?run=${found.run_id}` }, "Send to people"),
      exportLink(found, state, "html", "Report"),
      exportLink(found, state, "csv", "CSV"),
      action("Copy link", copyLink),
      apiButton(),
    ),
  );
}

function exportLink(found, state, format, label) {
  const title = format === "html" ? "The whole comparison in one file that opens anywhere" : "All pairs as a table";
  const path = url(`/api/v1/evaluations/${found.run_id}/export`, { format, ...twoOf(state) });
  return h("a", { class: "u-btn", href: path, download: "", title }, label);
}

async function copyLink(button) {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    // A browser gives the clipboard only to pages of this machine or behind TLS.
    dialog("A link to what you see", h("p", { class: "u-code" }, location.href));
    return;
  }
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy link";
  }, 1200);
}

function policies(config) {
  return Object.entries(sourcesOf(config)).flatMap(([label, source], index) => [index ? ", " : "", `${nameOf(label)} `, h("b", {}, source)]);
}

function headline({ base, policy, difference }, state) {
  // Prompts that no verifier knows have no overall figure, but may have scores.
  const name = base && ["overall", ...Object.keys(base.values)].find((each) => each in base.values);
  if (name && policy) {
    const pair = `${name === "overall" ? "" : `${name.replaceAll("_", " ")} `}${figure(base.values[name])} → ${figure(policy.values[name])}`;
    const ends = difference?.intervals[name];
    if (!difference) return pair;
    return `${pair}, ${signed(difference.values[name])}${ends ? ` [${signed(ends[0])}, ${signed(ends[1])}]` : ""}`;
  }
  if (base && policy) return "Pictures without scores";
  return TERMINAL.includes(state) ? "Not measured to its end" : "Being measured";
}

function noFigures(found, { base, policy }) {
  const why = found.difference || found.differences.length
    ? `Differences are measured to ${nameOf(found.scores[0].policy)}, paired by prompt and seed; between ${nameOf(base)} and ${nameOf(policy)} there is none. The table below has each policy's own figures; an interval of these two takes an evaluation of one with the other as its base.`
    : TERMINAL.includes(found.status)
      ? "There are none: the evaluation ended before its last picture, and intervals need all of them."
      : "The figures come with the last picture: intervals need all of them.";
  return h("p", { class: "u-chart-none" }, why);
}

function everyPolicyCard(found) {
  return found.scores.length > 2 ? card("Every policy", everyPolicy(found)) : null;
}

function fates(difference) {
  if (!difference) return [];
  const { num_wins: wins, num_losses: losses, num_ties: ties } = difference.values;
  const words = `${plural(wins, "win")}, ${plural(losses, "loss", "losses")}, ${ties} equal of all pictures`;
  return [h("p", { style: "margin-top:4px" }, words)];
}

/** While the key is down, each picture stands in the other's place. */
function holdToFlip(flip) {
  keys([["f", "Hold: the two change places", () => flip(true)]]);
  addEventListener("keyup", (event) => event.key === "f" && flip(false));
}
