// Through an hourglass level by level: `minipose_book.figures.hourglass.features` and `minipose_book.figures.hourglass.receptive`.

import { unpack } from "./codec.js";
import { add, busy, check, choice, figure, slider } from "./controls.js";
import { load, viewer } from "./viewer.js";

/** Each of `data.levels` has a name, maps (`cells` x `cells` each, packed), a text, and perhaps a square. */
export async function levels(parent, data) {
  const root = figure(parent, data.title);
  const bar = add(root, "div", { class: "bar" });
  const name = (k) => data.levels[k - 1].name;
  const level = slider(bar, "Level", { min: 1, max: data.levels.length, value: 1, say: name }, show);
  const map =
    data.maps > 1 &&
    choice(
      bar,
      "Channel",
      Array.from({ length: data.maps }, (_, k) => k + 1),
      0,
      show,
    );
  const over = check(bar, "over the picture", true, show);
  const pair = add(root, "div", { class: "pair" });
  const view = viewer(pair);
  const text = add(pair, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);
  const [image, maps] = await Promise.all([
    load(data.image),
    Promise.all(data.levels.map((each) => unpack(each.maps))),
  ]);

  function show() {
    const { cells, text: said, square } = data.levels[level.value - 1];
    const from = (map ? map.value : 0) * cells * cells;
    const bytes = maps[level.value - 1].subarray(from, from + cells * cells);
    const values = Float32Array.from(bytes, (v) => v / 255);
    const opacity = over.value ? 0.75 : 1;
    const marks = square ? [{ kind: "square", corners: square, id: "reach" }] : [];
    text.textContent = said;
    view.show({
      size: data.size,
      image,
      marks,
      text: `${name(level.value)}: ${said}`,
      map: { values, width: cells, height: cells, opacity, smooth: false },
    });
  }
  show();
  busy(root, false);
}
