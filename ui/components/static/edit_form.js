// What painting over a picture and letting it grow share: the form beside the picture, and the run that it asks for.
import { TERMINAL, get, post } from "./api.js";
import { action, card, failure, h, query, select, show, toast } from "./dom.js";
import { plural } from "./format.js";
import { apiButton } from "./shell.js";

const POLL_MS = 700;
const NUMBERS = {
  pictures: ["Pictures", { min: 1, max: 16, step: 1 }],
  seed: ["First seed", { min: 0, max: 2 ** 31 - 1, step: 1 }],
  steps: ["Unmasking steps", { min: 1, max: 256, step: 1 }],
  guidance: ["Guidance", { min: 0, max: 30, step: "any" }],
};
const SCHEDULES = ["cosine", "linear", "square", "sigmoid"].map((name) => [name, name]);

/** The head of both pages; `other` is the page beside, as `[path, words]`, where it can take the same picture. */
export function editHeading(sample, title, words, other) {
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, sample.run_id ? h("a", { href: `/sample?id=${sample.id}` }, "Sample") : "A picture of yours"),
      h("h1", {}, title),
      h("p", { class: "u-muted" }, words, sample.remark ? ` ${sample.remark}` : ""),
    ),
    h("div", { class: "u-row" }, other && h("a", { class: "u-btn", href: `${other[0]}?${sample.address}` }, other[1]), apiButton()),
  );
}

export class EditForm {
  // `sample`: what is edited, a sample or a picture that was brought in, as edit_source.js has it.
  /**
   * `edit` is the page: `name`, what the run is called; `verb`, what the button says; `promptLabel`; `refusal()`, what
   * stands in the way or nothing; `part()`, the part of the configuration that is its own. `onMade(run)` is given what
   * was launched.
   */
  constructor(sample, run, edit, onMade) {
    Object.assign(this, { sample, edit });
    const start = run.config.policy?.source ?? "shipped";
    const sources = run.kind === "train" && run.status === "succeeded" ? [[`run:${run.id}`, "as the run left it"]] : [];
    sources.push([start, start === "shipped" ? "shipped" : `as the run began (${start})`]);
    if (start !== "shipped") sources.push(["shipped", "shipped"]);
    this.policy = select("Policy", sources, () => {});
    this.prompt = h("input", { class: "u-input", "aria-label": "Prompt", maxlength: 1000, value: sample.prompt, style: "width:100%" });
    this.sampling = run.config.evaluation_sampling ?? run.config.sampling ?? {};
    const { num_unmasking_steps: steps = 16, guidance_scale: guidance = 0, mask_schedule: schedule = "cosine" } = this.sampling;
    const values = { pictures: 4, seed: sample.seed % 2 ** 31, steps, guidance };
    this.numbers = Object.fromEntries(Object.entries(NUMBERS).map(([name, [label, bounds]]) => [name, h("input", { class: "u-input", type: "number", "aria-label": label, required: true, value: values[name], ...bounds })]));
    this.schedule = select("Mask schedule", SCHEDULES, () => {});
    this.schedule.value = schedule;
    this.button = action(edit.verb, () => this.send(onMade), "u-main");
    this.hint = h("p", { class: "u-small u-muted" });
    const field = (name, input) => h("label", { class: "u-label u-edit-field" }, name, input);
    const numbers = Object.entries(this.numbers).map(([name, input]) => field(NUMBERS[name][0], input));
    this.element = h("div", { class: "u-stack" }, field(edit.promptLabel, this.prompt), h("div", { class: "u-edit-fields" }, field("Policy", this.policy), field("Mask schedule", this.schedule), ...numbers), h("div", { class: "u-row" }, this.button, this.hint));
    this.renew();
  }

  /** Says anew whether the picture is ready; the page calls it when its part changes. */
  renew() {
    const refusal = this.edit.refusal();
    this.button.disabled = Boolean(refusal);
    this.hint.textContent = refusal ?? "";
  }

  config() {
    const { sample, numbers } = this;
    return {
      kind: "sample",
      name: `${this.edit.name} ${sample.id.slice(-6)}`,
      seed: Number(numbers.seed.value),
      policy: { source: this.policy.value },
      prompts: { texts: [this.prompt.value.trim()] },
      samples_per_prompt: Number(numbers.pictures.value),
      sampling: { ...this.sampling, num_unmasking_steps: Number(numbers.steps.value), guidance_scale: Number(numbers.guidance.value), mask_schedule: this.schedule.value },
      ...this.edit.part(),
    };
  }

  async send(onMade) {
    if (!this.prompt.value.trim()) return toast("Say what the picture shall show.");
    const wrong = Object.values(this.numbers).find((input) => !input.checkValidity());
    if (wrong) return wrong.reportValidity();
    onMade(await post("/runs", { config: this.config() }));
  }
}

/** Where the answer of a page's latest run stands; the address names the run, so that it is found again. */
export class Answer {
  /** `words`: while it works, and the heading of what it made. `tile(sample)` shows one picture. */
  constructor(words, tile) {
    Object.assign(this, { words, tile, run: null });
    this.element = h("div", {});
  }

  /** Goes on with the run that the address names. */
  resume() {
    const id = query("run");
    if (id) this.follow(id);
  }

  /** Shows the pictures of a run as soon as they are there; a later run takes the place of an earlier one. */
  async follow(id) {
    this.run = id;
    const address = new URL(location.href);
    address.searchParams.set("run", id);
    history.replaceState(null, "", address);
    try {
      while (this.run === id && !(await this.renew(id))) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    } catch (error) {
      if (this.run === id) show(this.element, failure(error, () => this.follow(id)));
    }
  }

  /** Shows where the run stands; whether that is its end. */
  async renew(id) {
    const run = await get(`/runs/${id}`);
    const groups = run.num_events > 1 ? (await get(`/runs/${id}/groups`)).data : [];
    if (this.run !== id) return true;
    const link = h("a", { href: `/run?id=${id}` }, "its run");
    if (groups.length) {
      const samples = groups.flatMap((group) => [...group.samples].sort((a, b) => a.index - b.index));
      const title = `${this.words.done}: ${plural(samples.length, "picture")}`;
      show(this.element, card(title, h("div", { class: "u-painted" }, ...samples.map(this.tile)), h("span", { class: "u-small u-muted u-push" }, link)));
      return true;
    }
    if (TERMINAL.includes(run.status)) {
      show(this.element, failure({ title: `The run ${run.status}`, message: run.error ?? "It made no picture." }), h("p", { class: "u-small u-muted" }, link));
      return true;
    }
    const words = run.status === "queued" ? "Waits for a worker …" : run.status === "paused" ? "Paused: resume" : `${this.words.busy} …`;
    show(this.element, h("div", { class: "u-card", "aria-busy": "true", role: "status" }, words, " ", link));
    return false;
  }
}
