// Try: policies on prompts that a person writes, on the same seeds, side by side; pictures appear as they are made.
// It is an evaluate run like any other: the page can be left and found again by its address, and the run has all of it.
import { TERMINAL, follow, get, getAll, query as url } from "./api.js";
import { card, empty, failure, h, query, show, status, titled } from "./dom.js";
import { plural } from "./format.js";
import { verbButtons } from "./runs_shared.js";
import { apiButton, apiCalls, keys } from "./shell.js";
import { TAG, TryForm } from "./try_form.js";
import { TryGrid } from "./try_grid.js";
import { waitingNote } from "./waiting.js";

const EARLIER = url("/runs", { tag: TAG, kind: "evaluate", limit: 8 });

export async function mount(root) {
  titled("Try");
  const models = await getAll("/models").catch(() => []);
  const policies = models.filter((each) => each.kind !== "reward_model");
  const page = new TryPage(root, policies);
  page.form = new TryForm(policies, (run) => page.begin(run), () => page.tellCalls());
  page.draw();
  const id = query("run");
  if (id) await page.reopen(encodeURIComponent(id));
  else page.invite();
  if (!id && query("policy")) page.form.choose([await startOf(query("policy")), query("policy")]);
}

/** What the run of a policy began with; the shipped policy where that is not to be found. */
async function startOf(source) {
  const id = /^run:([0-9a-f-]{36})/i.exec(source)?.[1];
  const run = id ? await get(`/runs/${id}`).catch(() => null) : null;
  return run?.config.policy?.source ?? "shipped";
}

class TryPage {
  constructor(root, policies) {
    Object.assign(this, { root, policies, stop: () => {} });
    this.answer = h("div", {});
    this.earlier = h("div", {});
  }

  draw() {
    show(
      this.root,
      h(
        "div",
        { class: "u-head" },
        h("div", {}, h("h1", {}, "Try"), h("p", { class: "u-muted" }, "Any policies, your prompts, the same seeds for all: what differs is the policy.")),
        h("div", { class: "u-row" }, apiButton()),
      ),
      h("div", { class: "u-stack" }, card("What to sample", this.form.element), this.answer, this.earlier),
    );
    keys([
      ["s", "Sample", () => this.form.button.click()],
      ["p", "Write prompts", () => this.form.prompts.focus()],
    ]);
    this.tellCalls();
    this.listEarlier();
  }

  tellCalls() {
    const body = this.form?.request();
    const path = this.run ? `/runs/${this.run.id}` : "";
    const made = path ? [{ path }, { path: `${path}/events/stream`, stream: true }, { path: `${path}/groups?step=1` }] : [{ path: EARLIER }];
    apiCalls([...(body ? [{ method: "POST", path: "/runs", body }] : []), ...made]);
  }

  invite() {
    show(this.answer, h("div", { class: "u-card" }, empty("No pictures yet", "Write a prompt, choose the policies, press Sample. Every prompt gets a row, every policy a column.")));
  }

  begin(run) {
    history.replaceState(null, "", `/try?run=${run.id}`);
    this.watch(run);
    this.listEarlier();
  }

  /** A run that an address names: its settings stand in the form again, its pictures in the grid. */
  async reopen(id) {
    try {
      const run = await get(`/runs/${id}`);
      if (run.kind !== "evaluate") throw new Error(`Run ${run.id} is a ${run.kind} run: this page shows evaluate runs of own prompts.`);
      if (!run.config.prompts.texts.length) throw new Error(`Run ${run.id} evaluates captions or a prompt set: this page shows evaluate runs of own prompts. Its pictures are on its run's page, and on Compare.`);
      this.form.fill(run.config);
      this.watch(run);
    } catch (error) {
      show(
        this.answer,
        failure(error, () => this.reopen(id)),
      );
    }
  }

  /** Follows a run; a later one takes the place of an earlier one. */
  watch(run) {
    this.stop();
    this.run = run;
    this.tellCalls();
    const grid = new TryGrid(run.config, this.policies);
    const head = h("div", { class: "u-row u-try-head" }),
      note = h("div", {});
    let waiting = null;
    const tell = (now) => {
      this.run = now;
      waiting = now.status === "queued" ? (waiting ?? waitingNote(now)) : null;
      show(head, ...heading(now, grid, (changed) => tell(changed)));
      show(note, now.error ? failure({ title: `The run ${now.status}`, message: now.error }) : waiting);
    };
    show(this.answer, card("Pictures", h("div", { class: "u-stack" }, head, note, grid.element)));
    tell(run);
    // One step after another: a browser has few connections, and the pictures of the first prompts want them too.
    let loading = Promise.resolve();
    const take = async (step) => {
      if (this.run.id !== run.id) return;
      await this.load(run.id, step, grid);
      if (this.run.id === run.id) tell({ ...this.run });
    };
    const seen = (event) => {
      if (this.run.id !== run.id) return;
      if (event.body.type === "samples") loading = loading.then(() => take(event.body.step));
      else if (["status", "started", "log"].includes(event.body.type)) get(`/runs/${run.id}`).then(tell, () => {});
    };
    this.stop = follow(run.id, 0, seen);
  }

  async load(id, step, grid) {
    const groups = await getAll(`/runs/${id}/groups`, { step, purpose: "evaluate" }).catch((error) => {
      show(grid.note, failure(error, () => this.load(id, step, grid)));
      return [];
    });
    if (this.run.id === id) grid.enter(groups);
  }

  async listEarlier() {
    const page = await get(EARLIER).catch(() => ({ data: [] }));
    const items = page.data.map((run) =>
      h(
        "li",
        {},
        h("a", { href: `/try?run=${run.id}` }, run.config.prompts.texts[0] ?? run.name),
        h("span", { class: "u-muted u-small" }, `${plural(run.config.prompts.texts.length, "prompt")}, ${plural(1 + (run.config.base ? 1 : 0) + run.config.policies.length, "policy", "policies")}`),
        h("span", { class: "u-push" }, status(run.status)),
      ),
    );
    show(this.earlier, items.length ? card("Earlier", h("ul", { class: "u-list" }, ...items)) : null);
  }
}

function heading(run, grid, onChange) {
  const isOver = TERMINAL.includes(run.status);
  const again = async () => onChange(await get(`/runs/${run.id}`));
  return [
    status(run.status),
    h("span", { class: "u-small u-muted", role: "status" }, grid.words(isOver)),
    h(
      "span",
      { class: "u-row u-push" },
      ...verbButtons(run, again),
      grid.labels.length > 1 ? h("a", { class: "u-btn", href: `/compare?id=${run.id}` }, "Compare") : null,
      h("a", { class: "u-btn", href: `/run?id=${run.id}` }, "Its run"),
    ),
  ];
}
