// The flip test and a shift that does not belong there: the figure of `minipose_book.figures.hourglass.flip`.

import { decode, toCrop } from "./codec.js";
import { add, busy, choice, figure, say, slider, words } from "./controls.js";
import { load, viewer } from "./viewer.js";

/** A map moved to the right by whole cells; what comes in from outside is 0. */
export function shifted(map, width, cells) {
  const from = (cell) => (cell % width) - cells;
  return map.map((_, cell) => (from(cell) >= 0 && from(cell) < width ? map[cell - cells] : 0));
}

export async function flip(parent, data) {
  const root = figure(parent, "The flip test, and a shift");
  const bar = add(root, "div", { class: "bar" });
  const joint = choice(
    bar,
    "Joint",
    data.joints.map((each) => words(each.name)),
    0,
    show,
  );
  const cells = (v) => `${v} ${Math.abs(v) === 1 ? "cell" : "cells"}`;
  const shift = slider(bar, "Mirrored map moved by", { min: -3, max: 3, value: 0, say: cells }, show);
  const pair = add(root, "div", { class: "pair trio" });
  const views = ["as it is", "mirrored, and back", "average of both"].map((name) => {
    const column = add(pair, "div");
    add(column, "p", {}, name);
    return { name, view: viewer(column), text: add(column, "p", { "aria-live": "polite" }) };
  });
  add(root, "p", {}, "The ring is what is decoded, the cross the truth.");
  const image = await load(data.image);

  function show() {
    const { plain, mirrored, truth } = data.joints[joint.value];
    const moved = shifted(mirrored, data.width, shift.value);
    const average = plain.map((value, k) => (value + moved[k]) / 2);
    [plain, moved, average].forEach((map, k) => {
      const peak = decode(map, data.width, data.width);
      const [x, y] = [peak.x, peak.y].map((v) => toCrop(v, data.stride));
      const away = Math.hypot(x - truth[0], y - truth[1]);
      const said = `peak ${say(peak.score)}, ${say(away)} px from the truth`;
      views[k].text.textContent = said;
      const values = map.map((value) => value / Math.max(peak.score, 1e-9));
      views[k].view.show({
        size: data.size,
        image,
        map: { values, width: data.width, height: data.width, opacity: 0.65, smooth: false },
        marks: [
          { kind: "cross", x: truth[0], y: truth[1], id: "truth" },
          { kind: "ring", x, y, id: "found" },
        ],
        text: `Heatmap ${views[k].name}: ${said}`,
      });
    });
  }
  show();
  busy(root, false);
}
