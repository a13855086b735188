// How the rater's page looks in each of its states. Knows neither requests nor storage; tells what was pressed.
import { dialog, empty, h, show } from "./dom.js";
import { plural } from "./format.js";

// Choice, key, name; the narrow layout places them by their class.
const CHOICES = [
  ["left", "←", "Left"],
  ["right", "→", "Right"],
  ["tie", "↑", "Tie"],
  ["both_bad", "↓", "Both bad"],
  ["skip", "s", "Skip"],
];
const REASONS = ["A picture is broken or missing", "The prompt makes no sense", "A picture should not be shown"];

export class RateView {
  constructor(root, on) {
    Object.assign(this, { root, on });
    this.question = h("h1", {});
    this.progress = h("span", { class: "u-muted u-rate-count" });
    this.waits = h("span", { class: "u-small u-rate-waits", role: "status" });
    this.told = h("p", { class: "u-small u-muted u-rate-told", "aria-live": "polite" });
    this.guideline = h("section", { class: "u-note u-rate-guideline", "aria-label": "Guideline", hidden: true });
    this.guide = h("button", { class: "u-btn quiet", type: "button", "aria-expanded": "false", hidden: true }, "Guideline");
    this.guide.addEventListener("click", () => this.openGuideline(this.guideline.hidden));
    this.sides = ["left", "right"].map((side) => this.sideButton(side));
    const buttons = h("div", { class: "u-rate-buttons" }, ...this.makeButtons());
    this.pairParts = h("div", { class: "u-rate-pair" }, h("div", { class: "u-rate-pictures" }, ...this.sides), buttons);
    this.body = h("div", { class: "u-rate-body" });
    const top = h("div", { class: "u-rate-top" }, this.question, h("span", { class: "u-row" }, this.progress, this.guide));
    this.untaken = h("div", { hidden: true });
    this.frame = [top, this.untaken, this.guideline, this.body, h("div", { class: "u-row" }, this.told, this.waits)];
  }

  sideButton(side) {
    const button = h("button", { type: "button", class: "u-rate-side", "aria-label": `Choose the ${side} picture` });
    return this.pressed(button, () => this.on.choose(side));
  }

  makeButtons() {
    const button = (kind, key, name, press) => {
      const mark = h("span", { class: "u-kbd", "aria-hidden": "true" }, key);
      return this.pressed(h("button", { class: `u-btn ${kind}`, type: "button" }, mark, name), press);
    };
    const choices = CHOICES.map(([choice, key, name]) => button(choice, key, name, () => this.on.choose(choice)));
    return [...choices, button("flag", "f", "Flag", () => this.askWhy()), button("undo", "u", "Undo", () => this.on.undo())];
  }

  pressed(button, press) {
    // The second click of a double click would be a vote on a pair that nobody has looked at.
    button.addEventListener("click", (event) => event.detail < 2 && press());
    return button;
  }

  /** Puts something into the body, within the frame that all states of an open task share. */
  place(...content) {
    if (!this.body.isConnected) show(this.root, ...this.frame);
    if (this.body.firstChild !== content[0]) this.body.replaceChildren(...content);
  }

  pair(pair) {
    this.question.textContent = `Which picture fits “${pair.prompt}” better?`;
    this.sides[0].replaceChildren(pair.left);
    this.sides[1].replaceChildren(pair.right);
    this.place(this.pairParts);
  }

  /** `newness` is "first" or "changed" for a guideline that this rater has not seen. */
  task(task, newness) {
    this.guide.hidden = !task.guideline;
    if (!newness) return;
    const words = newness === "changed" ? h("strong", {}, "The guideline has changed") : null;
    const read = h("button", { class: "u-btn", type: "button", onclick: () => this.openGuideline(false) }, "I have read it");
    show(this.guideline, words, h("p", { style: "white-space:pre-wrap" }, task.guideline), h("p", { class: "u-rate-read" }, read));
    this.openGuideline(true);
  }

  openGuideline(isOpen) {
    this.guideline.hidden = !isOpen;
    this.guide.setAttribute("aria-expanded", String(isOpen));
  }

  counted(num_done, num_wanted) {
    this.progress.textContent = `${num_done} of ${num_wanted}`;
  }

  /** What is not acknowledged yet; said only once the network is in the way, for on a good day it takes milliseconds. */
  waitingVotes(items, isStuck) {
    const votes = items.filter(({ kind }) => kind === "vote").length;
    const words = votes ? `${plural(votes, "vote")} waiting to be sent` : "Waiting for the connection";
    this.waits.textContent = items.length && isStuck ? `${words}: nothing is lost, also when you close this page.` : "";
  }

  /** What the studio did not take stands on the page as long as it is kept, also at an end. */
  notTaken(note) {
    this.untaken.hidden = !note;
    this.untaken.replaceChildren(...(note ? [note] : []));
  }

  say(words) {
    this.told.textContent = words;
  }

  said(choice) {
    const name = CHOICES.find(([value]) => value === choice)[2];
    this.say(`${choice === "skip" ? "Skipped" : name}. Undo takes it back.`);
  }

  state(title, text, ...actions) {
    this.question.textContent = "";
    this.place(empty(title, text, ...actions));
  }

  waiting(isStuck) {
    if (isStuck) return this.offline();
    this.state("The next pair is on its way", "It comes as soon as your last votes are in.");
  }

  offline() {
    this.state("No connection", "The next pairs come by themselves once it is back. What you have chosen is kept in this browser until then.");
  }

  /** Opened without a network, with what was kept. */
  fromKept() {
    this.say("No connection: these pairs were kept ahead in this browser. Votes wait here and are sent once it is back.");
  }

  /** All that is offered was voted on, and the studio did not take the votes. */
  stopped() {
    this.state("No other pairs", "The studio offers only pairs whose votes it did not accept.");
  }

  done(canUndo) {
    const undo = canUndo ? [h("button", { class: "u-btn", type: "button", onclick: () => this.on.undo() }, "Undo the last vote")] : [];
    this.state("All done, thank you", "You have seen every pair that is meant for you. You can close this page.", ...undo);
  }

  closed(num_waiting) {
    const still = num_waiting ? ` ${plural(num_waiting, "vote")} still on the way: leave this page open until this line is gone.` : "";
    this.alone("This task is closed", `Thank you: every vote that you have sent is kept.${still}`);
  }

  shut() {
    this.alone("This link is no longer good", "It was withdrawn, or it was not copied whole. Ask whoever sent it for a new one.");
  }

  noLink() {
    this.alone("The link is not complete", "It ends with # and a long code. Copy the whole of it, or ask whoever sent it for it.");
  }

  failed(error) {
    const again = h("button", { class: "u-btn u-main", type: "button", onclick: () => this.on.retry() }, "Try again");
    this.alone("Something went wrong", error.message, again);
  }

  /** An end: nothing of the task is shown beside it. */
  alone(title, text, ...actions) {
    show(this.root, this.untaken, empty(title, text, ...actions));
  }

  askWhy() {
    const other = h("input", { class: "u-input", maxlength: 200, placeholder: "Something else", "aria-label": "Something else" });
    const send = (reason) => {
      if (!reason) return other.focus();
      box.close();
      this.on.flag(reason);
    };
    const form = h("form", { class: "u-row" }, other, h("button", { class: "u-btn" }, "Flag"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(other.value.trim());
    });
    const reasons = REASONS.map((text) => h("button", { class: "u-btn", type: "button", onclick: () => send(text) }, text));
    const box = dialog("What is wrong with this pair?", h("div", { class: "u-stack tight u-part" }, ...reasons, form));
  }
}
