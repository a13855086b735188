// The figures of a task's votes in cards, each with its interval and with what so few votes can and cannot say.
import { card, h } from "./dom.js";
import { figure, plural, signed } from "./format.js";
import { intervalTable, percent } from "./label_figures.js";

// Below these a word goes before the figures: what few people said of few prompts says little of others.
const FEW_VOTES = 30,
  FEW_RATERS = 3,
  FEW_PROMPTS = 20;

const ends = (interval) => (interval ? [interval.low, interval.high] : null);
const sentence = (...words) => h("p", { class: "u-small u-muted", style: "margin-top:12px" }, ...words);

/** What must be known before a figure is read: who voted, and how few they are. */
export function caution({ figures }) {
  const { num_votes: votes, num_raters: raters, num_simulated_raters: programs, num_prompts: prompts } = figures;
  const notes = [];
  if (raters && programs === raters)
    notes.push(["These are votes of simulated raters", "Programs chose here. What they say is not what people think of the pictures."]);
  else if (programs) notes.push(["People and programs together", `${programs} of ${plural(raters, "rater")} are simulated: programs, no people.`]);
  const isFew = votes < FEW_VOTES || raters < FEW_RATERS || prompts < FEW_PROMPTS;
  if (votes && isFew)
    notes.push([
      `Few votes yet: ${votes} by ${plural(raters, "rater")} on ${plural(prompts, "prompt")}`,
      "A handful more can turn the result: read the intervals, not the values. What so few people said of so few prompts " +
        "says little of other people and other prompts.",
    ]);
  if (!votes) notes.push(["No vote counts here", "Only gold pairs were voted on, or every rater is left out."]);
  return notes.length
    ? h("div", { class: "u-stack tight" }, ...notes.map(([title, text]) => h("div", { class: "u-note u-warning" }, h("strong", {}, title), text)))
    : null;
}

export function winCard({ figures, all_raters: all, num_resamples: draws }) {
  if (!figures.win_rates.length) return card("Win rate", h("p", { class: "u-chart-none" }, "No two policies have met in a vote yet."));
  const row = (rate) => ({
    name: `${rate.policy} against ${rate.opponent}`,
    value: rate.value,
    ends: ends(rate.resampled),
    note: [fates(rate), withAll(rate, all)].filter(Boolean).join(" "),
  });
  return card(
    "Win rate",
    h(
      "div",
      {},
      h("p", { style: "margin-bottom:12px" }, ...figures.win_rates.map(verdict)),
      intervalTable(["pair of policies", "preferred"], figures.win_rates.map(row), { mark: 0.5, least: 0.25, most: 0.75, tell: percent }),
      sentence(`A tie and both bad count half each; 50 % is no difference. Intervals at 95 %: raters and prompts drawn anew ${draws} times, nowhere narrower than Wilson's.`),
    ),
  );
}

const fates = ({ num_wins, num_losses, num_ties, num_both_bad }) =>
  `${plural(num_wins, "win")}, ${plural(num_losses, "loss", "losses")}, ${plural(num_ties, "tie")}, ${num_both_bad} both bad.`;

/** What leaving raters out has changed. */
function withAll(rate, all) {
  const same = all?.win_rates.find((each) => each.policy === rate.policy && each.opponent === rate.opponent);
  if (!same) return "";
  const [low, high] = ends(same.resampled);
  return `With every rater: ${percent(same.value)} [${percent(low)}, ${percent(high)}] of ${plural(all.num_votes, "vote")}.`;
}

/** In a sentence what the interval says. */
function verdict({ policy, opponent, resampled }) {
  const [low, high] = ends(resampled);
  if (low > 0.5) return h("span", {}, h("b", {}, policy), ` is preferred to ${opponent}: the whole interval is above 50 %. `);
  if (high < 0.5) return h("span", {}, h("b", {}, opponent), ` is preferred to ${policy}: the whole interval is below 50 %. `);
  return h("span", {}, `${policy} and ${opponent}: no difference is shown, for the interval includes 50 %. `);
}

const warning = (title, text) => h("div", { class: "u-note u-warning", style: "margin-top:12px" }, h("strong", {}, title), text);

export function strengthCard({ bradley_terry: found }) {
  if (!found) return null;
  const rows = found.strengths.map(({ policy, value, interval }) => ({ name: policy, value, ends: ends(interval) }));
  const isDecided = found.num_decided > 0;
  const tie = `Two equal policies tie with probability ${percent(found.ties / (2 + found.ties))}.`;
  return card(
    "Strength",
    h(
      "div",
      {},
      intervalTable(["policy", "log-strength"], rows, { mark: 0, least: -0.5, most: 0.5, tell: signed }),
      isDecided ? null : warning("No vote is decided", "Every vote is a tie or both bad. What is shown is the prior's alone: the votes say nothing yet of how far apart the policies are, or how often equal ones tie."),
      found.is_separable ? warning("One side has never lost, or never met the other", "How far apart they are is then not in the votes: the distance shown is the prior's.") : null,
      sentence(`Bradley-Terry with ties after Davidson; the mean is 0. ${isDecided ? tie : ""}`),
    ),
  );
}

export function agreementCard({ figures, num_undone: undone, num_skipped: skipped }) {
  const { preference_agreement: preference, choice_agreement: choice } = figures;
  const row = (name, { value, interval }) => ({ name, value, ends: ends(interval) });
  const table = intervalTable(
    ["Krippendorff's alpha", "agreement"],
    [row("left, right or neither", preference), row("neither split in tie and both bad", choice)],
    { mark: 0, least: 0, most: 1, tell: (value) => figure(value) },
  );
  const body = preference.num_pairs
    ? [table, sentence(`On ${plural(preference.num_pairs, "pair")} with two votes or more. 1 = always the same, 0 = as by chance; Krippendorff asks for 0.80, and for 0.67 where conclusions are tentative.`)]
    : [h("p", { class: "u-chart-none" }, "No pair has two votes yet: agreement needs several raters on the same pairs.")];
  const facts = [
    ["Votes that count", figures.num_votes],
    ["Pairs, prompts", `${figures.num_pairs}, ${figures.num_prompts}`],
    ["Skipped", skipped],
    ["Taken back", undone],
  ];
  return h(
    "div",
    { class: "u-stack" },
    card("Agreement", h("div", {}, ...body)),
    card("Votes", h("dl", { class: "u-facts" }, ...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]))),
  );
}
