// The form of the page Try: policies, prompts, seeds and settings, and the run that they ask for.
import { post } from "./api.js";
import { labelsOf, sourcesOf } from "./compare_names.js";
import { action, h, show } from "./dom.js";
import { plural } from "./format.js";

export const TAG = "try";
const MAX_POLICIES = 8,
  MAX_PICTURES = 2000,
  DOUBLE_CLICK_MS = 2000,
  RESERVED = ["base", "policy", "difference", "probe"];
const NUMBERS = {
  samples: ["Pictures a prompt", 2, { min: 1, max: 16, step: 1 }],
  seed: ["Seed", 7, { min: 0, max: 2 ** 31 - 1, step: 1 }],
  steps: ["Unmasking steps", 16, { min: 1, max: 256, step: 1 }],
  guidance: ["Guidance", 0, { min: 0, max: 30, step: "any" }],
  temperature: ["Temperature", 1, { min: 0, max: 100, step: "any" }],
};

export class TryForm {
  /** `onMade(run)` is given what was launched, `onChange()` told when the form asks for something else. */
  constructor(policies, onMade, onChange) {
    Object.assign(this, { policies, onMade, onChange });
    this.choices = h("datalist", { id: "u-try-policies" }, ...policies.map((each) => h("option", { value: each.source }, each.name)));
    this.sources = h("div", { class: "u-stack tight", role: "group", "aria-label": "Policies" });
    this.prompts = h("textarea", { class: "u-input u-area", rows: 4, "aria-label": "Prompts, one a line", placeholder: "a red circle left of a blue star" });
    this.fields = Object.fromEntries(Object.entries(NUMBERS).map(([name, [label, value, bounds]]) => [name, h("input", { class: "u-input", type: "number", "aria-label": label, value, required: true, ...bounds })]));
    this.button = action("Sample", () => this.send(), "u-main");
    this.count = h("p", { class: "u-small u-muted", role: "status" });
    this.more = h("button", { class: "u-btn", type: "button", onclick: () => this.addPolicy("") }, "Add a policy");
    this.element = this.build();
    this.element.addEventListener("input", () => this.renew());
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.button.click();
    });
    const tuned = policies.find((each) => each.kind === "export");
    this.choose(["shipped", ...(tuned ? [tuned.source] : [])]);
  }

  build() {
    const numbers = Object.entries(this.fields).map(([name, input]) => h("label", {}, h("b", {}, NUMBERS[name][0]), input));
    return h(
      "div",
      { class: "u-try-form" },
      this.choices,
      h("div", { class: "u-stack tight" }, h("b", {}, "Policies, the first is what others are compared to"), this.sources, h("div", {}, this.more)),
      h("label", { class: "u-try-field" }, h("b", {}, "Prompts, one a line"), this.prompts),
      h("div", { class: "u-form-grid u-wide" }, ...numbers),
      h("div", { class: "u-row u-wide" }, this.button, this.count),
    );
  }

  addPolicy(source) {
    const input = h("input", { class: "u-input", list: "u-try-policies", value: source, "aria-label": "Policy", placeholder: "shipped, run:<id>, run:<id>@<step>, alias:<name>, a folder" });
    const row = h("div", { class: "u-row u-try-policy" }, input, h("span", { class: "u-small u-muted" }), h("button", { class: "u-btn quiet", type: "button", "aria-label": "Remove this policy", title: "Remove", onclick: () => this.removePolicy(row) }, "×"));
    this.sources.append(row);
    this.renew();
    if (!source) input.focus();
  }

  /** The policies that stand in the form, in the place of those that did. */
  choose(sources) {
    show(this.sources);
    for (const source of sources) this.addPolicy(source);
  }

  removePolicy(row) {
    if (this.sources.children.length > 1) row.remove();
    this.renew();
  }

  policySources() {
    return [...this.sources.querySelectorAll("input")].map((input) => input.value.trim()).filter(Boolean);
  }

  /** What the studio calls a source; nothing for a folder, which may be anywhere. */
  nameOf(source) {
    return this.policies.find((each) => each.source === source)?.name ?? "";
  }

  texts() {
    return this.prompts.value.split("\n").map((line) => line.trim()).filter(Boolean);
  }

  number(name) {
    return Number(this.fields[name].value);
  }

  /** What is to be launched; null while something is missing. */
  request() {
    const texts = this.texts(),
      sources = this.policySources();
    if (!texts.length || !sources.length) return null;
    const [first, second, ...others] = sources;
    const samples = this.number("samples");
    const config = {
      kind: "evaluate",
      name: `try ${texts[0].slice(0, 60)}`,
      seed: this.number("seed"),
      policy: { source: second ?? first },
      ...(second ? { base: { source: first } } : {}),
      policies: labelled(others),
      prompts: { texts },
      samples_per_prompt: samples,
      // A prompt at a time, so that its row is there as soon as it can be.
      batch_size: samples,
      num_replayed: texts.length,
      sampling: { num_unmasking_steps: this.number("steps"), guidance_scale: this.number("guidance"), temperature: this.number("temperature") },
    };
    return { config, tags: [TAG] };
  }

  /** Says how much is asked for, and what is missing. */
  renew() {
    const texts = this.texts().length,
      sources = this.policySources().length;
    const pictures = texts * sources * this.number("samples");
    const wrong = Object.values(this.fields).find((input) => !input.checkValidity());
    const missing = !texts
      ? "Write at least one prompt."
      : !sources
        ? "Choose at least one policy."
        : wrong
          ? `${wrong.getAttribute("aria-label")}: ${wrong.validationMessage}`
          : pictures > MAX_PICTURES
            ? `${pictures} pictures are more than a page shows: launch an evaluate run, or write fewer prompts.`
            : "";
    for (const row of this.sources.children) row.querySelector("span").textContent = this.nameOf(row.querySelector("input").value.trim());
    this.button.disabled = missing !== "";
    this.more.disabled = this.sources.children.length >= MAX_POLICIES;
    this.count.textContent = missing || `${plural(texts, "prompt")} × ${plural(sources, "policy", "policies")} × ${plural(this.number("samples"), "seed")} = ${plural(pictures, "picture")}`;
    this.onChange();
  }

  async send() {
    const body = this.request();
    // The second click of a double click may come when the first is answered; the same pictures are not made twice.
    const asked = JSON.stringify(body);
    if (!body || (asked === this.asked && Date.now() - this.askedAt < DOUBLE_CLICK_MS)) return;
    const run = await post("/runs", body);
    Object.assign(this, { asked, askedAt: Date.now() });
    this.onMade(run);
  }

  /** Takes up what a run was asked for. */
  fill(config) {
    const sources = sourcesOf(config);
    this.choose(labelsOf(config).map((label) => sources[label]));
    this.prompts.value = config.prompts.texts.join("\n");
    const { num_unmasking_steps: steps, guidance_scale: guidance, temperature } = config.sampling;
    const values = { samples: config.samples_per_prompt, seed: config.seed, steps, guidance, temperature };
    for (const [name, value] of Object.entries(values)) this.fields[name].value = value;
    this.renew();
  }
}

/** Labels that the API takes, each once: of a checkpoint its step, else the end of its source. */
function labelled(sources) {
  const taken = new Set(RESERVED);
  return sources.map((source, place) => {
    const step = /@(\d+)$/.exec(source)?.[1];
    const plain = source.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
    let label = (step ? `step-${step}` : plain.slice(-24).replace(/^-+/, "")) || `policy-${place + 3}`;
    while (taken.has(label)) label = `${label}-${place + 3}`;
    taken.add(label);
    return { label, source };
  });
}
