// How far off a joint may be, by two measures: the figure of `minipose_book.figures.oks_tolerance`.

import { chart } from "./chart.js";
import { add, busy, choice, figure, say, slider, words } from "./controls.js";
import { load, viewer } from "./viewer.js";

const [WHITE, YELLOW] = ["#fff", "#f0e442"];

/** A joint's part of OKS, between 0 and 1. away : px. area : the person's, px². sigma : COCO's. */
export const similarity = (away, area, sigma) => Math.exp(-(away ** 2) / (2 * area * (2 * sigma) ** 2));

/** The distance in px at which that has fallen to a half. */
export const half = (area, sigma) => 2 * sigma * Math.sqrt(2 * Math.log(2) * area);

export async function tolerance(parent, data) {
  const root = figure(parent, "OKS and PCK of one joint that is off");
  const bar = add(root, "div", { class: "bar" });
  const named = data.joints.map(({ name }) => words(name));
  const joints = choice(bar, "Joint", named, data.joint, show);
  const px = { min: -data.reach, max: data.reach, step: 0.5, say: (v) => say(v, 1) };
  const right = slider(bar, "off to the right, px", { ...px, value: data.off[0] }, show);
  const down = slider(bar, "off downwards, px", { ...px, value: data.off[1] }, show);
  const times = { min: 0.25, max: 2, step: 0.05, value: 1, say: (v) => `${say(v)} × as labelled` };
  const area = slider(bar, "area of the person", times, show);
  const pair = add(root, "div", { class: "pair" });
  const view = viewer(pair, (x, y) => {
    const { truth } = chosen();
    [right.value, down.value] = [x - truth[0], y - truth[1]];
    show();
  });
  const side = add(pair, "div");
  const farthest = Math.ceil((Math.SQRT2 * data.reach) / 10) * 10;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * farthest);
  const plot = chart(
    side,
    { name: "distance, px", ticks },
    { name: "score of one joint", ticks: [0, 0.5, 1] },
  );
  const text = add(side, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);
  const image = await load(data.image);
  const chosen = () => data.joints[joints.value];

  function show() {
    const { truth, sigma } = chosen();
    const covered = area.value * data.area;
    const away = Math.hypot(right.value, down.value);
    const oks = similarity(away, covered, sigma);
    const limit = data.threshold * data.torso;
    const person = (data.labelled - 1 + oks) / data.labelled;
    const said =
      `${named[joints.value]}: ${say(away, 1)} px off, OKS of this joint ${say(oks)}, ` +
      `PCK@${data.threshold} ${away <= limit ? "found" : "missed"}`;
    const rest = `With all other joints exact the person's OKS is ${say(person)}.`;
    text.textContent = `${said}. ${rest}`;
    const steps = Array.from({ length: 81 }, (_, k) => (k * farthest) / 80);
    const smooth = steps.map((d) => [d, similarity(d, covered, sigma)]);
    const edge = Math.min(limit, farthest);
    const sharp = [
      [0, 1],
      [edge, 1],
      [edge, 0],
      [farthest, 0],
    ];
    plot.show([{ points: smooth, at: [away, oks] }, { points: sharp }], said);
    const [x, y] = truth;
    const marks = [
      { kind: "circle", x, y, r: limit, colour: WHITE, id: "pck" },
      { kind: "circle", x, y, r: half(covered, sigma), colour: YELLOW, id: "oks" },
      { kind: "cross", x, y, id: "truth" },
      { kind: "dot", x: x + right.value, y: y + down.value, colour: YELLOW, id: "found" },
    ];
    view.show({ size: data.size, image, marks, text: said });
  }
  show();
  busy(root, false);
}
