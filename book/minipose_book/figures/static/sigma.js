// A target and what decoding makes of it: the figure of `minipose_book.figures.hourglass.sigma`. All is computed here.

import { decode, encode, toCrop } from "./codec.js";
import { add, busy, figure, say, slider } from "./controls.js";
import { viewer } from "./viewer.js";

const [CELLS, STRIDE] = [12, 4];
const RULES = ["argmax", "quarter", "parabola"];

export function sigma(parent) {
  const root = figure(parent, "A target's width, its place, and the point that is decoded from it");
  const bar = add(root, "div", { class: "bar" });
  const axis = { min: 2, max: CELLS - 3, step: 0.05, say };
  const x = slider(bar, "x, in cells", { ...axis, value: 5.3 }, show);
  const y = slider(bar, "y, in cells", { ...axis, value: 6.15 }, show);
  const width = slider(bar, "sigma, in cells", { min: 0.2, max: 3, step: 0.05, value: 1, say }, show);
  const pair = add(root, "div", { class: "pair" });
  const view = viewer(pair, (across, down) => {
    [x.value, y.value] = [across, down].map((px) => (px + 0.5) / STRIDE - 0.5);
    show();
  });
  const text = add(pair, "div", { "aria-live": "polite" });
  add(
    root,
    "p",
    {},
    `The cross is the joint, the ring what the quarter rule decodes. A cell is ${STRIDE} px.`,
  );

  function show() {
    const [at, map] = [[x.value, y.value], encode(x.value, y.value, width.value, CELLS, CELLS)];
    const rows = RULES.map((rule) => {
      const found = decode(map, CELLS, CELLS, rule);
      const away = Math.hypot(found.x - at[0], found.y - at[1]);
      return {
        rule,
        found,
        said:
          `${rule}: (${say(found.x)}, ${say(found.y)}), off by ${say(away)} cells = ` +
          `${say(away * STRIDE)} px`,
      };
    });
    text.replaceChildren();
    add(text, "p", {}, `The highest cell holds ${say(rows[0].found.score)}.`);
    for (const { said } of rows) add(text, "p", {}, said);
    const [truth, found] = [at, [rows[1].found.x, rows[1].found.y]].map((p) =>
      p.map((v) => toCrop(v, STRIDE)),
    );
    view.show({
      size: CELLS * STRIDE,
      map: { values: map, width: CELLS, height: CELLS, opacity: 1, smooth: false },
      marks: [
        { kind: "cross", x: truth[0], y: truth[1], id: "truth" },
        { kind: "ring", x: found[0], y: found[1], id: "found" },
      ],
      text: `A heatmap of ${CELLS} x ${CELLS} cells. ${rows[1].said}`,
    });
  }
  show();
  busy(root, false);
}
