// Home: what runs now with step, ETA and reward; alarms; and where nothing has run yet, the one thing to do.
import { alarmLine } from "./alarms.js";
import { ApiError, follow, get, post, query as url } from "./api.js";
import { sparkline } from "./chart.js";
import { action, card, empty, failure, h, show, status, titled, when } from "./dom.js";
import { duration, plural } from "./format.js";
import { isAsking, taskProgress, votesOf } from "./label_shared.js";
import { apiButton, apiCalls } from "./shell.js";
import { headlineReward, progress, runName } from "./runs_shared.js";

const DEFAULT_RECIPE = "tiny-shapes";
// A browser keeps at most six connections to one address open: more streams than these would block everything else.
const NUM_STREAMS = 3,
  NUM_TASKS = 5,
  NUM_ALARMS = 5,
  REFRESH_MS = 20000;
let stops = [],
  refresh = 0,
  shown = "";

export async function mount(root) {
  titled("");
  apiCalls([{ path: "/runs?limit=20" }, { path: "/workers" }, { path: "/recipes" }, { path: "/label-tasks?limit=20" }]);
  clearInterval(refresh);
  refresh = setInterval(() => {
    if (!document.hidden) mount(root);
  }, REFRESH_MS);
  try {
    const paths = ["/runs?limit=20", "/workers", "/recipes", "/label-tasks?limit=20"];
    const [runs, workers, recipes, tasks] = await Promise.all(paths.map(get));
    const list = runs.data;
    const asking = tasks.data.filter(isAsking);
    const active = ["running", "queued", "paused"].flatMap((name) => list.filter((run) => run.status === name));
    const now = JSON.stringify([
      workers.data.length,
      asking.map((task) => [task.id, task.num_votes]),
      list.map((run) => [run.id, run.status, active.indexOf(run) >= NUM_STREAMS ? run.step : null]),
    ]);
    if (now === shown) return void tellAlarms(root.querySelector(".u-alarms"), active);
    shown = now;
    for (const stop of stops.splice(0)) stop();
    show(
      root,
      heading(workers.data),
      list.length ? null : firstRun(recipes.data),
      h(
        "div",
        { class: "u-stack" },
        list.length ? activeCard(active) : null,
        list.length ? alarmCard(active) : null,
        asking.length ? votesCard(asking) : null,
        list.length ? recentCard(list.filter((run) => !active.includes(run))) : null,
      ),
    );
  } catch (error) {
    shown = "";
    show(
      root,
      failure(error, () => mount(root)),
    );
  }
}

function heading(workers) {
  const cores = workers.map((worker) => `${worker.device}, ${plural(worker.num_cores, "core")}`);
  const text = workers.length
    ? `${plural(workers.length, "worker")} ready (${cores.join("; ")})`
    : "No worker has been heard from: queued runs wait until one starts.";
  return h(
    "div",
    { class: "u-head" },
    h("div", {}, h("h1", {}, "Unmask Studio"), h("p", { class: "u-muted" }, text)),
    h("div", { class: "u-row" }, apiButton(), h("a", { class: "u-btn u-main", href: "/launch" }, "Launch a run")),
  );
}

function firstRun(recipes) {
  const recipe =
    recipes.find((item) => item.name === DEFAULT_RECIPE) ??
    recipes.find((item) => item.config.kind === "train") ??
    recipes[0];
  if (!recipe)
    return h(
      "div",
      { class: "u-card" },
      empty(
        "No recipe is installed",
        "A recipe is a checked configuration. Without one, fill in the form by hand.",
        h("a", { class: "u-btn u-main", href: "/launch" }, "Open the form"),
      ),
    );
  const start = action(
    `Launch ${recipe.title}`,
    async () => {
      const run = await post("/runs", { config: recipe.config, recipe: recipe.name });
      location.href = `/run?id=${run.id}`;
    },
    "u-main",
  );
  return h(
    "section",
    { class: "u-card", style: "margin-bottom:16px" },
    h(
      "div",
      { class: "u-empty" },
      h("strong", {}, "Nothing has run yet"),
      h("p", {}, `Launch the default recipe: ${recipe.description}`),
      h("p", { class: "u-small" }, `Cost: ${recipe.cost}. Expected: ${recipe.expected}`),
      h(
        "div",
        { class: "u-row" },
        start,
        h("a", { class: "u-btn", href: `/launch?recipe=${encodeURIComponent(recipe.name)}` }, "Look at it first"),
        h("a", { class: "u-btn", href: "/try" }, "Try the shipped policy"),
      ),
    ),
  );
}

function activeCard(active) {
  const body = active.length
    ? h("ul", { class: "u-list" }, ...active.map((run, place) => runningRow(run, place < NUM_STREAMS)))
    : empty(
        "Nothing is running",
        "The next run you launch shows its step, its ETA and its reward here.",
        h("a", { class: "u-btn", href: "/launch" }, "Launch a run"),
      );
  return card("Now", body);
}

function runningRow(run, isFollowed) {
  const words = h("div", { class: "u-row wide" }),
    spark = h("div", { class: "u-wide-only" }),
    bar = h("div", {});
  const rewards = new Map();
  const draw = () => {
    show(
      words,
      status(run.status),
      h("span", { class: "u-muted" }, run.num_steps ? `step ${run.step}/${run.num_steps}` : "starting"),
      run.status === "running" && run.eta_seconds
        ? h("span", { class: "u-muted" }, `ETA ${duration(run.eta_seconds)}`)
        : "",
    );
    bar.replaceChildren(progress(run));
    spark.replaceChildren(
      sparkline(
        [...rewards.keys()].sort((a, b) => a - b).map((step) => rewards.get(step)),
        `reward of ${runName(run)}`,
        160,
        32,
      ),
    );
  };
  draw();
  watch(run, rewards, draw, isFollowed, spark);
  return h(
    "li",
    { style: "display:block" },
    h(
      "div",
      { class: "u-running" },
      h("div", { class: "u-stack tight" }, h("a", { href: `/run?id=${run.id}` }, runName(run)), words, bar),
      spark,
    ),
  );
}

async function watch(run, rewards, draw, isFollowed, spark) {
  const series = await get(url(`/runs/${run.id}/metrics`, { max_points: 100 }));
  for (const point of series.points) rewards.set(point.step, headlineReward(point.values));
  draw();
  if (!isFollowed || !spark.isConnected) return;
  stops.push(
    follow(run.id, run.num_events, ({ body }) => {
      if (body.type === "status") run.status = body.status;
      if (body.type === "step") {
        Object.assign(run, {
          step: body.step,
          num_steps: body.num_steps,
          status: "running",
          eta_seconds: (body.num_steps - body.step) * body.seconds,
        });
        rewards.set(body.step, headlineReward(body.metrics));
      }
      draw();
    }),
  );
}

function alarmCard(active) {
  const box = card("Alarms", h("ul", { class: "u-feed" }));
  box.classList.add("u-alarms");
  box.hidden = true;
  tellAlarms(box, active);
  return box;
}

/** The alarms that still stand; what is told already stays as it is, for somebody may be at its buttons. */
async function tellAlarms(box, active) {
  const runs = active.filter((run) => run.num_events > 0);
  let pages;
  try {
    pages = await Promise.all(runs.map((run) => get(`/runs/${run.id}/alarms`)));
  } catch (error) {
    // What stands there stays until the page asks again; that the studio is away is told elsewhere.
    if (!(error instanceof ApiError)) throw error;
    return;
  }
  const now = JSON.stringify(pages.map(({ data }, place) => [runs[place].id, data.map((event) => event.seq)]));
  if (box.dataset.told === now) return;
  box.dataset.told = now;
  show(box.querySelector("ul"), ...pages.flatMap(({ data }, place) => alarmLines(runs[place], data)));
  box.hidden = pages.every(({ data }) => !data.length);
}

function alarmLines(run, events) {
  const lines = events.slice(0, NUM_ALARMS).map((event) => h("li", {}, when(event.created_at), alarmLine(run, event, true)));
  const more = events.length - NUM_ALARMS;
  if (more > 0) lines.push(h("li", {}, h("a", { href: `/run?id=${run.id}` }, `${plural(more, "more alarm")} of ${runName(run)}`)));
  return lines;
}

/** What people are still asked for. */
function votesCard(tasks) {
  const line = (task) =>
    h(
      "li",
      { style: "display:block" },
      h(
        "div",
        { class: "u-row", style: "margin-bottom:8px" },
        h("a", { href: `/label?id=${task.id}` }, task.name),
        h("span", { class: "u-muted u-small u-push" }, votesOf(task, "votes")),
      ),
      taskProgress(task),
    );
  return card("Votes waiting", h("ul", { class: "u-list" }, ...tasks.slice(0, NUM_TASKS).map(line)), h("a", { class: "u-push", href: "/label" }, "All tasks"));
}

function recentCard(done) {
  if (!done.length) return null;
  const line = (run) =>
    h(
      "li",
      {},
      h("span", { style: "width:96px" }, status(run.status)),
      h("a", { href: `/run?id=${run.id}` }, runName(run)),
      h("span", { class: "u-muted u-small u-push" }, when(run.finished_at ?? run.created_at)),
    );
  return card(
    "Lately",
    h("ul", { class: "u-list" }, ...done.slice(0, 8).map(line)),
    h("a", { class: "u-push", href: "/runs" }, "All runs"),
  );
}
