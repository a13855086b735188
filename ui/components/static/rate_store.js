// What a rater's browser keeps: its own storage, or, where that is full or forbidden, this page for as long as it is open.

/** A UUID of version 4. Browsers give `randomUUID` to secure pages only, and a studio on a laptop's network is none. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export class Store {
  /** `area()` gives localStorage or sessionStorage, or throws where pages may keep nothing. */
  constructor(area) {
    Object.assign(this, { area, unkept: new Map() });
  }

  get(key) {
    return this.unkept.get(key) ?? this.tried((kept) => kept.getItem(key), null);
  }

  set(key, text) {
    this.unkept.set(key, String(text));
    this.tried((kept) => {
      kept.setItem(key, text);
      this.unkept.delete(key);
    });
  }

  remove(key) {
    this.unkept.delete(key);
    this.tried((kept) => kept.removeItem(key));
  }

  keys() {
    return [...this.tried((kept) => Object.keys(kept), []), ...this.unkept.keys()];
  }

  tried(use, otherwise) {
    try {
      return use(this.area());
    } catch {
      return otherwise;
    }
  }
}

/** Shared by the tabs of a browser, and kept when it is closed. */
export const lasting = new Store(() => localStorage);
/** Of one tab, and kept through a reload. */
export const ofThisTab = new Store(() => sessionStorage);

/** What all tabs of a rater share, in the order in which it was added. Each item has a key of its own, so that tabs
 * never overwrite each other's. */
export class KeptItems {
  constructor(prefix) {
    this.prefix = prefix;
  }

  keys() {
    return lasting.keys().filter((key) => key.startsWith(this.prefix));
  }

  all() {
    // Another tab may have taken one away since.
    const texts = this.keys().sort().map((key) => [key, lasting.get(key)]);
    return texts.filter(([, text]) => text).map(([key, text]) => ({ ...JSON.parse(text), key }));
  }

  /** Behind all that is kept, whatever the clock says: set back meanwhile, it would have an undo overtake its vote. */
  add({ key: _, ...item }) {
    const times = this.keys().map((key) => parseInt(key.slice(this.prefix.length), 10)).filter(Number.isFinite);
    const time = Math.max(Date.now(), ...times.map((each) => each + 1));
    lasting.set(`${this.prefix}${time}-${newId().slice(0, 8)}`, JSON.stringify(item));
  }

  remove({ key }) {
    lasting.remove(key);
  }
}

/** "first" or "changed" once for each version of a guideline, also for a rater who comes back another day; else false. */
export function isNewGuideline(token, { guideline, guideline_version: version }) {
  const key = `unmask-rating-guideline/${token}`,
    seen = lasting.get(key);
  if (!guideline || seen === String(version)) return false;
  lasting.set(key, version);
  return seen === null ? "first" : "changed";
}
