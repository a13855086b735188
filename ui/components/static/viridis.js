// The viridis colour map (perceptually uniform, safe for colour-blind eyes) and what reads it.

// Nine anchors of matplotlib's published map; between them colours are interpolated.
const ANCHORS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

/** The colour of a share 0..1 as [red, green, blue]. */
export function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (ANCHORS.length - 1);
  const index = Math.min(Math.floor(place), ANCHORS.length - 2),
    part = place - index;
  return ANCHORS[index].map((value, channel) => Math.round(value + (ANCHORS[index + 1][channel] - value) * part));
}

export const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;

/** Paints the legend of the map into a canvas. */
export function paintScale(canvas) {
  canvas.width = 128;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  for (let x = 0; x < 128; x += 1) {
    context.fillStyle = css(viridis(x / 127));
    context.fillRect(x, 0, 1, 1);
  }
}
