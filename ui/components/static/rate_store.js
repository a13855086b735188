// What a rater's browser keeps: its own storage, or, where that is full or forbidden, this page for as long as it is open.

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
