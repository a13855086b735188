// A list that comes by pages. An answer that was overtaken by a later question is thrown away.
import { get } from "./api.js";
import { failure, show } from "./dom.js";

export class PagedList {
  /** `pathOf(after)` is what to ask for; `draw()` shows `items`; what fails is shown in `body`. */
  constructor(pathOf, draw, body) {
    Object.assign(this, { pathOf, draw, body, items: [], cursor: null, turn: 0 });
  }

  get hasMore() {
    return this.cursor !== null;
  }

  async load(isMore = false) {
    const turn = ++this.turn;
    try {
      const page = await get(this.pathOf(isMore ? this.cursor : null));
      if (turn !== this.turn) return;
      this.items = isMore ? [...this.items, ...page.data] : page.data;
      this.cursor = page.has_more ? page.next_cursor : null;
      this.draw();
    } catch (error) {
      if (turn !== this.turn) return;
      show(
        this.body,
        failure(error, () => this.load()),
      );
    }
  }
}
