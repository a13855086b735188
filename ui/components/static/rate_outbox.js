// What a rater has done, kept in the browser until the studio has acknowledged it: a vote outlives a lost network, a
// reload, a second tab and a restart of the studio. Knows ids and requests, neither pictures nor pages.
import { KeptItems } from "./rate_store.js";

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];

export class Outbox {
  /**
   * `send(item)` is one request. `on.change()` after what waits has changed, `on.refused(item, error)` for what the
   * studio does not take, while it is still here, `on.shut()` when the link is no longer good, `on.elsewhere(item)` for
   * another tab's.
   */
  constructor(token, send, on) {
    Object.assign(this, { send, on, prefix: `unmask-rating/${token}/`, numFailed: 0, timer: 0, work: null, isShut: false });
    this.kept = new KeptItems(this.prefix);
    addEventListener("online", () => this.drain());
    addEventListener("storage", (event) => {
      if (!event.key?.startsWith(this.prefix)) return;
      if (event.newValue) this.on.elsewhere(JSON.parse(event.newValue));
      this.on.change();
    });
  }

  /** What waits, in the order in which it was done. */
  items() {
    return this.kept.all();
  }

  /** How many pairs this rater is done with that the studio does not know of yet. */
  get numAhead() {
    const of = (wanted) => this.items().filter(({ kind }) => kind === wanted).length;
    return of("vote") - of("undo");
  }

  get isStuck() {
    return this.numFailed > 0;
  }

  add(item) {
    this.kept.add(item);
    this.on.change();
    return this.drain();
  }

  /** Sends what waits, oldest first, one at a time; resolves when nothing waits or when it has to wait longer. */
  drain() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.work ??= this.alone(() => this.sendAll()).finally(() => {
      this.work = null;
      // What was added while the last answer was on its way.
      if (!this.timer && !this.isShut && this.items().length) this.drain();
    });
    return this.work;
  }

  /** Of several tabs one sends at a time. Where there are no locks both do, and the studio counts each id once. */
  alone(run) {
    return navigator.locks ? navigator.locks.request(this.prefix, run) : run();
  }

  async sendAll() {
    for (let item; (item = this.items()[0]); ) {
      try {
        await this.send(item);
      } catch (error) {
        this.isShut = isShutting(error);
        if (this.isShut) return this.on.shut();
        if (isPassing(error)) return this.retry();
        this.on.refused(item, error);
      }
      this.numFailed = 0;
      this.kept.remove(item);
      this.on.change();
    }
  }

  retry() {
    const wait = RETRY_MS[Math.min(this.numFailed, RETRY_MS.length - 1)];
    this.numFailed += 1;
    this.timer = setTimeout(() => this.drain(), wait);
    this.on.change();
  }
}

/** Notes in the set `taken` which pairs are voted on, whatever the studio knows of it. */
export function markTaken(items, taken) {
  for (const { kind, pair_id: id } of items) {
    if (kind === "vote") taken.add(id);
    if (kind === "undo") taken.delete(id);
  }
}

/** True for what the next try may cure: no network, a studio that restarts or is busy, a proxy that asks to sign in. */
export function isPassing(error) {
  const isOfProxy = [401, 403, 407].includes(error.status) && !isShutting(error);
  return !error.status || isOfProxy || [408, 425, 429].includes(error.status) || error.status >= 500;
}

/** True where the studio says that the link opens nothing: it was withdrawn, or never was one. */
export function isShutting(error) {
  return error.code === "link_shut";
}

/** True for what needs no other try: this rater's vote on the pair stands already, or there is no vote to take back. */
export function isSettled({ kind }, error) {
  return (kind === "vote" && error.code === "already_voted") || (kind === "undo" && error.status === 404);
}
