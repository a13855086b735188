// Base and tuned on the same prompts and seeds: the figures with their intervals, and pairs, worst regressions first.
import { get, query as url } from "./api.js";
import { card, dialog, empty, failure, h, query, show, status, titled } from "./dom.js";
import { forest } from "./forest.js";
import { figure, plural, signed } from "./format.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 24,
  REFRESH_MS = 5000;
const FINAL = ["succeeded", "failed", "cancelled"];

export async function mount(root) {
  const id = query("id");
  titled("Compare");
  if (!id)
    return show(
      root,
      empty(
        "Which evaluation?",
        "Launch an evaluate run with a base, then open its comparison from the run's page.",
        h("a", { class: "u-btn u-main", href: "/launch?recipe=mini-geneval" }, "Launch an evaluation"),
      ),
    );
  try {
    await open(root, id);
  } catch (error) {
    show(
      root,
      failure(error, () => mount(root)),
    );
  }
}

async function open(root, id) {
  let found = await get(`/evaluations/${id}`);
  const head = h("div", {}),
    figures = h("div", {});
  const draw = () => {
    titled(`Compare ${found.name}`);
    show(head, header(found));
    show(figures, card("By task", forest(found)));
  };
  draw();
  const pairs = pairPanel(found);
  show(root, head, h("div", { class: "u-stack" }, figures, pairs.element));
  apiCalls([{ path: `/evaluations/${id}` }, { path: `/evaluations/${id}/pairs?order=worst&limit=${PAGE_SIZE}` }]);
  keys([["f", "Flip all pictures: the policy's or the base's first", pairs.flip]]);
  const timer = setInterval(async () => {
    if (FINAL.includes(found.status)) return clearInterval(timer);
    if (document.hidden) return;
    const before = found.num_pairs;
    // What fails here is tried again in a moment; what is shown stays true as of then.
    found = await get(`/evaluations/${id}`).catch(() => found);
    draw();
    if (found.num_pairs !== before) pairs.reload(found);
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
      h("p", { class: "u-muted", style: "margin-top:4px;overflow-wrap:anywhere" }, policies(config)),
      h("p", { class: "u-small u-muted", style: "margin-top:4px" }, settings.join(" · ")),
    ),
    h("div", { class: "u-row" }, status(found.status), apiButton()),
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
  return FINAL.includes(state) ? "Not measured to its end" : "Being measured";
}

function pairPanel(found) {
  const state = { order: "worst", task: "", pairs: [], cursor: null, isBaseFirst: true };
  const body = h("div", {}),
    note = h("p", { class: "u-small u-muted u-push" });
  const load = async (isMore = false) => {
    try {
      const path = url(`/evaluations/${found.run_id}/pairs`, {
        order: state.order,
        task: state.task,
        limit: PAGE_SIZE,
        after: isMore ? state.cursor : null,
      });
      const page = await get(path);
      state.pairs = isMore ? [...state.pairs, ...page.data] : page.data;
      state.cursor = page.has_more ? page.next_cursor : null;
      draw();
    } catch (error) {
      show(
        body,
        failure(error, () => load()),
      );
    }
  };
  const draw = () => {
    const total = found.num_pairs;
    note.textContent = total
      ? `${plural(total, "pair")} stored: ${plural(found.num_wins, "win")}, ${found.num_losses} lost, ${total - found.num_wins - found.num_losses} equal`
      : "";
    if (!state.pairs.length) return show(body, nothing(found));
    show(
      body,
      h("div", { class: "u-pairs" }, ...state.pairs.map((pair) => pairTile(pair, state.isBaseFirst))),
      state.cursor
        ? h(
            "p",
            { style: "margin-top:16px;text-align:center" },
            h("button", { class: "u-btn", type: "button", onclick: () => load(true) }, "Load more"),
          )
        : null,
    );
  };
  const option = ([value, text]) => h("option", { value }, text);
  const choose = (label, name, options) =>
    h(
      "select",
      {
        class: "u-select",
        "aria-label": label,
        onchange: (event) => {
          state[name] = event.target.value;
          load();
        },
      },
      ...options.map(option),
    );
  const tasks = choose("Task", "task", []);
  // Tasks come one after another while the evaluation runs; what was chosen stays chosen.
  const offerTasks = () => {
    const names = found.tasks.map((task) => [task, task.replaceAll("_", " ")]);
    tasks.replaceChildren(...[["", "Every task"], ...names].map(option));
    tasks.value = state.task;
  };
  const tools = h(
    "div",
    { class: "u-row", style: "margin-bottom:16px" },
    choose("Order", "order", [
      ["worst", "Worst regressions first"],
      ["best", "Best gains first"],
    ]),
    tasks,
    note,
  );
  offerTasks();
  load();
  return {
    element: card("Pairs", h("div", {}, tools, body)),
    flip: () => {
      state.isBaseFirst = !state.isBaseFirst;
      draw();
    },
    reload: (newer) => {
      found = newer;
      offerTasks();
      load();
    },
  };
}

function nothing(found) {
  return found.num_pairs
    ? empty("No pair of this task is stored", "Choose another task: pictures of the first prompts are kept.")
    : empty("No pairs yet", "The pictures of base and policy appear here as the evaluation makes them.");
}

function pairTile(pair, isBaseFirst) {
  const sides = [
    ["base", pair.base],
    ["tuned", pair.policy],
  ];
  if (!isBaseFirst) sides.reverse();
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
  const top = h("img", { src: pair.base.image_url, alt: `base: ${pair.prompt}` });
  const range = h("input", { class: "u-range", type: "range", min: 0, max: 100, value: 50, "aria-label": "Base, tuned" });
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
    h("div", { class: "u-row", style: "margin-top:8px" }, h("span", {}, "tuned"), range, h("span", {}, "base")),
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
