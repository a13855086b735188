// The pairs that a rater's browser has ahead, kept with their pictures so that the page also opens without a network.
// Of one rater at a time, only pairs without a vote, and only where the browser allows it: at a secure address.

const PREFIX = "unmask-rate-pairs-";
// A name within the cache; nobody ever asks for this address.
const LIST = "/rate/kept";

/** Has the browser keep the page itself, where it does so for this address; elsewhere all stays as it is. */
export function keepPage() {
  navigator.serviceWorker?.register("/studio/rate_worker.js", { scope: "/rate", updateViaCache: "none" }).catch(() => {});
}

export class KeptPairs {
  constructor(token) {
    Object.assign(this, { token, wanted: null, isOver: false, work: Promise.resolve() });
    this.cache = this.open();
  }

  /** This rater's cache, without those of other raters; null where the browser keeps nothing. */
  async open() {
    try {
      const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(this.token));
      // The token itself is in no name and in no address.
      this.name = PREFIX + [...new Uint8Array(bytes).slice(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const others = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== this.name);
      await Promise.all(others.map((name) => caches.delete(name)));
      return await caches.open(this.name);
    } catch {
      return null;
    }
  }

  /** `{ task, pairs }` as they were last; null where nothing is kept. */
  async read() {
    const found = await (await this.cache)?.match(LIST).catch(() => null);
    return found ? found.json() : null;
  }

  /** A kept picture's bytes, or undefined. */
  async picture(url) {
    const found = await (await this.cache)?.match(url).catch(() => undefined);
    return found?.blob();
  }

  /** Makes these pairs the kept ones, and no others; what is wanted meanwhile replaces what waits to be written. */
  keep(task, pairs) {
    this.wanted = { task, pairs: pairs.filter(({ left, right }) => left.blob && right.blob) };
    this.work = this.work.then(() => this.write()).catch(() => {});
  }

  /** Nothing more is kept from now on: the task is closed, or the link was withdrawn. */
  clear() {
    this.isOver = true;
    this.work = this.work.then(() => this.cache).then((cache) => cache && caches.delete(this.name)).catch(() => {});
  }

  async write() {
    const cache = await this.cache,
      wanted = this.wanted;
    this.wanted = null;
    if (!cache || !wanted || this.isOver) return;
    const { task, pairs } = wanted;
    const held = new Map();
    for (const request of await cache.keys()) held.set(new URL(request.url).pathname, request);
    held.delete(LIST);
    const pictures = pairs.flatMap((pair) => [[pair.left_url, pair.left.blob], [pair.right_url, pair.right.blob]]);
    for (const [url, blob] of pictures) if (!held.delete(url)) await cache.put(url, new Response(blob));
    await cache.put(LIST, new Response(JSON.stringify({ task, pairs: pairs.map(plain) })));
    for (const request of held.values()) await cache.delete(request);
  }
}

/** A pair as the studio told it, without what was decoded. */
export const plain = ({ pair_id, prompt, left_url, right_url }) => ({ pair_id, prompt, left_url, right_url });
