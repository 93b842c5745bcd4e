// A box before a puppet, and what detection and regression make of it: the figure of `minipose_book.figures.occluder`.

import { nearest, unpack } from "./codec.js";
import { add, busy, check, choice, figure, say, slider, words } from "./controls.js";
import { load, viewer } from "./viewer.js";

/** Number of the frame with the box at the grid's place (column, row); the first is without one. */
export const frame = (there, column, row, columns) => (there ? 1 + row * columns + column : 0);

/** Does a box over the pixels from x - side / 2 to x + side / 2 - 1, and down alike, hide a point? */
export const hides = ([x, y], side, at) =>
  at !== null && [at[0] - x, at[1] - y].every((away) => Math.abs(away + 0.5) < side / 2);

export async function covering(parent, data) {
  const { size, cells, places, box, parts } = data;
  const root = figure(parent, "A box before a puppet, and what both networks make of it");
  const bar = add(root, "div", { class: "bar" });
  const named = parts.map(({ name }) => words(name));
  const part = choice(bar, "Part", named, 0, show);
  const given = choice(bar, "The regressor is given", data.given, 0, show);
  const there = check(bar, "a box stands before the puppet", false, show);
  const moves = add(root, "div", { class: "bar" });
  const start = parts[0].truth ?? [size / 2, size / 2];
  const axis = { min: 0, max: places.length - 1, say: (v) => `${places[v]} px` };
  const [x, y] = ["Box, across", "Box, down"].map((name, k) =>
    slider(moves, name, { ...axis, value: nearest(places, start[k]) }, move),
  );
  const columns = add(root, "div", { class: "pair trio lead" });
  const panel = (moved) => {
    const column = add(columns, "div");
    return { view: viewer(column, moved), text: add(column, "p") };
  };
  const crop = panel((across, down) => {
    [x.value, y.value] = [across, down].map((px) => nearest(places, px));
    move();
  });
  const [first, second] = [panel(null), panel(null)];
  const said = add(root, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);
  const image = await load(data.image);
  const maps = await Promise.all(
    parts.map(({ detected, regressed }) =>
      Promise.all([detected, regressed].map(({ maps }) => unpack(maps))),
    ),
  );

  function move() {
    there.value = true;
    show();
  }
  /** The crop, with the box if it is there. */
  function picture() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [size, size];
    const brush = canvas.getContext("2d");
    brush.drawImage(image, 0, 0, size, size);
    if (there.value) {
      brush.fillStyle = `rgb(${data.colour})`;
      brush.fillRect(places[x.value] - box / 2, places[y.value] - box / 2, box, box);
    }
    return canvas;
  }
  function show() {
    const { name, truth, detected, regressed } = parts[part.value];
    const under = picture();
    const number = frame(there.value, x.value, y.value, places.length);
    const cross = truth ? [{ kind: "cross", x: truth[0], y: truth[1], id: "truth" }] : [];
    const at = [places[x.value], places[y.value]];
    const hidden = there.value && hides(at, box, truth);
    crop.text.textContent = hidden ? `The box hides the ${words(name)}.` : "the crop";
    crop.view.show({ size, image: under, marks: cross, text: crop.text.textContent });
    const tell = [
      [first, detected, number, "detected"],
      [second, regressed, given.value * (1 + places.length ** 2) + number, "regressed"],
    ].map(([{ view, text }, { found, top }, number, verb], which) => {
      const [across, down, height] = found[number];
      const away = truth && Math.hypot(across - truth[0], down - truth[1]);
      const values = Float32Array.from(
        maps[part.value][which].subarray(number * cells ** 2, (number + 1) * cells ** 2),
        (v) => ((v / 255) * height) / top,
      );
      text.textContent = `${verb}: highest ${say(height)}`;
      const layer = { values, width: cells, height: cells, opacity: 0.7, smooth: false };
      const ring = { kind: "ring", x: across, y: down, id: verb };
      view.show({
        size,
        image: under,
        map: layer,
        marks: [...cross, ring],
        text: text.textContent,
      });
      return `${verb} ${truth ? `${say(away, 1)} px from the truth` : "(no label)"}`;
    });
    said.textContent = `${words(name)}: ${tell.join(", ")}.`;
  }
  show();
  busy(root, false);
}
