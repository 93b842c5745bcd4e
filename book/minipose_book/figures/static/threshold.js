// PCK and its threshold: the figure of `minipose_book.figures.hourglass.threshold`.

import { chart } from "./chart.js";
import { add, busy, choice, figure, say, slider } from "./controls.js";
import { load, viewer } from "./viewer.js";

/** Share of distances that are at most the threshold; null stands for a prediction that is missing. */
export const share = (distances, threshold) => {
  return distances.filter((d) => d !== null && d <= threshold).length / distances.length;
};

const STEPS = Array.from({ length: 51 }, (_, k) => k / 50);

export async function threshold(parent, data) {
  const root = figure(parent, "PCK against its threshold");
  const names = Object.keys(data.distances);
  const bar = add(root, "div", { class: "bar" });
  const joints = choice(bar, "Joints", names, 0, show);
  const limit = slider(bar, "Threshold, in heads", { min: 0, max: 1, step: 0.01, value: 0.5, say }, show);
  const pair = add(root, "div", { class: "pair" });
  const view = viewer(pair);
  const right = add(pair, "div");
  const unit = [0, 0.25, 0.5, 0.75, 1];
  const curve = chart(right, { name: "threshold, in heads", ticks: unit }, { name: "PCKh", ticks: unit });
  const text = add(right, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);
  const image = await load(data.image);

  function show() {
    const [all, at] = [data.distances[names[joints.value]], limit.value];
    const value = share(all, at);
    const points = STEPS.map((step) => [step, share(all, step)]);
    const hit = Math.round(value * all.length);
    const said = `PCKh@${say(at)} = ${say(value, 3)}: ${hit} of ${all.length} found`;
    text.textContent = `${said}.`;
    curve.show([{ points, at: [at, value] }], said);
    const marks = data.joints.flatMap(({ truth: [x, y], found }) => {
      const right = Math.hypot(found[0] - x, found[1] - y) <= at * data.head;
      return [
        {
          kind: "circle",
          x,
          y,
          r: at * data.head,
          colour: right ? "#fff" : "#f0e442",
          id: right ? "hit" : "miss",
        },
        { kind: right ? "dot" : "cross", x: found[0], y: found[1], colour: right ? "#fff" : "#f0e442" },
      ];
    });
    const hits = marks.filter((each) => each.id === "hit").length;
    view.show({
      size: data.size,
      image,
      marks,
      text: `One puppet: ${hits} of ${data.joints.length} joints found`,
    });
  }
  show();
  busy(root, false);
}
