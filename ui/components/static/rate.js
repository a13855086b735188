// The rater's page: two pictures, a prompt, a choice by key or by touch. The token of the link is all it knows; a vote
// is written down before the next pair is shown, and the next pair is there before the vote is made.
import { toast } from "./dom.js";
import { Clock } from "./rate_clock.js";
import { Door } from "./rate_door.js";
import { KeptPairs, keepPage } from "./rate_kept.js";
import { onKeys } from "./rate_keys.js";
import { Outbox, isPassing, isSettled, isShutting, markTaken } from "./rate_outbox.js";
import { PairSupply } from "./rate_pairs.js";
import { Past } from "./rate_past.js";
import { Refused, untaken } from "./rate_refused.js";
import { isNewGuideline, newId } from "./rate_store.js";
import { RateView } from "./rate_view.js";

const RETRY_MS = 3000,
  RENEW_MS = 15000,
  LOOK_AGAIN_MS = 30000,
  PATIENCE_MS = 4000,
  CLOSED = 410;

class Rating {
  constructor(root, token) {
    this.token = token;
    this.kept = new KeptPairs(token);
    this.door = new Door(token, this.kept);
    this.past = new Past(token);
    this.refusals = new Refused(token, () => this.tellUntaken());
    this.clock = new Clock();
    Object.assign(this, { taken: new Set(), shown: null, task: null, isKept: false, isShut: false });
    Object.assign(this, { timer: 0, renewedAt: 0, count: 0 });
    const on = { choose: (choice) => this.vote(choice), undo: () => this.undo() };
    this.view = new RateView(root, { ...on, flag: (reason) => this.flag(reason), retry: () => this.start() });
    this.outbox = new Outbox(token, (item) => this.door.send(item), {
      change: () => this.changed(),
      refused: (item, error) => this.refused(item, error),
      shut: () => this.shut(),
      elsewhere: (item) => this.elsewhere(item),
    });
    this.supply = new PairSupply(
      (count) => this.ask(count),
      (url) => this.door.picture(url),
      (id) => this.taken.has(id) || this.shown?.pair_id === id,
      () => this.shown !== null,
    );
    onKeys({ ...on, hasPair: () => this.shown !== null, why: () => this.view.askWhy() });
    document.addEventListener("visibilitychange", () => document.hidden || this.outbox.drain());
  }

  async start() {
    markTaken(this.unsettled(), this.taken);
    this.tellUntaken();
    this.isShut = false;
    this.outbox.drain();
    const late = setTimeout(() => this.openKept(), PATIENCE_MS);
    try {
      await this.renew();
    } catch (error) {
      if (isPassing(error)) await this.openKept();
      return this.failed(error);
    } finally {
      clearTimeout(late);
    }
    if (this.task.status === "closed") this.close();
    else this.next();
  }

  /** What this rater did that the studio does not have, or not yet. */
  unsettled() {
    return [...this.refusals.items(), ...this.outbox.items()];
  }

  /** The task as it is now: its guideline, and how far this rater is. */
  async renew() {
    const asked = performance.now();
    const task = (await this.door.call("GET", "/rating")).data;
    this.renewedAt = asked;
    if (this.isKept) this.view.say("The connection is back.");
    this.isKept = false;
    this.learn(task);
  }

  learn(task) {
    this.task = task;
    this.count = task.num_done + this.outbox.numAhead;
    this.view.task(task, isNewGuideline(this.token, task));
    this.view.counted(this.count, task.num_wanted);
  }

  /** Without a network: the task as it was last, and the pairs that were kept ahead. */
  async openKept() {
    const found = this.task ? null : await this.kept.read();
    if (!found || this.task) return;
    this.isKept = true;
    this.learn(found.task);
    await this.supply.restore(found.pairs);
    if (!this.shown) this.show(this.supply.take());
    if (this.shown) this.view.fromKept();
  }

  /** What is on screen and behind it is kept, so that the page opens with it also where there is no network. */
  keep() {
    if (!this.task || this.isShut) return;
    const pairs = [...(this.shown ? [this.shown] : []), ...this.supply.held];
    this.kept.keep({ ...this.task, num_done: this.count - this.outbox.numAhead }, pairs);
  }

  step(by) {
    this.count += by;
    if (this.task) this.view.counted(this.count, this.task.num_wanted);
  }

  async ask(count) {
    // With nothing on its way the studio knows best what is voted on.
    if (!this.outbox.items().length) this.taken.clear();
    markTaken(this.unsettled(), this.taken);
    return (await this.door.call("GET", `/rating/next?count=${count}`)).data.data;
  }

  /** Shows the next pair at once where it is held, and has more fetched behind it. */
  next() {
    clearTimeout(this.timer);
    if (!this.shown) this.show(this.supply.take());
    this.supply.fill(this.unsettled().length).then(
      () => this.filled(),
      (error) => this.failed(error),
    );
  }

  filled() {
    if (!this.shown && !this.isShut) this.show(this.supply.take());
    this.keep();
    if (this.shown || this.isShut) return;
    // What is offered is taken already, or nothing is: the studio knows for sure once it has every vote.
    if (this.outbox.items().length) return this.view.waiting(this.outbox.isStuck);
    const isDone = this.supply.isAtEnd && this.task.num_done >= this.task.num_wanted;
    // Others may give pairs back, so it is asked again from time to time, also at the end.
    this.timer = setTimeout(() => this.again(), isDone ? LOOK_AGAIN_MS : RETRY_MS);
    if (isDone) this.view.done(this.past.votes.length > 0);
    else if (this.refusals.items().length && !this.supply.isAtEnd) this.view.stopped();
    else this.view.waiting(false);
  }

  again() {
    clearTimeout(this.timer);
    this.renew().then(
      () => this.shown || this.next(),
      (error) => this.failed(error),
    );
  }

  show(pair) {
    this.shown = pair ?? null;
    this.clock.start();
    if (pair) this.view.pair(pair);
  }

  failed(error) {
    if (error.status === CLOSED) return this.close();
    if (isShutting(error)) return this.shut();
    if (this.isShut) return;
    if (!isPassing(error)) {
      if (this.shown) this.supply.putBack(this.shown);
      this.shown = null;
      return this.view.failed(error);
    }
    // A pair on screen can be voted on all the same.
    clearTimeout(this.timer);
    const isOpen = this.task && !this.isKept;
    this.timer = setTimeout(() => (isOpen ? !this.shown && this.next() : this.start()), RETRY_MS);
    if (!this.shown) this.view.offline();
  }

  vote(choice) {
    if (!this.shown) return;
    const pair = this.shown,
      id = newId();
    // The version that this rater has read, which may be older than what the owner has written meanwhile.
    const version = this.task?.guideline_version;
    const body = { pair_id: pair.pair_id, choice, latency_ms: this.clock.read(), guideline_version: version };
    this.taken.add(pair.pair_id);
    this.past.add(id, pair);
    this.shown = null;
    this.step(1);
    this.outbox.add({ kind: "vote", id, pair_id: pair.pair_id, body });
    this.view.said(choice);
    this.next();
    this.keep();
  }

  /** Takes the last vote of this tab back, and shows its pair again; the studio keeps both. */
  async undo() {
    const last = this.past.pop();
    if (!last) return this.view.say("There is no vote of this visit left to take back.");
    let pair;
    try {
      pair = this.past.pair(last) ?? (await this.supply.load(last.pair));
    } catch (error) {
      this.past.putBack(last);
      return toast(`The pair could not be fetched again: ${error.message}`);
    }
    this.taken.delete(last.pair.pair_id);
    this.supply.drop(last.pair.pair_id);
    if (this.shown) this.supply.putBack(this.shown);
    this.outbox.add({ kind: "undo", id: last.id, pair_id: last.pair.pair_id });
    this.step(-1);
    this.show(pair);
    this.keep();
    this.view.say("Taken back. Choose again.");
  }

  flag(reason) {
    if (!this.shown) return;
    const { pair_id: id } = this.shown;
    this.outbox.add({ kind: "flag", id: newId(), pair_id: id, body: { pair_id: id, reason } });
    this.view.say("Flagged. Choose or skip the pair now.");
  }

  /** What waits has changed, here or in another tab. */
  changed() {
    const waiting = this.outbox.items();
    this.view.waitingVotes(waiting, this.outbox.isStuck);
    if (this.isShut) return this.tell();
    if (waiting.length || !this.task) return;
    this.keep();
    if (!this.shown) return this.again();
    if (performance.now() - this.renewedAt > RENEW_MS) this.renew().catch(() => {});
  }

  elsewhere({ kind, pair_id: id }) {
    if (kind === "undo") this.taken.delete(id);
    if (kind === "undo") this.step(-1);
    if (kind !== "vote") return;
    this.step(1);
    this.taken.add(id);
    this.supply.drop(id);
    if (this.shown?.pair_id !== id) return;
    this.shown = null;
    this.view.say("You have voted on that pair in another tab.");
    this.next();
  }

  /** Another tab was quicker, say, and nothing is missing; or nobody knows why, and then it is kept and told. */
  refused(item, error) {
    const { kind, id } = item,
      settled = isSettled(item, error);
    if (kind === "vote") this.step(-1);
    if (kind === "undo") this.refusals.drop(id);
    this.past.drop(id);
    if (!settled) this.refusals.add(item, error);
    if (!settled && kind === "vote") this.door.tell(item, error);
    this.tellUntaken();
    const what = kind === "vote" ? "A vote" : "Taking a vote back";
    this.view.say(settled ? `${what} was not accepted: ${error.message}` : "");
  }

  /** What was refused, and what can never be sent because the link was withdrawn. */
  tellUntaken(isWithdrawn = false) {
    const unsent = isWithdrawn ? this.outbox.items() : [];
    this.view.notTaken(untaken(this.refusals.items(), unsent, () => this.sendAgain()));
  }

  sendAgain() {
    this.refusals.handOver((item) => {
      if (item.kind === "vote") this.step(1);
      this.outbox.add(item);
    });
    this.isShut ? this.start() : this.tellUntaken();
  }

  /** The link was withdrawn: what waits can never be sent. */
  shut() {
    this.tellUntaken(true);
    this.end(() => this.view.shut());
  }

  /** The task is closed: nothing new is shown, and what waits is still taken. */
  close() {
    this.end(() => this.view.closed(this.outbox.items().length));
  }

  end(tell) {
    clearTimeout(this.timer);
    Object.assign(this, { isShut: true, shown: null, tell });
    this.kept.clear();
    tell();
  }
}

const root = document.querySelector(".u-rate");
const open = () => {
  const token = decodeURIComponent(location.hash.slice(1));
  if (!token) return new RateView(root, {}).noLink();
  keepPage();
  new Rating(root, token).start();
};
// Another link in the same tab is another rater: everything begins anew.
addEventListener("hashchange", () => location.reload());
open();
