// Heatmaps in the browser: the same arithmetic as minipose/heatmaps.py, which tests hold it to.
//
// A map is an array of numbers, row by row; points are { x, y } with the centre of cell 0 at 0.

/** Crop px -> map px of a heatmap with this stride. */
export const toMap = (value, stride) => (value + 0.5) / stride - 0.5;

/** Map px of a heatmap with this stride -> crop px. */
export const toCrop = (value, stride) => (value + 0.5) * stride - 0.5;

/** A Gaussian of height 1 at (x, y) map px, as `encode_heatmaps` draws it. */
export function encode(x, y, sigma, width, height) {
  const fall = (cell, centre) => Math.exp(-((cell - centre) ** 2) / (2 * sigma ** 2));
  return Float32Array.from({ length: width * height }, (_, cell) => {
    return fall(cell % width, x) * fall(Math.floor(cell / width), y);
  });
}

/** The highest cell of a map, refined by "argmax", "quarter" or "parabola": { x, y, score } in map px. */
export function decode(map, width, height, refine = "quarter") {
  const cell = map.reduce((best, value, at) => (value > map[best] ? at : best), 0); // the first of equals
  const [x, y, score] = [cell % width, Math.floor(cell / width), map[cell]];
  if (refine === "argmax" || !(score > 0)) return { x, y, score };
  const shift = refine === "quarter" ? quarter : parabola;
  return {
    x: x + shift(map, cell, x, width, 1),
    y: y + shift(map, cell, y, height, width),
    score,
  };
}

/** A quarter of a cell toward the larger neighbour along one axis. */
function quarter(map, cell, position, length, step) {
  if (length < 3) return 0;
  const inside = position > 0 && position < length - 1;
  // At the border one neighbour is unknown; the parabola through the other three cells tells its side.
  return (
    0.25 *
    Math.sign(inside ? map[cell + step] - map[cell - step] : parabola(map, cell, position, length, step))
  );
}

/** To the peak of the parabola through the logarithms of three neighbours along one axis. */
function parabola(map, cell, position, length, step) {
  if (length < 3) return 0;
  const middle = Math.min(Math.max(position, 1), length - 2);
  const at = cell + (middle - position) * step;
  // The floor keeps the logarithm finite where a neighbour is zero or negative.
  const floor = 1e-6 * Math.max(map[cell], 1e-30);
  const [left, centre, right] = [at - step, at, at + step].map((k) => Math.log(Math.max(map[k], floor)));
  const curvature = left - 2 * centre + right;
  if (!(curvature < 0)) return 0; // without a downward curvature there is no peak to move to
  const shift = (0.5 * (left - right)) / Math.min(curvature, -1e-12) + middle - position;
  return Math.min(Math.max(shift, -0.5), 0.5);
}

/** Number of the place of a grid that is nearest to a value. */
export function nearest(grid, value) {
  const away = grid.map((each) => Math.abs(each - value));
  return away.indexOf(Math.min(...away));
}

/** What book/minipose_book/figures/moving.py packs: bytes, deflated, in base64. */
export async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
