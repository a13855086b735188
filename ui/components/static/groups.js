// All groups of one step of a run: a slider over the stored steps, and a board a prompt.
import { follow, get, getAll } from "./api.js";
import { ALL_RUNS, openById } from "./by_id.js";
import { empty, failure, h, query, show, titled } from "./dom.js";
import { plural } from "./format.js";
import { groupRows } from "./board.js";
import { apiButton, apiCalls, keys } from "./shell.js";
import { TERMINAL, fetchRun, runName } from "./runs_shared.js";

const FILTERS = [
  ["", "All groups"],
  ["kept", "Kept"],
  ["dropped", "Filtered"],
  ["train", "Training"],
  ["probe", "Held-out probe"],
  ["sample_now", "Sample now"],
];

export function mount(root) {
  titled("Groups");
  const missing = { question: "Groups of which run?", hint: "Open a run and choose its board.", ...ALL_RUNS };
  const openGroups = async (id) => {
    const run = await fetchRun(id);
    new GroupsPage(root, run, await storedSteps(run)).start();
  };
  // Every page takes `?id=`; links of earlier versions say `?run=` here.
  return openById(root, missing, openGroups, query("id") ?? query("run"));
}

async function storedSteps(run) {
  return [...new Set((await get(`/runs/${run.id}/groups/steps`)).map((item) => item.step))];
}

class GroupsPage {
  constructor(root, run, steps) {
    const wanted = query("step");
    Object.assign(this, { root, run, steps, groups: [], turn: 0 });
    this.step = wanted !== null && steps.includes(Number(wanted)) ? Number(wanted) : steps.at(-1);
    this.body = h("div", { class: "u-card u-walls" });
    this.at = h("strong", {});
    this.count = h("span", { class: "u-small u-muted" });
    this.slider = h("input", {
      class: "u-range",
      type: "range",
      min: 0,
      "aria-label": "training step",
      oninput: () => {
        this.step = this.steps[Number(this.slider.value)];
        this.load();
      },
    });
    this.filter = h(
      "select",
      { class: "u-select", "aria-label": "which groups", onchange: () => this.draw() },
      ...FILTERS.map(([value, label]) => h("option", { value }, label)),
    );
  }

  start() {
    const { run } = this,
      button = (label, words, by) =>
        h(
          "button",
          { class: "u-btn", type: "button", "aria-label": words, title: words, onclick: () => this.move(by) },
          label,
        );
    titled(`Groups of ${runName(run)}`);
    show(
      this.root,
      h(
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
            h("a", { href: `/run?id=${run.id}` }, runName(run)),
          ),
          h("h1", {}, "Groups"),
        ),
        apiButton(),
      ),
      h(
        "div",
        { class: "u-row", style: "margin-bottom:16px" },
        button("◀", "Previous step (←)", -1),
        this.slider,
        button("▶", "Next step (→)", 1),
        this.at,
        this.count,
        h("span", { class: "u-push" }, this.filter),
      ),
      this.body,
    );
    keys([
      ["ArrowLeft", "Previous step", () => this.move(-1)],
      ["ArrowRight", "Next step", () => this.move(1)],
    ]);
    this.load();
    if (!TERMINAL.includes(run.status))
      follow(run.id, run.num_events, ({ body }) => {
        if (["step", "samples"].includes(body.type)) this.take();
      });
  }

  /** A new step is stored: who looks at the newest one goes along. */
  async take() {
    const wasNewest = this.step === undefined || this.step === this.steps.at(-1);
    this.steps = await storedSteps(this.run);
    if (wasNewest) this.step = this.steps.at(-1);
    this.place();
    if (wasNewest) this.load();
  }

  place() {
    this.slider.max = this.steps.length - 1;
    this.slider.value = this.steps.indexOf(this.step);
    this.at.textContent = this.step === undefined ? "" : `step ${this.step}`;
  }

  async load() {
    this.place();
    if (this.step === undefined)
      return show(
        this.body,
        empty(
          "No groups are stored yet",
          "Each training step stores its groups: prompt, pictures, rewards, and what was filtered and why.",
        ),
      );
    history.replaceState(null, "", `/groups?id=${this.run.id}&step=${this.step}`);
    apiCalls([
      { path: `/runs/${this.run.id}/groups?step=${this.step}` },
      { path: `/runs/${this.run.id}/groups/steps` },
    ]);
    const turn = (this.turn += 1);
    try {
      const groups = await getAll(`/runs/${this.run.id}/groups`, { step: this.step });
      if (turn !== this.turn) return;
      this.groups = groups;
      this.draw();
    } catch (error) {
      show(
        this.body,
        failure(error, () => this.load()),
      );
    }
  }

  draw() {
    const wanted = this.filter.value,
      { groups } = this;
    const shown = groups.filter(
      (group) =>
        !wanted ||
        (wanted === "kept" ? group.is_kept : wanted === "dropped" ? !group.is_kept : group.purpose === wanted),
    );
    const trained = groups.filter((group) => group.purpose === "train"),
      kept = trained.filter((group) => group.is_kept).length;
    this.count.textContent = trained.length
      ? `${plural(trained.length, "group")}, ${kept} kept, ${trained.length - kept} filtered`
      : plural(groups.length, "group");
    show(
      this.body,
      ...groupRows(shown),
      shown.length ? null : empty("No such group at this step", "Choose all groups to see the rest."),
    );
  }

  move(by) {
    const place = Math.min(Math.max(this.steps.indexOf(this.step) + by, 0), this.steps.length - 1);
    if (this.steps[place] === this.step) return;
    this.step = this.steps[place];
    this.load();
  }
}
