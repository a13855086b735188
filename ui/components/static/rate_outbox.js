// What a rater has done, kept in the browser until the studio has acknowledged it: a vote outlives a lost network, a
// reload, a second tab and a restart of the studio. Knows ids and requests, neither pictures nor pages.
import { lasting } from "./rate_store.js";

const RETRY_MS = [1000, 2000, 4000, 8000, 15000];

/** A UUID of version 4. Browsers give `randomUUID` to secure pages only, and a studio on a laptop's network is none. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Outbox {
  /**
   * `send(item)` is one request. `on.change()` after what waits has changed, `on.refused(item, error)` for what the
   * studio will never take, `on.shut()` when the link is no longer good, `on.elsewhere(item)` for another tab's.
   */
  constructor(token, send, on) {
    Object.assign(this, { send, on, prefix: `unmask-rating/${token}/`, lastTime: 0, numFailed: 0, timer: 0 });
    Object.assign(this, { work: null, isShut: false });
    addEventListener("online", () => this.drain());
    addEventListener("storage", (event) => {
      if (!event.key?.startsWith(this.prefix)) return;
      if (event.newValue) this.on.elsewhere(JSON.parse(event.newValue));
      this.on.change();
    });
  }

  /** What waits, in the order in which it was done. */
  items() {
    const keys = lasting.keys().filter((key) => key.startsWith(this.prefix));
    // Another tab may have taken one away since.
    const texts = keys.sort().map((key) => [key, lasting.get(key)]);
    return texts.filter(([, text]) => text).map(([key, text]) => ({ ...JSON.parse(text), key }));
  }

  get isStuck() {
    return this.numFailed > 0;
  }

  /** Each has a key of its own, so that tabs never overwrite each other's. */
  add(item) {
    this.lastTime = Math.max(Date.now(), this.lastTime + 1);
    lasting.set(`${this.prefix}${this.lastTime}-${newId().slice(0, 8)}`, JSON.stringify(item));
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
      lasting.remove(item.key);
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

/** True for what the next try may cure: no network, a studio that restarts, one that is busy. */
export function isPassing(error) {
  return !error.status || [408, 425, 429].includes(error.status) || error.status >= 500;
}

/** True where the link opens nothing: it was withdrawn, or never was one. */
export function isShutting(error) {
  return error.status === 401 || error.status === 403;
}
