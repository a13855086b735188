// The pairs that a rater sees next: asked for and decoded ahead, so that a key finds the next pair already there.
// What it holds is blind: a pair's id, its prompt, and two pictures without a name.

const AHEAD = 4,
  MOST = 20;

export class PairSupply {
  /**
   * `ask(count)` gives the next pairs, `picture(url)` a decoded picture, `isTaken(id)` is true for what this rater has
   * voted on and what is on screen, `isShowing()` while anything is.
   */
  constructor(ask, picture, isTaken, isShowing) {
    Object.assign(this, { ask, picture, isTaken, isShowing, held: [], work: null, isAtEnd: false });
  }

  /** The next pair, decoded; undefined where none is here yet. */
  take() {
    return this.held.shift();
  }

  /** Puts a pair in front: the one that an undo takes leave of. */
  putBack(pair) {
    this.held.unshift(pair);
  }

  /** Another tab has voted on it. */
  drop(id) {
    this.held = this.held.filter((pair) => pair.pair_id !== id);
  }

  /** Asks until enough are held; `numWaiting` votes that are not sent yet make the studio offer their pairs again. */
  fill(numWaiting = 0) {
    this.work ??= this.more(numWaiting).finally(() => {
      this.work = null;
    });
    return this.work;
  }

  async more(numWaiting) {
    if (this.held.length >= AHEAD) return;
    // What is on screen and what waits to be sent is offered again, for the studio knows nothing of it.
    const offered = await this.ask(Math.min(AHEAD + 1 + numWaiting, MOST));
    this.isAtEnd = offered.length === 0;
    for (const pair of offered) {
      // The studio may have had the waiting votes by then, and so have offered more than was missing.
      if (this.held.length >= AHEAD + (this.isShowing() ? 0 : 1)) return;
      if (!this.isNew(pair.pair_id)) continue;
      const loaded = await this.load(pair);
      // While it was loading, this rater may have voted on it in another tab.
      if (this.isNew(pair.pair_id)) this.held.push(loaded);
    }
  }

  /** Takes up pairs that were kept with their pictures; one whose pictures are not all there is left out. */
  async restore(pairs) {
    const loaded = await Promise.all(pairs.filter(({ pair_id: id }) => this.isNew(id)).map((pair) => this.load(pair).catch(() => null)));
    this.held.push(...loaded.filter((pair) => pair && this.isNew(pair.pair_id)));
  }

  isNew(id) {
    return !this.isTaken(id) && this.held.every((pair) => pair.pair_id !== id);
  }

  /** A pair with both pictures decoded: to show them costs one frame. */
  async load(pair) {
    const [left, right] = await Promise.all([this.picture(pair.left_url), this.picture(pair.right_url)]);
    left.alt = `left picture for: ${pair.prompt}`;
    right.alt = `right picture for: ${pair.prompt}`;
    return { ...pair, left, right };
  }
}
