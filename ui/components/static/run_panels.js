// The panels beside a run's charts: newest groups, events, checkpoints, configuration, log. Each takes events.
import { alarmLine } from "./alarms.js";
import { get, query as url } from "./api.js";
import { card, h, when } from "./dom.js";
import { bytes, duration, figure, plural, signed } from "./format.js";
import { compareAgain, tryIt } from "./learned.js";
import { absence } from "./runs_shared.js";
import { groupRow, groupRows } from "./board.js";

const NUM_GROUPS = 4,
  NUM_EVENTS = 100;

/** The studio was away for a moment: the next event asks again, and the header says that the connection is lost. */
const later = () => {};

/** The groups of the newest stored step; keeps showing them until the next ones have arrived. */
export function boardPanel(run) {
  const none = absence(run, {
    coming: "Pictures come with the first step.",
    never: "There are no pictures: the run ended before it had stored any.",
  });
  const body = h("div", {}, none.element);
  const more = h("a", { href: `/groups?id=${run.id}`, hidden: true }, "Whole board"),
    at = h("span", { class: "u-small u-muted" });
  let newest = null,
    isLoading = false;
  const load = async () => {
    if (isLoading || newest === null) return;
    isLoading = true;
    const asked = newest;
    try {
      // Not of the newest step but of the newest that has groups: a run may store those of some steps only.
      const path = url(`/runs/${run.id}/groups`, { purpose: run.kind === "train" ? "train" : null, limit: 20 });
      const groups = (await get(path)).data;
      if (groups.length) {
        body.replaceChildren(
          ...(run.kind === "train" ? groups.slice(0, NUM_GROUPS).map((group) => groupRow(group)) : groupRows(groups)),
        );
        const { step } = groups[0];
        at.textContent = `at step ${step}`;
        more.href = `/groups?id=${run.id}&step=${step}`;
        more.hidden = false;
      }
    } finally {
      isLoading = false;
    }
    if (newest !== asked) await load();
  };
  const take = ({ body: event }, isPast) => {
    if (event.type !== (run.kind === "train" ? "step" : "samples")) return;
    newest = event.step;
    if (!isPast) load().catch(later);
  };
  // Held-out prompts come again at every probe, from the same seeds.
  const strip = run.kind === "train" ? h("a", { href: `/strip?id=${run.id}` }, "Prompts over steps") : null;
  const links = h("span", { class: "u-row u-push" }, strip, more);
  return { element: card("Groups", body, at, links), take, settle: load, renew: none.renew };
}

export function eventPanel(run) {
  const list = h("ol", { class: "u-feed", tabindex: 0, "aria-label": "events" }),
    none = h("p", { class: "u-chart-none" }, "What happens to the run is told here, newest first.");
  const take = (event) => {
    const words = sentence(event.body);
    if (words === null) return;
    none.remove();
    const line = event.body.type === "alarm" ? alarmLine(run, event) : h("span", {}, words);
    list.prepend(h("li", {}, when(event.created_at), line));
    while (list.childElementCount > NUM_EVENTS) list.lastChild.remove();
  };
  return { element: card("Events", h("div", {}, none, list)), take };
}

const STATUS_WORDS = {
  queued: "Waits for a worker.",
  running: "A worker took the run up.",
  paused: "Paused at a checkpoint.",
  succeeded: "Done: all steps were made.",
  failed: "The run failed.",
  cancelled: "Cancelled.",
};

/** An event in words; null for what has its own place on the page. */
function sentence(body) {
  switch (body.type) {
    case "status":
      return body.reason ? `${body.status}: ${body.reason}` : STATUS_WORDS[body.status];
    case "started":
      return body.from_step === 0
        ? `Started on ${body.device}.`
        : `Resumed at step ${body.from_step}${body.is_state_equal === true ? ", state hash equal" : body.is_state_equal === false ? ", STATE HASH DIFFERS" : ""}.`;
    case "checkpoint":
      return `Checkpoint at step ${body.step}, ${bytes(body.num_bytes)}.`;
    case "samples":
      return body.num_done >= body.num_total
        ? `${plural(body.num_total, "picture")}: ${body.purpose.replace("_", " ")} at step ${body.step}.`
        : null;
    case "score":
      return `${body.policy === "difference" ? "Tuned minus base" : `Held-out score of the ${body.policy}`} at step ${body.step}: ${scoreWords(body)}.`;
    case "alarm":
      return body.message;
    case "log":
      return body.level === "debug" || body.level === "info" ? null : body.message;
    default:
      return null;
  }
}

function scoreWords({ policy, values, intervals }) {
  const names = ["overall", "strict", "accuracy", "ceiling", "gain"].filter((name) => name in values);
  return (names.length ? names : Object.keys(values).slice(0, 3))
    .map((name) => {
      const interval = intervals[name],
        value = policy === "difference" ? signed(values[name]) : figure(values[name]);
      return `${name.replaceAll("_", " ")} ${value}${interval ? ` [${figure(interval[0])}, ${figure(interval[1])}]` : ""}`;
    })
    .join(", ");
}

/** What one does with a policy of the run: prompts of one's own on it, or all of a benchmark's. */
const waysOn = (source) => [h("a", { class: "u-small", href: tryIt(source) }, "Try"), h("a", { class: "u-small", href: compareAgain(source) }, "Compare")];

export function checkpointPanel(run) {
  const none = absence(run, {
    coming: "None yet. Save writes one within one step.",
    never: "There is none: the run ended before it had saved any.",
  });
  const list = h("ul", { class: "u-list" }, h("li", {}, none.element));
  const load = async () => {
    const saved = (await get(`/runs/${run.id}/checkpoints`)).data;
    if (!saved.length) return;
    list.replaceChildren(
      ...saved.map((item) =>
        h(
          "li",
          {},
          h("span", {}, `step ${item.step}`),
          h("span", { class: "u-muted u-small" }, bytes(item.num_bytes)),
          h("span", { class: "u-mono u-muted", title: `state hash ${item.state_hash}` }, item.state_hash.slice(0, 8)),
          h("span", { class: "u-muted u-small u-push" }, when(item.created_at)),
          ...(run.kind === "reward_model" ? [] : waysOn(`run:${run.id}@${item.step}`)),
        ),
      ),
    );
  };
  return {
    element: card("Checkpoints", list),
    settle: load,
    renew: none.renew,
    take: ({ body }, isPast) => {
      if (body.type === "checkpoint" && !isPast) load().catch(later);
    },
  };
}

export function logPanel(run) {
  const none = absence(run, {
    coming: "The job's first line comes when it has started.",
    paused: "The job has written no line yet.",
    never: "The log is empty: the run ended before its job had written a line.",
  });
  const pre = h("pre", { class: "u-code", tabindex: 0, hidden: true, style: "max-height:240px;overflow-y:auto" });
  let loading = null;
  const load = async () => {
    const answer = await get(`/runs/${run.id}/log`);
    if (answer.text) {
      pre.hidden = false;
      none.element.hidden = true;
      pre.textContent = answer.text.trimEnd().split("\n").slice(-200).join("\n");
      pre.scrollTop = pre.scrollHeight;
    }
  };
  // The file has a line for every event, so any event means that there is more of it; at most one look in two seconds.
  const take = (_, isPast) => {
    if (isPast || loading) return;
    loading = setTimeout(async () => {
      loading = null;
      await load().catch(later);
    }, 2000);
  };
  const element = card(
    "Log",
    h("div", {}, none.element, pre),
    h("span", { class: "u-small u-muted" }, "last lines"),
  );
  return { element, settle: load, take, renew: none.renew };
}

export function configPanel(run) {
  const isReward = run.kind === "reward_model";
  const facts = [
    ...(isReward ? [["base", run.config.base], ["pair set", run.config.pairs.source]] : [["policy", run.config.policy.source]]),
    ["seed", run.config.seed],
    ["attempt", run.attempt],
  ];
  if (run.kind === "train") {
    const { rollout, sampling, grpo, optimizer } = run.config;
    facts.push(
      ["a step", `${rollout.num_prompts} prompts × ${rollout.group_size}`],
      ["unmasking", `${sampling.num_unmasking_steps} steps, temperature ${sampling.temperature}`],
      ["objective", `${grpo.objective === "forward_process" ? grpo.objective : grpo.transition}, ratio ${grpo.ratio}`.replaceAll("_", " ")],
      ["learning rate", figure(optimizer.learning_rate)],
    );
  }
  if (run.started_at && run.finished_at)
    facts.push(["took", duration((new Date(run.finished_at) - new Date(run.started_at)) / 1000)]);
  const list = h(
    "dl",
    { style: "display:grid;grid-template-columns:auto minmax(0,1fr);gap:4px 16px;margin:0 0 12px" },
    ...facts.flatMap(([name, value]) => [
      h("dt", { class: "u-muted" }, name),
      h("dd", { style: "margin:0;overflow-wrap:anywhere" }, String(value)),
    ]),
  );
  const whole = h(
    "details",
    {},
    h("summary", { class: "u-link", style: "cursor:pointer" }, "Whole configuration"),
    h("pre", { class: "u-code tall", style: "margin-top:8px" }, JSON.stringify(run.config, null, 2)),
  );
  return card(
    "Configuration",
    h("div", {}, list, whole),
    h("a", { class: "u-push", href: `/launch?clone=${run.id}` }, "Clone"),
  );
}
