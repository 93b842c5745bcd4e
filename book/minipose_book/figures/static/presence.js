// Is the joint there at all: the figure of `minipose_book.figures.hourglass.presence`.

import { chart } from "./chart.js";
import { add, busy, choice, draw, figure, say, slider } from "./controls.js";

/** Precision and recall of "there is such a joint" where the activation is at least the threshold. */
export function tell(activation, labelled, threshold) {
  const called = activation.map((value) => value >= threshold);
  const right = called.filter((each, k) => each && labelled[k]).length;
  const [said, there] = [called, labelled].map((list) => list.filter(Boolean).length);
  return { precision: said ? right / said : 1, recall: right / there, right, said, there };
}

const BINS = 40;

export function presence(parent, data) {
  const root = figure(parent, "Presence: threshold, precision and recall");
  const names = Object.keys(data.joints);
  const bar = add(root, "div", { class: "bar" });
  const joint = choice(bar, "Joint", names, 0, show);
  const kind = choice(bar, "Activation", ["highest cell", "mean of the cells"], 0, show);
  const limit = slider(bar, "Threshold, % of the largest", { min: 0, max: 100, value: 30 }, show);
  const pair = add(root, "div", { class: "pair" });
  const unit = [0, 0.25, 0.5, 0.75, 1];
  const curve = chart(pair, { name: "recall", ticks: unit }, { name: "precision", ticks: unit });
  const strip = draw(pair, "svg", { class: "chart", viewBox: "0 0 360 190", role: "img" });
  const text = add(root, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);

  function show() {
    const { labelled, ...both } = data.joints[names[joint.value]];
    const activation = [both.max, both.mean][kind.value];
    const highest = Math.max(...activation);
    const at = (limit.value / 100) * highest;
    const { precision, recall, right, said, there } = tell(activation, labelled, at);
    const steps = [...new Set(activation)].sort((a, b) => b - a);
    const points = steps
      .map((step) => tell(activation, labelled, step))
      .map((each) => [each.recall, each.precision]);
    const words =
      `At ${say(at, 3)}: ${said} called there, ${right} rightly (precision ${say(precision, 3)}); ` +
      `${there} are there (recall ${say(recall, 3)})`;
    text.textContent = `${words}.`;
    curve.show([{ points, at: [recall, precision] }], words);
    histogram(activation, labelled, highest, limit.value / 100);
  }

  /** How often each activation comes: joints with a label upward, those without downward. */
  function histogram(activation, labelled, highest, at) {
    const counts = [new Array(BINS).fill(0), new Array(BINS).fill(0)];
    activation.forEach(
      (value, k) => counts[labelled[k] ? 0 : 1][Math.floor((value / highest) * (BINS - 1e-9))]++,
    );
    const most = Math.max(...counts.flat());
    strip.replaceChildren();
    counts.forEach((bins, down) =>
      bins.forEach((count, k) => {
        const [x, height] = [20 + (k * 320) / BINS, (70 * count) / most];
        const look = { fill: "currentColor", "fill-opacity": down ? 0.45 : 0.9 };
        draw(strip, "rect", { x, y: down ? 95 : 95 - height, width: 320 / BINS - 1, height, ...look });
      }),
    );
    const line = { stroke: "currentColor", "stroke-width": 2, "data-mark": "at" };
    draw(strip, "path", { d: `M${20 + 320 * at} 15V175`, ...line });
    draw(strip, "text", { x: 20, y: 12 }, "with a label");
    draw(strip, "text", { x: 20, y: 187 }, "without");
    strip.setAttribute("aria-label", "Histogram of the activations, joints with a label above those without");
  }
  show();
  busy(root, false);
}
