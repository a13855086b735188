// One run, live: header with progress and verbs, charts, the newest groups, events, checkpoints, configuration, log.
import { follow, get, query as url } from "./api.js";
import { askPeople } from "./alarms.js";
import { ALL_RUNS, openById } from "./by_id.js";
import { Points } from "./chart.js";
import { h, identifier, show, status, titled, toast, when } from "./dom.js";
import { duration } from "./format.js";
import { apiButton, apiCalls, keys } from "./shell.js";
import { TERMINAL, bundleLink, canBeJudged, cloneButton, fetchRun, origin, progress, runName, verbButtons } from "./runs_shared.js";
import { compareAgain } from "./learned.js";
import { chartsFor } from "./run_charts.js";
import { boardPanel, checkpointPanel, configPanel, eventPanel, logPanel } from "./run_panels.js";
import { waitingNote } from "./waiting.js";

const NUM_PAST_EVENTS = 3000;

export function mount(root) {
  titled("Run");
  const missing = { question: "Which run?", hint: "Open one from the list of runs.", ...ALL_RUNS };
  return openById(root, missing, async (id) => open(root, await fetchRun(id)));
}

async function open(root, run) {
  titled(runName(run));
  const path = `/runs/${run.id}`;
  apiCalls([
    { path },
    { path: `${path}/metrics?max_points=2000` },
    { path: `${path}/events/stream`, stream: true },
    { method: "POST", path: `${path}/cancel` },
  ]);
  const points = new Points(),
    header = h("div", {}),
    // Kept while the header is drawn anew with every step, for what was asked stands in the button's place.
    live = { state: "live", ask: askPeople(run, { key: `page-${Math.floor(Date.now() / 60000)}`, label: "Send 50 samples", kind: "" }) };
  const isTrained = ["train", "pretrain", "reward_model"].includes(run.kind),
    hasPictures = run.kind !== "reward_model";
  // Of a run that ended before its first step there is nothing to draw: what happened to it comes first.
  const isVain = TERMINAL.includes(run.status) && run.step === 0;
  const [board, events, checkpoints, log] = [
    boardPanel(run),
    eventPanel(run),
    isTrained ? checkpointPanel(run) : null,
    logPanel(run),
  ];
  const panels = [board, events, checkpoints, log].filter(Boolean);
  const charts = chartsFor(run, points);
  const drawHeader = () => {
    live.waiting = run.status === "queued" ? (live.waiting ?? waitingNote(run)) : null;
    const after = (changed) => {
      Object.assign(run, changed);
      renew();
      drawHeader();
    };
    show(header, ...headerOf(run, live, after));
  };
  // What a panel or an empty chart says of a run that waits must not stand when it has ended.
  const renew = () => {
    for (const panel of panels) panel.renew?.();
    points.changed();
  };
  drawHeader();
  show(
    root,
    header,
    h(
      "div",
      { class: "u-cols" },
      h(
        "div",
        { class: "u-stack" },
        ...(isVain ? [events.element, log.element] : []),
        ...charts.elements,
        isTrained ? null : board.element,
      ),
      h(
        "div",
        { class: "u-stack" },
        isTrained && hasPictures ? board.element : null,
        isVain ? null : events.element,
        checkpoints?.element,
        configPanel(run),
        isVain ? null : log.element,
      ),
    ),
  );
  keys([
    [
      "b",
      "Group board of the newest step",
      () => {
        location.href = `/groups?id=${run.id}`;
      },
    ],
  ]);

  const series = await get(url(`${path}/metrics`, { max_points: 2000 }));
  for (const point of series.points) points.add(point.step, point.values);
  // Asked for by name, so that thinning a long run never drops a held-out score.
  const heldOut = await get(url(`${path}/metrics`, { keys: "heldout/overall,heldout/strict", max_points: 2000 }));
  for (const point of heldOut.points) points.add(point.step, point.values);
  const first = Math.max(run.num_events - NUM_PAST_EVENTS, 0);
  const past = [];
  for (let after = first; after < run.num_events;) {
    const page = await get(url(`${path}/events`, { after, limit: 1000 }));
    if (!page.data.length) break;
    past.push(...page.data);
    after = page.data.at(-1).seq;
  }
  for (const event of past) take(event, true);
  for (const panel of panels) panel.settle?.();
  // An alarm elsewhere leads to the chart that shows it; the browser looked for it before it was drawn.
  if (location.hash) requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(location.hash.slice(1))?.scrollIntoView({ block: "center" })));

  function take(event, isPast = false) {
    const { body } = event;
    // Past steps are in the metrics already; a lost attempt's events would bring back what its successor removed.
    if (body.type === "step" && !isPast) points.add(body.step, body.metrics);
    if (body.type === "started" && !isPast) points.forgetAfter(body.from_step);
    if (!isPast || body.type !== "score" || run.kind !== "train") charts.take(body);
    if (!isPast) update(run, body);
    for (const panel of panels) panel.take(event, isPast);
    if (!isPast) {
      renew();
      drawHeader();
    }
  }
  if (TERMINAL.includes(run.status)) return;
  follow(run.id, past.at(-1)?.seq ?? run.num_events, take, async (state) => {
    live.state = state;
    if (state === "ended") Object.assign(run, await fetchRun(run.id));
    renew();
    drawHeader();
  });
}

/** What an event changes on the run itself. */
function update(run, body) {
  if (body.type === "status") {
    run.status = body.status;
    run.flags = {};
    if (body.status === "failed") run.error = body.reason;
  } else if (body.type === "started")
    Object.assign(run, {
      status: "running",
      step: body.from_step,
      num_steps: body.num_steps,
      started_at: run.started_at ?? new Date().toISOString(),
    });
  else if (body.type === "step") {
    run.pace = run.pace ? 0.8 * run.pace + 0.2 * body.seconds : body.seconds;
    Object.assign(run, {
      step: body.step,
      num_steps: body.num_steps,
      status: "running",
      eta_seconds: run.pace * (body.num_steps - body.step),
    });
  } else if (body.type === "checkpoint") run.flags = { ...run.flags, is_save_requested: false };
  else if (body.type === "samples" && body.purpose === "sample_now")
    run.flags = { ...run.flags, is_sample_requested: false };
  else if (body.type === "alarm" && body.severity === "error")
    toast(h("div", { class: "u-note u-error" }, h("strong", {}, body.message), body.cure));
}

function headerOf(run, live, after) {
  const asked = Object.entries({
    is_cancel_requested: "cancelling",
    is_pause_requested: "pausing",
    is_save_requested: "saving",
    is_sample_requested: "sampling",
  })
    .filter(([flag]) => run.flags[flag] && !TERMINAL.includes(run.status))
    .map(([, word]) => h("span", { class: "u-tag" }, `${word} …`));
  const facts = [
    run.num_steps ? h("span", {}, `step ${run.step}/${run.num_steps}`) : null,
    run.status === "running" && run.eta_seconds !== null
      ? h("span", { class: "u-muted" }, `ETA ${duration(run.eta_seconds)}`)
      : null,
    TERMINAL.includes(run.status) && run.started_at && run.finished_at
      ? h(
          "span",
          { class: "u-muted" },
          `took ${duration((new Date(run.finished_at) - new Date(run.started_at)) / 1000)}`,
        )
      : null,
    h(
      "span",
      { class: "u-muted" },
      run.status === "queued" || !run.started_at ? "created " : "started ",
      when(run.status === "queued" || !run.started_at ? run.created_at : run.started_at),
    ),
    run.worker && run.status !== "queued" ? h("span", { class: "u-muted u-wide-only" }, run.worker) : null,
    live.state === "lost" && !TERMINAL.includes(run.status)
      ? h("span", { class: "u-status failed" }, "connection lost, trying again")
      : null,
  ];
  return [
    h(
      "div",
      { class: "u-head", style: "margin-bottom:16px" },
      h(
        "div",
        {},
        h(
          "p",
          { class: "u-crumb" },
          h("a", { href: "/runs" }, "Runs"),
          " › ",
          run.kind,
          " › ",
          origin(run),
        ),
        h("h1", { style: "overflow-wrap:anywhere" }, runName(run)),
      ),
      h(
        "div",
        { class: "u-row" },
        ...verbButtons(run, after),
        run.kind === "evaluate" && run.config.base
          ? h("a", { class: "u-btn u-main", href: `/compare?id=${run.id}` }, "Compare")
          : null,
        run.kind === "reward_model" ? h("a", { class: "u-btn u-main", href: "/rewards" }, "What it is worth") : null,
        run.kind === "train" && run.status === "succeeded" ? h("a", { class: "u-btn", href: compareAgain(`run:${run.id}`) }, "Compare with its start") : null,
        canBeJudged(run) ? live.ask : null,
        canBeJudged(run) ? h("a", { class: "u-btn", href: `/label?run=${run.id}` }, "Send to people …") : null,
        TERMINAL.includes(run.status) ? cloneButton(run) : null,
        TERMINAL.includes(run.status) ? bundleLink(run) : null,
        apiButton(),
      ),
    ),
    h(
      "div",
      { class: "u-row wide", style: "margin-bottom:8px", "aria-live": "polite" },
      status(run.status),
      ...asked,
      ...facts,
      identifier(run.id),
    ),
    h("div", { style: "margin-bottom:24px" }, progress(run)),
    live.waiting,
    run.error
      ? h(
          "div",
          { class: "u-note u-error", role: "alert", style: "margin-bottom:24px" },
          h("strong", {}, "The run failed"),
          h("p", { style: "white-space:pre-wrap" }, run.error),
        )
      : null,
  ];
}
