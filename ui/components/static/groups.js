// All groups of one step of a run: a slider over the stored steps, and a board a prompt.
import { follow, get, getAll } from "./api.js";
import { empty, failure, h, query, show, titled } from "./dom.js";
import { plural } from "./format.js";
import { groupRows, rewardKey } from "./board.js";
import { apiButton, apiCalls, keys } from "./shell.js";
import { TERMINAL, fetchRun, runName } from "./runs_shared.js";

export async function mount(root) {
  const id = query("run");
  titled("Groups");
  if (!id) return show(root, empty("Groups of which run?", "Open a run and choose its board.", h("a", { class: "u-btn u-main", href: "/runs" }, "All runs")));
  try {
    const run = await fetchRun(id);
    const answer = await get(`/runs/${run.id}/groups/steps`);
    open(root, run, stepsOf(answer));
  } catch (error) { show(root, failure(error, () => mount(root))); }
}

const stepsOf = (answer) => [...new Set(answer.map((item) => item.step))];

function open(root, run, steps) {
  titled(`Groups of ${runName(run)}`);
  const state = { steps, step: steps.includes(Number(query("step"))) && query("step") !== null ? Number(query("step")) : steps.at(-1), show: "" };
  const body = h("div", { class: "u-card u-walls" }), slider = h("input", { class: "u-range", type: "range", min: 0, "aria-label": "training step" }), at = h("strong", {}), count = h("span", { class: "u-small u-muted" });
  const choose = h("select", { class: "u-select", "aria-label": "which groups", onchange: () => { state.show = choose.value; draw(); } },
    ...[["", "All groups"], ["kept", "Kept"], ["dropped", "Filtered"], ["train", "Training"], ["probe", "Held-out probe"], ["sample_now", "Sample now"]].map(([value, label]) => h("option", { value }, label)));
  let groups = [], wanted = 0;

  const load = async () => {
    at.textContent = state.step === undefined ? "" : `step ${state.step}`;
    Object.assign(slider, { max: state.steps.length - 1, value: state.steps.indexOf(state.step) });
    if (state.step === undefined) return show(body, empty("No groups are stored yet", "Each training step stores its groups: prompt, pictures, rewards, and what was filtered and why."));
    history.replaceState(null, "", `/groups?run=${run.id}&step=${state.step}`);
    apiCalls([{ path: `/runs/${run.id}/groups?step=${state.step}` }, { path: `/runs/${run.id}/groups/steps` }]);
    const turn = wanted += 1;
    try {
      const answer = await getAll(`/runs/${run.id}/groups`, { step: state.step });
      if (turn === wanted) { groups = answer; draw(); }
    } catch (error) { show(body, failure(error, load)); }
  };
  const draw = () => {
    const shown = groups.filter((group) => !state.show || (state.show === "kept" ? group.is_kept : state.show === "dropped" ? !group.is_kept : group.purpose === state.show));
    const kept = groups.filter((group) => group.is_kept).length;
    count.textContent = `${plural(groups.length, "group")}, ${kept} kept, ${groups.length - kept} filtered`;
    show(body, rewardKey(groups) ? h("div", { style: "margin-bottom:16px" }, rewardKey(groups)) : null, ...groupRows(shown),
      shown.length ? null : empty("No such group at this step", "Choose all groups to see the rest."));
  };
  const move = (by) => {
    const place = Math.min(Math.max(state.steps.indexOf(state.step) + by, 0), state.steps.length - 1);
    if (state.steps[place] !== state.step) { state.step = state.steps[place]; load(); }
  };
  slider.addEventListener("input", () => { state.step = state.steps[Number(slider.value)]; load(); });
  const button = (label, words, by) => h("button", { class: "u-btn", type: "button", "aria-label": words, title: words, onclick: () => move(by) }, label);
  show(root, h("div", { class: "u-head" }, h("div", {}, h("p", { class: "u-crumb" }, h("a", { href: "/runs" }, "Runs"), " / ", h("a", { href: `/run?id=${run.id}` }, runName(run))), h("h1", {}, "Groups")), apiButton()),
    h("div", { class: "u-row", style: "margin-bottom:16px" }, button("◀", "Previous step (←)", -1), slider, button("▶", "Next step (→)", 1), at, count, h("span", { class: "u-push" }, choose)), body);
  keys([["ArrowLeft", "Previous step", () => move(-1)], ["ArrowRight", "Next step", () => move(1)]]);
  load();
  if (!TERMINAL.includes(run.status)) follow(run.id, run.num_events, async ({ body: event }) => {
    if (event.type !== "step") return;
    const wasLast = state.step === undefined || state.step === state.steps.at(-1);
    state.steps = stepsOf(await get(`/runs/${run.id}/groups/steps`));
    if (wasLast) state.step = state.steps.at(-1);
    load();
  });
}
