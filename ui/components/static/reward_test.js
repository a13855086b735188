// Reward sandbox: a picture and a prompt against every reward, how each holds when the picture is bent a little, and
// how long it takes. A test has an address of its own: the page can be left and found again.
import { ApiError, get, post } from "./api.js";
import { action, card, empty, failure, h, query, show, titled } from "./dom.js";
import { figure } from "./format.js";
import { RewardChoice } from "./reward_choice.js";
import { apiButton, apiCalls } from "./shell.js";

const POLL_MS = 500,
  MAX_BYTES = 675_000,
  MOST_REWARDS = 16;
const VARIANTS = {
  jpeg_90: "JPEG, quality 90",
  jpeg_50: "JPEG, quality 50",
  crop_90: "middle 90 %",
  flip: "mirrored",
  shift: "moved by 1/32",
  blur: "softened",
};

export async function mount(root) {
  titled("Reward sandbox");
  const answer = h("div", { class: "u-stack" });
  const rewards = new RewardChoice();
  const form = new TestForm(rewards, (test) => follow(answer, test.id, rewards));
  show(root, heading(), h("div", { class: "u-stack wide" }, form.element, answer));
  apiCalls([{ method: "POST", path: "/reward-tests", body: { prompt: "a red circle", image: "…base64…", rewards: [{ name: "strict" }, { name: "learned", source: "run:…" }] } }]);
  show(answer, introduction());
  await rewards.load();
  if (query("sample")) await form.takeSample(query("sample"));
  if (query("id")) await follow(answer, query("id"), rewards, form);
}

function heading() {
  const words = "What would each reward say of this picture, and does it mean the picture or an accident of its pixels?";
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: "/rewards" }, "Rewards")),
      h("h1", {}, "Reward sandbox"),
      h("p", { class: "u-muted" }, words),
    ),
    h("div", { class: "u-row" }, apiButton()),
  );
}

function introduction() {
  return h(
    "div",
    { class: "u-card" },
    empty(
      "Nothing is tested yet",
      "Drop a picture above, or open a sample and press “Test rewards”. Then say what it was asked to show.",
    ),
  );
}

class TestForm {
  constructor(rewards, onTest) {
    this.rewards = rewards;
    this.picture = null; // { image } or { sample_id }, as the request has it
    this.preview = h("div", { class: "u-sandbox-preview" }, h("span", { class: "u-muted u-small" }, "Drop a picture, or choose one"));
    this.file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", "aria-label": "Picture", onchange: () => this.take(this.file.files[0]) });
    this.prompt = h("input", { class: "u-input", maxlength: 1000, placeholder: "a photo of two red squares", "aria-label": "Prompt", style: "width:100%" });
    this.note = h("div", {});
    const run = action("Test rewards", () => this.send(onTest), "u-main");
    const form = h("form", { class: "u-stack tight u-sandbox-fields" }, h("label", { class: "u-label" }, "What it was asked to show", this.prompt), h("label", { class: "u-label" }, "Picture, at most 675 kB", this.file), rewards.element, h("div", { class: "u-row" }, run), this.note);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run.click();
    });
    this.element = card("Picture and prompt", h("div", { class: "u-sandbox" }, this.preview, form));
    for (const kind of ["dragover", "drop"]) this.element.addEventListener(kind, (event) => event.preventDefault());
    this.element.addEventListener("drop", (event) => this.take(event.dataTransfer.files[0]));
  }

  async take(file) {
    if (!file) return;
    if (file.size > MAX_BYTES) return this.say(`${file.name} has ${Math.round(file.size / 1000)} kB: at most 675 are taken. Save it smaller, as JPEG say.`);
    const address = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(file);
    });
    this.show(address, { image: address.split(",")[1] });
  }

  async takeSample(id) {
    try {
      const sample = await get(`/samples/${id}`);
      this.prompt.value = sample.prompt;
      this.show(sample.image_url, { sample_id: sample.id });
    } catch (error) {
      show(this.note, failure(error));
    }
  }

  /** A test that is opened by its address fills the form, so that another reward or prompt is one key away. */
  takeTest(test) {
    this.prompt.value ||= test.prompt;
    if (!this.picture && test.sample_id) this.show(test.image_url, { sample_id: test.sample_id });
  }

  show(address, picture) {
    this.picture = picture;
    show(this.note);
    show(this.preview, h("img", { src: address, alt: "the picture to test" }));
  }

  say(words) {
    show(this.note, h("p", { class: "u-note u-warning", role: "alert" }, words));
  }

  async send(onTest) {
    if (!this.picture) return this.say("There is no picture yet: drop one, or choose a file.");
    if (!this.prompt.value.trim()) return this.say("There is no prompt yet: say what the picture was asked to show.");
    const rewards = this.rewards.chosen;
    if (rewards?.length === 0) return this.say("No reward is ticked: tick at least one to ask.");
    if (rewards?.length > MOST_REWARDS) return this.say(`${rewards.length} rewards are ticked: one test asks at most ${MOST_REWARDS}.`);
    show(this.note);
    const test = await post("/reward-tests", { prompt: this.prompt.value.trim(), ...this.picture, ...(rewards && { rewards }) });
    history.replaceState(null, "", `${location.pathname}?id=${test.id}`);
    await onTest(test);
  }
}

/** Shows a test as it goes on; a later one takes the place of an earlier one that is still watched. */
async function follow(root, id, rewards, form = null) {
  root.dataset.test = id;
  show(root, h("div", { class: "u-card", "aria-busy": "true" }, "Asking the rewards …"));
  for (;;) {
    let test;
    try {
      test = await get(`/reward-tests/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return show(root, failure(error, () => follow(root, id, rewards, form)));
    }
    if (root.dataset.test !== id) return undefined;
    form?.takeTest(test);
    form = null;
    if (test.state === "failed") return show(root, failure({ title: "The rewards could not be asked", message: test.error }));
    if (test.state === "done") return show(root, ...found(test, rewards));
    const words = test.state === "queued" ? "Waits for the interactive worker …" : `Asks ${test.num_rewards} rewards; the first time their weights are read, which takes seconds …`;
    show(root, h("div", { class: "u-card", "aria-busy": "true" }, words));
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function found(test, rewards) {
  const named = ({ name, source }) => name.replaceAll("_", " ") + (source ? ` (${rewards.called(source) ?? source})` : "");
  const answers = test.result.rewards;
  const asked = answers.filter((answer) => answer.error === null),
    refused = answers.filter((answer) => answer.error !== null);
  return [
    card(`“${test.prompt}”`, table(test, asked, named), h("span", { class: "u-small u-muted u-push" }, test.result.device)),
    refused.length ? card("Could not be asked", h("dl", { class: "u-facts" }, ...refused.flatMap((answer) => [h("dt", {}, named(answer)), h("dd", {}, answer.error)]))) : null,
  ];
}

function table(test, answers, named) {
  const names = Object.keys(test.variant_urls);
  const picture = (address, name) => h("th", { scope: "col", class: "num" }, h("img", { src: address, alt: `${name}: ${test.prompt}`, class: "u-sandbox-small" }), h("div", {}, name));
  const heads = [h("th", { scope: "col" }, "Reward"), picture(test.image_url, "as it is"), ...names.map((name) => picture(test.variant_urls[name], VARIANTS[name] ?? name)), h("th", { scope: "col", class: "num" }, "Largest change"), h("th", { scope: "col", class: "num" }, "Time")];
  return h("table", { class: "u-table u-sandbox-table" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...answers.map((answer) => row(answer, names, named(answer)))));
}

function row(answer, names, title) {
  const scores = Object.fromEntries(answer.variants.map(({ variant, score }) => [variant, score]));
  const cell = (name, score) => h("td", { class: "num", "data-name": name }, figure(score));
  // A change is told in words too, for it is what the table is about.
  const changed = (name) => {
    const gap = scores[name] - answer.score;
    return h("td", { class: "num", "data-name": VARIANTS[name] ?? name, title: `${gap >= 0 ? "+" : ""}${figure(gap)} against the picture as it is` }, figure(scores[name]));
  };
  const times = h("td", { class: "num", "data-name": "Time", title: `ready after ${figure(answer.load_seconds)} s` }, `${figure(answer.milliseconds)} ms`);
  return h("tr", {}, h("td", { class: "name" }, h("b", {}, title)), cell("as it is", answer.score), ...names.map(changed), cell("Largest change", answer.largest_change), times);
}
