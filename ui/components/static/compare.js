// Policies on the same prompts and seeds: the figures with their intervals, and pairs, worst regressions first.
import { TERMINAL, get, query as url } from "./api.js";
import { openById } from "./by_id.js";
import { policyChoice } from "./compare_choice.js";
import { figuresOf, nameOf, numPrompts, sourcesOf, twoOf } from "./compare_names.js";
import { PAGE_SIZE, PairPanel, wantedOf } from "./compare_pairs.js";
import { addressOf, readState } from "./compare_state.js";
import { action, card, dialog, failure, h, query, show, status, titled } from "./dom.js";
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
  let found = await firstAnswer(id),
    problem = null;
  const state = readState(found.config);
  const head = h("div", {}),
    figures = h("div", { class: "u-stack" });
  const draw = () => {
    titled(`Compare ${found.name}`);
    const chosen = chosenFigures(found, state);
    show(head, header(found, state, chosen));
    // What comes in a moment takes the place of what was there, so that nothing below jumps.
    const height = figures.querySelector(".u-forest, .u-chart-none")?.offsetHeight ?? 0;
    const table = chosen.difference ? forest(chosen, state, found.figure_kinds) : noFigures(found, state, problem, refresh, height);
    show(figures, card("By task", table), everyPolicyCard(found));
  };
  const told = () => {
    history.replaceState(null, "", addressOf(id, state, found.config));
    const pairs = `/evaluations/${id}/pairs`;
    apiCalls([
      { path: figuresOf(id, state.base, found.config) },
      { path: url(pairs, { ...wantedOf(state), limit: PAGE_SIZE }) },
      ...(state.pair ? [{ path: url(`${pairs}/${state.pair}`, twoOf(state)) }] : []),
      { path: url(`/evaluations/${id}/export`, { format: "csv", ...twoOf(state) }) },
    ]);
  };
  const refresh = async () => {
    const { base } = state,
      before = found.num_pairs;
    const answer = await get(figuresOf(id, base, found.config)).catch((error) => error);
    // Another one was chosen meanwhile, whose own answer comes.
    if (base !== state.base) return;
    // What fails is told where nothing true could be shown instead; what is shown stays true as of then.
    if (answer instanceof Error) problem = answer;
    else [found, problem] = [answer, null];
    draw();
    if (found.num_pairs !== before) panel.renew(found);
  };
  const choice = policyChoice(found.config, state, () => {
    problem = null;
    told();
    draw();
    panel.load();
    if (found.against !== state.base) refresh();
  });
  draw();
  told();
  const panel = new PairPanel(found, state, told);
  show(root, head, h("div", { class: "u-stack" }, choice, figures, overlapNote(id), panel.element));
  holdToFlip((isFlipped) => panel.flip(isFlipped));
  const timer = setInterval(() => {
    if (TERMINAL.includes(found.status)) clearInterval(timer);
    else if (!document.hidden) refresh();
  }, REFRESH_MS);
}

/** The figures compared to the policy that the address names; one that there is not is as if none were named. */
async function firstAnswer(id) {
  const path = `/evaluations/${id}`,
    base = query("base");
  if (!base) return get(path);
  return get(url(path, { base })).catch((error) => {
    if (error.status !== 422) throw error;
    return get(path);
  });
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
      ...fates(chosen),
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

function noFigures(found, { base }, problem, retry, height) {
  if (found.scores.length && found.against !== base)
    return problem
      ? failure(problem, retry)
      : h("p", { class: "u-chart-none", role: "status", style: `min-height:${height}px` }, `Computing the differences to ${nameOf(base)} of the stored samples…`);
  const why = TERMINAL.includes(found.status)
    ? "There are none: the evaluation ended before its last picture, and intervals need all of them."
    : "The figures come with the last picture: intervals need all of them.";
  return h("p", { class: "u-chart-none" }, why);
}

function everyPolicyCard(found) {
  return found.scores.length > 2 ? card("Every policy", everyPolicy(found)) : null;
}

function fates({ base, policy, difference }) {
  if (!difference) return base && policy ? [h("p", { style: "margin-top:4px" }, "…")] : [];
  const { num_wins: wins, num_losses: losses, num_ties: ties } = difference.values;
  const words = `${plural(wins, "win")}, ${plural(losses, "loss", "losses")}, ${ties} equal of all pictures`;
  return [h("p", { style: "margin-top:4px" }, words)];
}

/** While the key is down, each picture stands in the other's place. */
function holdToFlip(flip) {
  keys([["f", "Hold: the two change places", () => flip(true)]]);
  addEventListener("keyup", (event) => event.key === "f" && flip(false));
}
