// What a picture will be once it has grown: its size in cells, where each part lies, how many windows that takes.
// The rules of backend/schemas/editing.py and worker/maskgrpo/extrapolation.py, for what is shown before anything runs.

export const SIDES = ["up", "left", "right", "down"];
export const MAX_EXTENSIONS = 16;
export const MAX_GROWTH = 8;

export class Growing {
  /** A picture of `rows` x `columns` cells, and a policy whose own pictures have `side` x `side`. */
  constructor(rows, columns, side) {
    Object.assign(this, { rows, columns, side, half: Math.floor(side / 2), extensions: [] });
    this.added = this.half;
  }

  isTooLarge(extensions = this.extensions) {
    const { rows, columns } = this.sizeOf(extensions);
    return rows * columns > MAX_GROWTH * this.side ** 2;
  }

  canAdd(side) {
    return this.extensions.length < MAX_EXTENSIONS && !this.isTooLarge([...this.extensions, { side }]);
  }

  sizeOf(extensions) {
    const sideways = extensions.filter(({ side }) => isSideways(side)).length;
    return { rows: this.rows + (extensions.length - sideways) * this.added, columns: this.columns + sideways * this.added };
  }

  /** The size in the end, and on it the place of what is there (`start`) and of each part that is `added`. */
  plan() {
    const { extensions, added } = this;
    let numWindows = 0;
    const parts = extensions.map(({ side }, index) => {
      const size = this.sizeOf(extensions.slice(0, index + 1)),
        corner = this.corner(index + 1);
      numWindows += this.windowsAlong(isSideways(side) ? size.rows : size.columns);
      const top = side === "down" ? corner.top + size.rows - added : corner.top,
        left = side === "right" ? corner.left + size.columns - added : corner.left;
      return isSideways(side) ? { top, left, rows: size.rows, columns: added } : { top, left, rows: added, columns: size.columns };
    });
    return { ...this.sizeOf(extensions), start: { ...this.corner(0), rows: this.rows, columns: this.columns }, added: parts, numWindows };
  }

  /** Where the picture begins, on the grid of the end, after `count` extensions: later ones push it down and right. */
  corner(count) {
    const later = this.extensions.slice(count);
    const cells = (name) => later.filter(({ side }) => side === name).length * this.added;
    return { top: cells("up"), left: cells("left") };
  }

  /** Windows half a window apart that cover an edge, the last at its end. */
  windowsAlong(length) {
    return Math.ceil((length - this.side) / Math.max(1, this.half)) + 1;
  }
}

const isSideways = (side) => side === "left" || side === "right";
