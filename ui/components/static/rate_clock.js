// How long a rater looked at a pair: time in which the page was hidden is no time of judging.

// The longest that the studio takes; a pair may stay on a screen for days.
const MOST_MS = 24 * 3600 * 1000;

export class Clock {
  constructor() {
    Object.assign(this, { since: 0, hiddenAt: 0 });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.hiddenAt = performance.now();
      else if (this.hiddenAt) this.since += performance.now() - Math.max(this.hiddenAt, this.since);
    });
  }

  start() {
    this.since = performance.now();
  }

  /** Whole milliseconds since the start. */
  read() {
    return Math.min(Math.max(Math.round(performance.now() - this.since), 0), MOST_MS);
  }
}
