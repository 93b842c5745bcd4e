// What a stage of a pose machine makes of a belief that was moved: the figure of `minipose_book.figures.hourglass.beliefs`.

import { decode, encode, nearest, toCrop, toMap, unpack } from "./codec.js";
import { add, busy, choice, figure, say, slider, words } from "./controls.js";
import { load, viewer } from "./viewer.js";

const [KEPT, ERASED, MOVED] = [0, 1, 2];

/** Number of the frame for a peak at the grid's place (column, row); the first two are kept and erased. */
export const frame = (edit, column, row, columns) =>
  edit === MOVED ? MOVED + row * columns + column : edit;

export async function beliefs(parent, data) {
  const { cells, grid, size, stride, sigma } = data;
  const root = figure(parent, "A belief that is moved, and what a later stage makes of it");
  const bar = add(root, "div", { class: "bar" });
  const named = data.pairs.map(({ part }) => words(part));
  const pair = choice(bar, "Peak of the", named, 0, restart);
  const numbers = data.pairs[0].stages.map((_, k) => `stage ${k + 2}`);
  const stage = choice(bar, "where it enters", numbers, 0, restart);
  const edit = choice(bar, "is", ["as it was", "erased", "moved"], KEPT, show);
  const places = add(root, "div", { class: "bar" });
  const axis = { min: 0, max: grid.length - 1, value: 0, say: (v) => `cell ${grid[v]}` };
  const x = slider(places, "Peak's column", axis, move);
  const y = slider(places, "Peak's row", axis, move);
  const columns = add(root, "div", { class: "pair" });
  const left = add(columns, "div");
  const entering = viewer(left, (across, down) => {
    [x.value, y.value] = [across, down].map((px) => nearest(grid, toMap(px, stride)));
    move();
  });
  const before = add(left, "p");
  const right = add(columns, "div");
  const leaving = viewer(right);
  const after = add(right, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);
  const image = await load(data.image);
  const packed = data.pairs.flatMap(({ stages }) => stages.flatMap((each) => [each.before, each.maps]));
  const maps = await Promise.all(packed.map(unpack));

  /** What the package sent of a map, in its own units. */
  const map = (which, number, score) =>
    Float32Array.from(
      maps[which].subarray(number * cells ** 2, (number + 1) * cells ** 2),
      (v) => (v / 255) * score,
    );
  const chosen = () => data.pairs[pair.value].stages[stage.value];
  const at = () => 2 * (pair.value * numbers.length + stage.value);

  function restart() {
    const peak = decode(map(at(), 0, chosen().height), cells, cells, "argmax");
    [edit.value, x.value, y.value] = [KEPT, nearest(grid, peak.x), nearest(grid, peak.y)];
    show();
  }
  function move() {
    edit.value = MOVED;
    show();
  }
  function given() {
    if (edit.value === KEPT) return map(at(), 0, chosen().height);
    if (edit.value === ERASED) return new Float32Array(cells ** 2);
    return encode(grid[x.value], grid[y.value], sigma, cells, cells);
  }
  function draw(view, values, marks, text) {
    const layer = { values, width: cells, height: cells, opacity: 0.65, smooth: false };
    view.show({ size, image, map: layer, marks, text });
  }
  const cross = (at) => (at ? [{ kind: "cross", x: at[0], y: at[1], id: "truth" }] : []);

  function show() {
    const { part, to, truths } = data.pairs[pair.value];
    before.textContent = `${words(part)}: the belief that enters stage ${stage.value + 2}, ${
      ["as it was", "erased", "with its peak moved"][edit.value]
    }`;
    draw(entering, given(), cross(truths[0]), before.textContent);
    const told = [edit.value, KEPT].map((which) => {
      const number = frame(which, x.value, y.value, grid.length);
      const values = map(at() + 1, number, chosen().heights[number]);
      const peak = decode(values, cells, cells);
      const [across, down] = [peak.x, peak.y].map((v) => toCrop(v, stride));
      const away = truths[1] && Math.hypot(across - truths[1][0], down - truths[1][1]);
      const said = `highest ${say(peak.score)}, ${truths[1] ? `${say(away, 1)} px from the truth` : "no label"}`;
      return { values, ring: { kind: "ring", x: across, y: down, id: "found" }, said };
    });
    const [{ values, ring, said }, kept] = told;
    const unedited = edit.value === KEPT ? "" : ` (as it was: ${kept.said})`;
    after.textContent = `${words(to)}, from stage ${stage.value + 2}: ${said}${unedited}`;
    draw(leaving, values, [...cross(truths[1]), ring], after.textContent);
  }
  restart();
  busy(root, false);
}
