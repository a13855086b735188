// One pair set: its pairs with both pictures and every vote, where they come from, its exports, and what learned from it.
import { get, request, query as url } from "./api.js";
import { openById } from "./by_id.js";
import { action, card, dialog, failure, h, identifier, show, status, titled, when } from "./dom.js";
import { bytes, figure, plural, shortId } from "./format.js";
import { accuracyOf, trainOn, trainedOn } from "./learned.js";
import { ratersOf, sourceOf } from "./pairs_shared.js";
import { PagedList } from "./paged.js";
import { apiButton, apiCalls, keys } from "./shell.js";

const PAGE_SIZE = 24,
  MOST_MODELS = 20;
const MISSING = { question: "Which pair set?", hint: "Open one from the list.", href: "/pairs", link: "Pair sets" };
const EXPORTS = [
  ["Pick-a-Pic", "format=pick_a_pic"],
  ["HPDv2", "format=hpdv2"],
  ["CSV", "format=csv&with_pictures=true"],
];
const CHOICES = { 0: "first", 1: "second", tie: "tie", both_bad: "both bad" };

export function mountPairSet(root) {
  titled("Pair set");
  return openById(root, MISSING, (id) => open(root, id));
}

async function open(root, id) {
  const path = `/pair-sets/${id}`;
  const set = await get(path);
  titled(set.name);
  apiCalls([{ path }, { path: `${path}/pairs?limit=${PAGE_SIZE}` }, { path: `${path}/export?format=pick_a_pic` }, { method: "POST", path: "/runs", body: { config: { kind: "reward_model", pairs: { source: set.sha256 } } } }, { method: "DELETE", path }]);
  const train = `/launch?recipe=reward-from-votes&pairs=${set.sha256}`;
  keys([
    [
      "n",
      "Train a reward model",
      () => {
        location.href = train;
      },
    ],
  ]);
  const side = h("div", { class: "u-stack u-sooner" }, learnedCard(set, train), factsCard(set));
  show(root, heading(set, train), h("div", { class: "u-cols" }, pairsCard(path), side));
}

function heading(set, train) {
  const exports = EXPORTS.map(([words, parameters]) => h("a", { class: "u-btn", href: `/api/v1/pair-sets/${set.sha256}/export?${parameters}`, download: "" }, words));
  return h(
    "div",
    { class: "u-head" },
    h(
      "div",
      {},
      h("p", { class: "u-crumb" }, h("a", { href: "/label" }, "Label"), " › ", h("a", { href: "/pairs" }, "Pair sets"), " ›"),
      h("h1", { style: "overflow-wrap:anywhere" }, set.name),
      h("p", { class: "u-row wide u-muted", style: "margin-top:8px" }, h("span", {}, `version ${set.version}`), h("span", {}, plural(set.num_pairs, "pair")), h("span", {}, plural(set.num_votes, "vote")), h("span", {}, when(set.created_at)), identifier(set.sha256, 12)),
    ),
    h("div", { class: "u-row" }, ...exports, removeButton(set), apiButton(), h("a", { class: "u-btn u-main", href: train }, "Train a reward model")),
  );
}

/** Asks first; what still needs the set is the studio's to say. */
function removeButton(set) {
  return action(
    "Delete",
    () => {
      const refusal = h("div", {});
      const sure = action(
        "Delete the pair set",
        async () => {
          show(refusal);
          try {
            await request("DELETE", `/pair-sets/${set.sha256}`);
            location.href = "/pairs";
          } catch (error) {
            show(refusal, failure(error));
          }
        },
        "u-danger",
      );
      const words = `${plural(set.num_pairs, "pair")} with their pictures go from this studio. The label task and its votes stay, and can be frozen again.`;
      dialog(`Delete ${set.name}?`, h("div", { class: "u-part u-stack" }, h("p", {}, words), h("div", { class: "u-row" }, sure), refusal));
    },
    "u-danger",
  );
}

function pairsCard(path) {
  const body = h("div", {});
  const pairs = new PagedList(
    (after) => url(`${path}/pairs`, { limit: PAGE_SIZE, after }),
    () => show(body, h("div", { class: "u-pairs" }, ...pairs.items.map(tile)), pairs.hasMore ? h("p", { class: "u-more" }, action("Load more", () => pairs.load(true))) : null),
    body,
  );
  pairs.load();
  return card("Pairs", body);
}

function tile(pair) {
  const side = (place) => {
    const label = place === 0 ? pair.label_0 : 1 - pair.label_0;
    const name = place === 0 ? "first" : "second";
    const share = pair.majority === place ? h("b", {}, figure(label)) : figure(label);
    return h("span", { class: "u-pair-side" }, h("img", { src: pair[`image_${place}_url`], alt: `${name} picture of: ${pair.prompt}`, loading: "lazy" }), h("span", { class: "u-small u-muted" }, `${name} `, share));
  };
  const votes = pair.votes.length ? plural(pair.votes.length, "vote") : "a label without votes";
  const programs = pair.votes.filter((vote) => vote.is_simulated).length;
  const mark = programs ? h("span", { class: "u-tag", title: "A program votes here, no person" }, programs === pair.votes.length ? "simulated" : `${programs} simulated`) : null;
  return h(
    "article",
    { class: "u-pair", "aria-label": pair.prompt },
    h("button", { type: "button", class: "u-pair-pictures", title: "Votes and provenance", onclick: () => closer(pair) }, side(0), side(1)),
    h("p", { class: "u-small prompt" }, pair.prompt),
    h("p", { class: "u-small u-muted u-row" }, `${votes}${pair.majority === null ? ", no majority" : ""}`, mark),
  );
}

/** One pair with every vote, and what made its pictures. */
function closer(pair) {
  const picture = (place) =>
    h("figure", {}, h("img", { src: pair[`image_${place}_url`], alt: `${place ? "second" : "first"} picture of: ${pair.prompt}` }), h("figcaption", { class: "u-small" }, ...madeBy(pair.provenance[`picture_${place}`], pair.provenance[`model_${place}`], place)));
  const box = dialog(pair.prompt, h("div", { class: "u-part u-stack" }, h("div", { class: "u-two" }, picture(0), picture(1)), voteTable(pair), told(pair)));
  box.classList.add("u-close");
}

function madeBy(side, model, place) {
  const name = h("b", {}, place ? "second" : "first");
  if (!side) return [name, model ? `, made by ${model}` : ", not told what made it"];
  const facts = [side.policy, `seed ${side.seed}`, side.reward === null || side.reward === undefined ? null : `reward ${figure(side.reward)}`].filter(Boolean).join(", ");
  const links = [
    [`/sample?id=${side.sample_id}`, "sample", side.sample_id],
    [`/run?id=${side.run_id}`, `run ${shortId(side.run_id ?? "")}`, side.run_id],
  ].filter(([, , id]) => id);
  return [name, `, ${facts}`, ...links.flatMap(([href, words]) => [" · ", h("a", { href }, words)])];
}

function voteTable(pair) {
  if (!pair.votes.length) return h("p", { class: "u-muted" }, `The file told a label alone: ${figure(pair.label_0)} for the first picture.`);
  const row = (vote) =>
    h(
      "tr",
      {},
      h("td", {}, h("span", { class: "u-mono" }, vote.rater.slice(0, 8)), " ", vote.is_simulated ? h("span", { class: "u-tag" }, "simulated") : null),
      h("td", {}, CHOICES[vote.choice] ?? figure(vote.label_0)),
      h("td", { class: "num u-muted" }, vote.guideline_version ?? "–"),
      h("td", { class: "num u-muted" }, when(vote.created_at)),
    );
  const head = [["Rater", ""], ["Chose", ""], ["Guideline", "num"], ["When", "num"]].map(([words, kind]) => h("th", { class: kind, scope: "col" }, words));
  return h("table", { class: "u-table" }, h("thead", {}, h("tr", {}, ...head)), h("tbody", {}, ...pair.votes.map(row)));
}

function told(pair) {
  return h("details", {}, h("summary", { class: "u-link", style: "cursor:pointer" }, "Provenance as it is kept"), h("pre", { class: "u-code tall", style: "margin-top:8px" }, JSON.stringify(pair.provenance, null, 2)));
}

function factsCard(set) {
  const left = Object.entries(set.left_out).map(([reason, count]) => h("div", {}, `${count} ${reason}`));
  const guidelines = (set.source.guidelines ?? []).map((text, place) => h("div", {}, h("span", { class: "u-muted" }, `version ${place + 1}: `), text));
  const runs = (set.source.runs ?? []).map((id) => h("a", { class: "u-mono", href: `/run?id=${id}` }, shortId(id)));
  const facts = [
    ["Of", sourceOf(set)],
    ["Pairs", `${set.num_pairs} of ${plural(set.num_prompts, "prompt")}, ${plural(set.num_ties, "tie")}`],
    ["Pictures", `${set.num_pictures}, ${bytes(set.num_bytes)}`],
    ["Raters", ratersOf(set)],
    left.length ? ["Left out", h("div", {}, ...left)] : null,
    guidelines.length ? ["Guideline", h("div", {}, ...guidelines)] : null,
    runs.length ? ["Made by runs", h("span", { class: "u-row" }, ...runs)] : null,
  ];
  return card("Where it comes from", h("dl", { class: "u-facts" }, ...facts.filter(Boolean).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

/** The reward models that learned from the set, each with what comes next. */
function learnedCard(set, train) {
  const body = h("div", {}, h("p", { class: "u-chart-none" }, "Reading …"));
  const load = async () => {
    try {
      const models = await Promise.all(set.used_by.slice(0, MOST_MODELS).map((id) => get(`/reward-models/${id}`)));
      show(body, models.length ? h("ul", { class: "u-list" }, ...models.map(modelLine)) : nothingLearned(train));
    } catch (error) {
      show(body, failure(error, load));
    }
  };
  load();
  return card("Learned from it", body);
}

function nothingLearned(train) {
  return h("p", { class: "u-chart-none" }, "No reward model has learned from it yet. ", h("a", { href: train }, "Train one"), " and see how often it agrees with people on prompts that it never saw.");
}

function modelLine(model) {
  const use = model.report && !model.refusal ? h("a", { class: "u-btn", href: trainOn(model) }, "Use as a reward in a new run") : null;
  return h(
    "li",
    { style: "display:block" },
    h("div", { class: "u-row" }, h("a", { href: `/rewards#${model.run_id}` }, model.name || `reward ${shortId(model.run_id)}`), status(model.status), h("span", { class: "u-small u-muted" }, accuracyOf(model))),
    model.report && model.refusal ? h("p", { class: "u-small u-alarm", style: "margin-top:4px" }, model.refusal) : null,
    h("div", { class: "u-row", style: "margin-top:8px" }, use, h("a", { class: "u-btn", href: `/run?id=${model.run_id}` }, "Its run")),
    h("div", { class: "u-small", style: "margin-top:8px" }, h("span", { class: "u-muted" }, "Trained on it: "), ...trainedOn(model)),
  );
}
