// The picture beside the token grid at a step: decoded then, or the finished picture with the masked cells covered.
import { h } from "./dom.js";

export function pictureStage(sample, trajectory) {
  const image = h("img", { alt: sample.prompt, width: 320, height: Math.round((320 * trajectory.num_rows) / trajectory.num_columns), style: shapeOf(trajectory) });
  const note = h("div", { class: "u-small u-muted", role: "status" });
  let frames = framesOf(trajectory),
    at = 0;
  const show = (step) => {
    at = step;
    image.src = frames[step].src;
  };
  return {
    element: h("div", { class: "u-stack tight" }, h("div", { class: "u-frame" }, image), note),
    show,
    /** What stands below the picture: a sentence or an element. */
    say: (content) => note.replaceChildren(content),
    /** Shows the pictures of a trajectory that was read anew, once all of them are there, so that nothing flickers. */
    swap: async (newer) => {
      const loaded = framesOf(newer);
      await Promise.all(loaded.map((frame) => frame.decode()));
      frames = loaded;
      note.replaceChildren();
      show(at);
    },
  };
}

const TALLEST_PX = 640;

/** The shape of a picture or a token grid that may have grown: as wide as there is room, but not beyond the screen's height. */
export function shapeOf({ num_rows: rows, num_columns: columns }) {
  const isTall = rows > columns;
  return `aspect-ratio:${columns} / ${rows}${isTall ? `;max-width:${Math.round((TALLEST_PX * columns) / rows)}px` : ""}`;
}

function framesOf(trajectory) {
  return trajectory.steps.map((step) => {
    const frame = new Image();
    frame.src = step.image_url ?? "";
    return frame;
  });
}
