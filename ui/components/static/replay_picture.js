// The picture beside the token grid at a step: decoded then, or the finished picture with the masked cells covered.
import { h } from "./dom.js";

export function pictureStage(sample, trajectory) {
  const image = h("img", { alt: sample.prompt, width: 320, height: 320 });
  const note = trajectory.is_decoded
    ? null
    : h(
        "p",
        { class: "u-small u-muted" },
        "This sample was not decoded step by step: it is the finished picture, cells that are still masked covered.",
      );
  const frames = trajectory.steps.map((step) => {
    const frame = new Image();
    frame.src = step.image_url ?? "";
    return frame;
  });
  return {
    element: h("div", { class: "u-stack tight" }, h("div", { class: "u-frame" }, image), note),
    show: (step) => {
      image.src = frames[step].src;
    },
  };
}
