// The rater's page: two pictures, a prompt, a choice by key or by touch. The token of the link is all it knows; a vote
// is written down before the next pair is shown, and the next pair is there before the vote is made.
import { toast } from "./dom.js";
import { Door } from "./rate_door.js";
import { Outbox, isPassing, isShutting, newId } from "./rate_outbox.js";
import { PairSupply } from "./rate_pairs.js";
import { lasting, ofThisTab } from "./rate_store.js";
import { RateView } from "./rate_view.js";

const RETRY_MS = 3000,
  RENEW_MS = 15000,
  LOOK_AGAIN_MS = 30000,
  CLOSED = 410,
  NUM_PAST = 50,
  NUM_KEPT = 6;
const CHOICES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "tie", ArrowDown: "both_bad", s: "skip" };

class Rating {
  constructor(root, token) {
    this.token = token;
    this.door = new Door(token);
    this.pastKey = `unmask-rating-past/${token}`;
    // Of this tab, and kept through a reload, so that undo goes on where it was.
    this.past = JSON.parse(ofThisTab.get(this.pastKey) ?? "[]");
    Object.assign(this, { taken: new Set(), kept: new Map(), shown: null, task: null, isShut: false });
    Object.assign(this, { timer: 0, hiddenAt: 0, renewedAt: 0, count: 0 });
    this.view = new RateView(root, {
      choose: (choice) => this.vote(choice),
      undo: () => this.undo(),
      flag: (reason) => this.flag(reason),
      retry: () => this.start(),
    });
    this.outbox = new Outbox(token, (item) => this.door.send(item), {
      change: () => this.changed(),
      refused: (item, error) => this.refused(item, error),
      shut: () => this.shut(),
      elsewhere: (item) => this.elsewhere(item),
    });
    this.supply = new PairSupply(
      (count) => this.ask(count),
      (url) => this.door.picture(url),
      (id) => this.taken.has(id) || this.shown?.pair.pair_id === id,
    );
    addEventListener("keydown", (event) => this.press(event));
    document.addEventListener("visibilitychange", () => this.looked());
  }

  async start() {
    for (const { kind, pair_id: id } of this.outbox.items()) if (kind === "vote") this.taken.add(id);
    this.isShut = false;
    this.outbox.drain();
    try {
      await this.renew();
    } catch (error) {
      return this.failed(error);
    }
    if (this.task.status === "closed") this.close();
    else this.next();
  }

  /** The task as it is now: its guideline, and how far this rater is. */
  async renew() {
    const asked = performance.now();
    const task = (await this.door.call("GET", "/rating")).data;
    this.renewedAt = asked;
    this.task = task;
    const waiting = this.outbox.items();
    const of = (wanted) => waiting.filter(({ kind }) => kind === wanted).length;
    this.count = task.num_done + of("vote") - of("undo");
    this.view.task(task, this.isNewGuideline(task));
    this.view.counted(this.count, task.num_wanted);
  }

  /** True once for each version, also for a rater who comes back another day. */
  isNewGuideline({ guideline, guideline_version: version }) {
    const key = `unmask-rating-guideline/${this.token}`,
      seen = lasting.get(key);
    if (!guideline || seen === String(version)) return false;
    lasting.set(key, version);
    return seen === null ? "first" : "changed";
  }

  step(by) {
    this.count += by;
    if (this.task) this.view.counted(this.count, this.task.num_wanted);
  }

  async ask(count) {
    // With nothing on its way the studio knows best what is voted on.
    if (!this.outbox.items().length) this.taken.clear();
    return (await this.door.call("GET", `/rating/next?count=${count}`)).data.data;
  }

  /** Shows the next pair at once where it is held, and has more fetched behind it. */
  next() {
    clearTimeout(this.timer);
    this.show(this.supply.take());
    const wait = this.outbox.items().length;
    this.supply.fill(wait).then(
      () => this.filled(),
      (error) => this.failed(error),
    );
  }

  filled() {
    if (this.shown || this.isShut) return;
    const pair = this.supply.take();
    if (pair) return this.show(pair);
    // What is offered is taken already, or nothing is: the studio knows for sure once it has every vote.
    if (this.outbox.items().length) return this.view.waiting(this.outbox.isStuck);
    const isDone = this.supply.isAtEnd && this.task.num_done >= this.task.num_wanted;
    // Others may give pairs back, so it is asked again from time to time, also at the end.
    this.timer = setTimeout(() => this.again(), isDone ? LOOK_AGAIN_MS : RETRY_MS);
    if (isDone) this.view.done(this.past.length > 0);
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
    this.shown = pair ? { pair, since: performance.now() } : null;
    if (pair) this.view.pair(pair);
  }

  failed(error) {
    if (error.status === CLOSED) return this.close();
    if (isShutting(error)) return this.shut();
    if (!isPassing(error)) return this.view.failed(error);
    // A pair on screen can be voted on all the same.
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.task ? !this.shown && this.next() : this.start()), RETRY_MS);
    if (!this.shown) this.view.offline();
  }

  vote(choice) {
    if (!this.shown) return;
    const { pair, since } = this.shown;
    const id = newId();
    const latency = Math.round(performance.now() - since);
    this.taken.add(pair.pair_id);
    this.remember([...this.past, { id, pair: plain(pair) }].slice(-NUM_PAST));
    this.shown = null;
    this.keep(pair);
    this.step(1);
    // The version that this rater has read, which may be older than what the owner has written meanwhile.
    const body = { pair_id: pair.pair_id, choice, latency_ms: latency, guideline_version: this.task?.guideline_version };
    this.outbox.add({ kind: "vote", id, pair_id: pair.pair_id, body });
    this.view.said(choice);
    this.next();
  }

  /** Takes the last vote of this tab back, and shows its pair again; the studio keeps both. */
  async undo() {
    const last = this.past.at(-1);
    if (!last) return this.view.say("There is no vote of this visit left to take back.");
    this.remember(this.past.slice(0, -1));
    let pair;
    try {
      pair = this.kept.get(last.pair.pair_id) ?? (await this.supply.load(last.pair));
    } catch (error) {
      this.remember([...this.past, last]);
      return toast(`The pair could not be fetched again: ${error.message}`);
    }
    this.taken.delete(last.pair.pair_id);
    this.supply.drop(last.pair.pair_id);
    if (this.shown) this.supply.putBack(this.shown.pair);
    this.outbox.add({ kind: "undo", id: last.id, pair_id: last.pair.pair_id });
    this.step(-1);
    this.show(pair);
    this.view.say("Taken back. Choose again.");
  }

  flag(reason) {
    if (!this.shown) return;
    const { pair_id: id } = this.shown.pair;
    this.outbox.add({ kind: "flag", id: newId(), pair_id: id, body: { pair_id: id, reason } });
    this.view.say("Flagged. Choose or skip the pair now.");
  }

  /** What waits has changed, here or in another tab. */
  changed() {
    const waiting = this.outbox.items();
    this.view.waitingVotes(waiting, this.outbox.isStuck);
    if (this.isShut) return this.tell();
    if (waiting.length || !this.task) return;
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
    if (this.shown?.pair.pair_id !== id) return;
    this.shown = null;
    this.view.say("You have voted on that pair in another tab.");
    this.next();
  }

  /** Another tab was quicker, say: nothing of it counts, and nothing of it can be taken back. */
  refused({ kind, id }, error) {
    if (kind === "vote") this.step(-1);
    this.remember(this.past.filter((vote) => vote.id !== id));
    const what = { vote: "A vote", undo: "Taking a vote back", flag: "A flag" }[kind];
    this.view.say(`${what} was not accepted: ${error.message}`);
  }

  /** The link was withdrawn: what waits can never be sent. */
  shut() {
    this.end(() => this.view.shut());
  }

  /** The task is closed: nothing new is shown, and what waits is still taken. */
  close() {
    this.end(() => this.view.closed(this.outbox.items().length));
  }

  end(tell) {
    clearTimeout(this.timer);
    Object.assign(this, { isShut: true, shown: null, tell });
    tell();
  }

  press(event) {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, textarea")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in CHOICES && this.shown) this.vote(CHOICES[key]);
    else if (key === "u") this.undo();
    else if (key === "f" && this.shown) this.view.askWhy();
    else return;
    event.preventDefault();
  }

  /** Time in which the page was not looked at is no time of judging. */
  looked() {
    if (document.hidden) this.hiddenAt = performance.now();
    else if (this.shown && this.hiddenAt) this.shown.since += performance.now() - Math.max(this.hiddenAt, this.shown.since);
    if (!document.hidden) this.outbox.drain();
  }

  /** The pictures of the last pairs stay, so that an undo needs no network; those of earlier ones are let go. */
  keep(pair) {
    this.kept.delete(pair.pair_id);
    this.kept.set(pair.pair_id, pair);
    const [oldest] = this.kept.values();
    if (this.kept.size <= NUM_KEPT) return;
    this.kept.delete(oldest.pair_id);
    for (const side of [oldest.left, oldest.right]) if (side.src) URL.revokeObjectURL(side.src);
  }

  remember(past) {
    this.past = past;
    ofThisTab.set(this.pastKey, JSON.stringify(past));
  }
}

const plain = ({ pair_id, prompt, left_url, right_url }) => ({ pair_id, prompt, left_url, right_url });

const root = document.querySelector(".u-rate");
const open = () => {
  const token = decodeURIComponent(location.hash.slice(1));
  if (token) new Rating(root, token).start();
  else new RateView(root, {}).noLink();
};
// Another link in the same tab is another rater: everything begins anew.
addEventListener("hashchange", () => location.reload());
open();
