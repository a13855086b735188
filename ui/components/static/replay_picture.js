// The picture beside the token grid: the frame decoded at a step, or, where none was kept, the finished picture with
// the cells that are still masked covered.
import { h } from "./dom.js";

export function pictureStage(sample, trajectory) {
  const image = h("img", { alt: sample.prompt, width: 320, height: 320 }),
    canvas = h("canvas", { role: "img", "aria-label": sample.prompt, hidden: true });
  const note = h("p", { class: "u-small u-muted" }),
    whole = new Image();
  let hasFrames = true,
    at = 0;
  const frames = trajectory.steps.map((step) => {
    const frame = new Image();
    frame.src = step.image_url ?? "";
    return frame;
  });

  const draw = () => {
    image.hidden = !hasFrames;
    canvas.hidden = hasFrames;
    note.textContent = hasFrames
      ? ""
      : "No decoded frames were kept for this sample: the finished picture, masked cells covered.";
    if (hasFrames) image.src = frames[at].src;
    else cover(canvas, whole, trajectory, at);
  };
  frames[0].addEventListener("error", () => {
    hasFrames = false;
    whole.addEventListener("load", draw);
    whole.src = sample.image_url;
  });
  return {
    element: h("div", { class: "u-stack tight" }, h("div", { class: "u-frame" }, image, canvas), note),
    show: (step) => {
      at = step;
      draw();
    },
  };
}

function cover(canvas, whole, trajectory, at) {
  if (!whole.naturalWidth) return;
  canvas.width = whole.naturalWidth;
  canvas.height = whole.naturalHeight;
  const context = canvas.getContext("2d"),
    width = canvas.width / trajectory.num_columns,
    height = canvas.height / trajectory.num_rows;
  context.drawImage(whole, 0, 0);
  context.fillStyle = "#808080";
  trajectory.steps[at].codes.forEach((code, cell) => {
    if (code < 0)
      context.fillRect(
        (cell % trajectory.num_columns) * width,
        Math.floor(cell / trajectory.num_columns) * height,
        width,
        height,
      );
  });
}
