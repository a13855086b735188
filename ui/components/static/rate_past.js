// The last votes of one tab, kept through a reload, so that undo goes on where it was; the pictures of the newest ones
// stay in the page, so that it mostly needs no network.
import { plain } from "./rate_kept.js";
import { ofThisTab } from "./rate_store.js";

const NUM_PAST = 50,
  NUM_KEPT = 6;

export class Past {
  constructor(token) {
    Object.assign(this, { key: `unmask-rating-past/${token}`, kept: new Map() });
    this.votes = JSON.parse(ofThisTab.get(this.key) ?? "[]");
  }

  add(id, pair) {
    this.remember([...this.votes, { id, pair: plain(pair) }].slice(-NUM_PAST));
    this.kept.delete(pair.pair_id);
    this.kept.set(pair.pair_id, pair);
    const [oldest] = this.kept.values();
    if (this.kept.size <= NUM_KEPT) return;
    this.kept.delete(oldest.pair_id);
    for (const side of [oldest.left, oldest.right]) if (side.src) URL.revokeObjectURL(side.src);
  }

  /** The last vote that can be taken back, no longer among them; undefined where there is none. */
  pop() {
    const last = this.votes.at(-1);
    this.remember(this.votes.slice(0, -1));
    return last;
  }

  putBack(vote) {
    this.remember([...this.votes, vote]);
  }

  /** The studio did not take it, so there is nothing to take back. */
  drop(id) {
    this.remember(this.votes.filter((vote) => vote.id !== id));
  }

  /** The pair of a vote with its pictures, where they are still here. */
  pair(vote) {
    return this.kept.get(vote.pair.pair_id);
  }

  remember(votes) {
    this.votes = votes;
    ofThisTab.set(this.key, JSON.stringify(votes));
  }
}
