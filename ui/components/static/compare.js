// Base and tuned on the same prompts and seeds: the figures with their intervals, and pairs, worst regressions first.
import { TERMINAL, get, query as url } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, dialog, empty, h, select, setOptions, show, status, titled } from "./dom.js";
import { forest } from "./forest.js";
import { figure, plural, signed } from "./format.js";
import { overlapNote } from "./overlap.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 24,
  REFRESH_MS = 5000;
const MISSING = {
  question: "Which evaluation?",
  hint: "Launch an evaluate run with a base, then open its comparison from the run's page.",
  href: "/launch?recipe=mini-geneval",
  link: "Launch an evaluation",
};
const ORDERS = [
  ["worst", "Worst regressions first"],
  ["best", "Best gains first"],
];

export function mount(root) {
  titled("Compare");
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  let found = await get(`/evaluations/${id}`);
  const head = h("div", {}),
    figures = h("div", {});
  const draw = () => {
    titled(`Compare ${found.name}`);
    show(head, header(found));
    show(figures, card("By task", found.difference ? forest(found) : noFigures(found)));
  };
  draw();
  const pairs = pairPanel(found);
  show(root, head, h("div", { class: "u-stack" }, figures, overlapNote(id), pairs.element));
  apiCalls([{ path: `/evaluations/${id}` }, { path: `/evaluations/${id}/pairs?order=worst&limit=${PAGE_SIZE}` }]);
  holdToFlip(pairs.flip);
  const timer = setInterval(async () => {
    if (TERMINAL.includes(found.status)) return clearInterval(timer);
    if (document.hidden) return;
    const before = found.num_pairs;
    // What fails here is tried again in a moment; what is shown stays true as of then.
    found = await get(`/evaluations/${id}`).catch(() => found);
    draw();
    if (found.num_pairs !== before) pairs.renew(found);
  }, REFRESH_MS);
}

function header(found) {
  const { config } = found;
  const settings = [
    `${plural(config.num_prompts, "prompt")} × ${plural(config.samples_per_prompt, "seed")}`,
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
      h("p", { class: "u-crumb" }, h("a", { href: `/run?id=${found.run_id}` }, found.name || "Evaluation"), " › Compare"),
      h("h1", {}, headline(found)),
      ...fates(found.difference),
      h("p", { class: "u-muted", style: "margin-top:4px;overflow-wrap:anywhere" }, policies(config)),
      h("p", { class: "u-small u-muted", style: "margin-top:4px" }, settings.join(" · ")),
    ),
    h(
      "div",
      { class: "u-row" },
      status(found.status),
      h("a", { class: "u-btn", href: `/label?run=${found.run_id}` }, "Send to people"),
      apiButton(),
    ),
  );
}

function policies(config) {
  return ["base ", h("b", {}, config.base.source), ", tuned ", h("b", {}, config.policy.source)];
}

function headline({ base, policy, difference, status: state }) {
  if (difference) {
    const [low, high] = difference.intervals.overall;
    const pair = `${figure(base.values.overall)} → ${figure(policy.values.overall)}`;
    return `${pair}, ${signed(difference.values.overall)} [${signed(low)}, ${signed(high)}]`;
  }
  return TERMINAL.includes(state) ? "Not measured to its end" : "Being measured";
}

function noFigures({ status: state }) {
  const why = TERMINAL.includes(state)
    ? "There are none: the evaluation ended before its last picture, and intervals need all of them."
    : "The figures come with the last picture: intervals need all of them.";
  return h("p", { class: "u-chart-none" }, why);
}

function fates(difference) {
  if (!difference) return [];
  const { num_wins: wins, num_losses: losses, num_ties: ties } = difference.values;
  const words = `${plural(wins, "win")}, ${plural(losses, "loss", "losses")}, ${ties} equal of all pictures`;
  return [h("p", { style: "margin-top:4px" }, words)];
}

function pairPanel(found) {
  const state = { order: "worst", task: "", isFlipped: false };
  const body = h("div", { class: "u-pairs-body" }),
    note = h("p", { class: "u-small u-muted u-push" });
  const pathOf = (after) => url(`/evaluations/${found.run_id}/pairs`, { ...wanted(), limit: PAGE_SIZE, after });
  const wanted = () => ({ order: state.order, task: state.task });
  const draw = () => {
    note.textContent = storedWords(found);
    if (!pairs.items.length) return show(body, nothing(found));
    show(
      body,
      h("div", { class: "u-pairs" }, ...pairs.items.map(pairTile)),
      pairs.hasMore ? h("p", { class: "u-more" }, action("Load more", () => pairs.load(true))) : null,
    );
  };
  const pairs = new PagedList(pathOf, draw, body);
  const choose = (name) => (value) => {
    state[name] = value;
    pairs.load();
  };
  const tasks = select("Task", [], choose("task"));
  // Tasks come one after another while the evaluation runs.
  const renew = (newer) => {
    found = newer;
    setOptions(tasks, [["", "Every task"], ...found.tasks.map((task) => [task, task.replaceAll("_", " ")])]);
    pairs.load();
  };
  const flip = (isFlipped = !state.isFlipped) => {
    state.isFlipped = isFlipped;
    body.classList.toggle("flipped", isFlipped);
    button.setAttribute("aria-pressed", String(isFlipped));
  };
  const button = h(
    "button",
    { class: "u-btn", type: "button", "aria-pressed": "false", title: "Hold f", onclick: () => flip() },
    "Flip",
  );
  const tools = h(
    "div",
    { class: "u-row", style: "margin-bottom:16px" },
    select("Order", ORDERS, choose("order")),
    tasks,
    button,
    note,
  );
  renew(found);
  return { element: card("Pairs", h("div", {}, tools, body)), flip, renew };
}

/** While the key is down, each picture stands in the other's place. */
function holdToFlip(flip) {
  keys([["f", "Hold: base and tuned change places", () => flip(true)]]);
  addEventListener("keyup", (event) => event.key === "f" && flip(false));
}

function storedWords({ config, num_pairs: stored, num_wins: wins, num_losses: losses }) {
  const made = config.num_prompts * config.samples_per_prompt;
  const fates = `${plural(wins, "win")}, ${plural(losses, "loss", "losses")}, ${stored - wins - losses} equal`;
  return stored ? `${stored} of ${plural(made, "pair")} stored: ${fates}` : "";
}

function nothing(found) {
  if (found.num_pairs)
    return empty("No pair of this task is stored", "Choose another task: pictures of the first prompts are kept.");
  if (TERMINAL.includes(found.status))
    return empty(
      "No pairs",
      "The evaluation ended before both policies had made a picture. Its run says why.",
      h("a", { class: "u-btn", href: `/run?id=${found.run_id}` }, "Open the run"),
    );
  return empty("No pairs yet", "The pictures of base and policy appear here as the evaluation makes them.");
}

function pairTile(pair) {
  const sides = [
    ["base", pair.base],
    ["tuned", pair.policy],
  ];
  const kind = pair.difference > 0 ? "u-up" : pair.difference < 0 ? "u-down" : "u-muted";
  return h(
    "article",
    { class: "u-pair", "aria-label": pair.prompt },
    h(
      "button",
      { type: "button", class: "u-pair-pictures", title: "Compare closely", onclick: () => closely(pair) },
      ...sides.map(([name, sample]) =>
        h(
          "span",
          { class: "u-pair-side" },
          h("img", { src: sample.image_url, alt: `${name}: ${pair.prompt}`, loading: "lazy" }),
          h("span", { class: "u-small u-muted" }, `${name} ${figure(sample.reward)}`),
        ),
      ),
    ),
    h("p", { class: "u-small prompt" }, pair.prompt),
    h("p", { class: `u-small ${kind}` }, pair.difference === 0 ? "equal" : signed(pair.difference)),
  );
}

/** Both pictures at one place: drag the line between them; the replays are one click away. */
function closely(pair) {
  // The line lies under the handle: base to its left, tuned to its right, as the words below say.
  const top = h("img", { src: pair.base.image_url, alt: `base: ${pair.prompt}` });
  const range = h("input", { class: "u-range", type: "range", min: 0, max: 100, value: 50, "aria-label": "Where base ends and tuned begins" });
  const move = () => {
    top.style.clipPath = `inset(0 ${100 - range.value}% 0 0)`;
  };
  range.addEventListener("input", move);
  move();
  dialog(
    `“${pair.prompt}”`,
    h(
      "div",
      { class: "u-slider" },
      h("img", { src: pair.policy.image_url, alt: `tuned: ${pair.prompt}` }),
      top,
    ),
    h("div", { class: "u-row", style: "margin-top:8px" }, h("span", {}, "base"), range, h("span", {}, "tuned")),
    h(
      "p",
      { class: "u-small", style: "margin-top:8px" },
      `seed ${pair.seed} · reward ${figure(pair.base.reward)} → ${figure(pair.policy.reward)} · replays: `,
      h("a", { class: "u-link", href: `/sample?id=${pair.base.id}` }, "base"),
      ", ",
      h("a", { class: "u-link", href: `/sample?id=${pair.policy.id}` }, "tuned"),
    ),
  );
}
