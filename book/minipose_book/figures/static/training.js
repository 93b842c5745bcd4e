// Every stage while a network learns: the figure of `minipose_book.figures.hourglass.training`.

import { chart } from "./chart.js";
import { add, busy, choice, figure, say, slider } from "./controls.js";

export function training(parent, data) {
  const root = figure(parent, "Every stage while a network learns");
  const bar = add(root, "div", { class: "bar" });
  const run = choice(
    bar,
    "Training",
    data.runs.map((each) => each.name),
    data.runs.length - 1,
    show,
  );
  const moments = data.runs[0].step.length;
  const moment = slider(
    bar,
    "After",
    { min: 1, max: moments, value: 1, say: (k) => `${step(k)} steps` },
    show,
  );
  const pair = add(root, "div", { class: "pair" });
  const values = { name: "accuracy", ticks: [0, 0.2, 0.4, 0.6, 0.8] };
  const most = Math.max(...data.runs.map((each) => each.stages.length));
  const stages = { name: "stage", ticks: Array.from({ length: most }, (_, k) => k + 1) };
  const byStage = chart(pair, stages, values);
  const end = data.runs[0].step.at(-1);
  const byStep = chart(pair, { name: "steps", ticks: [0, end / 2, end] }, values);
  const text = add(root, "p", { "aria-live": "polite" });
  add(root, "p", {}, data.source);

  function step(k) {
    return data.runs[run.value].step[k - 1];
  }

  function show() {
    const { step: steps, stages: curves, loss } = data.runs[run.value];
    const now = moment.value - 1;
    const points = curves.map((curve, k) => [k + 1, curve[now]]);
    const said = points.map(([k, value]) => `stage ${k} ${say(value, 3)}`).join(", ");
    const sum = `Loss, summed over the stages: ${loss[now].toFixed(5)}`;
    text.textContent = `${sum}. Accuracy: ${said}.`;
    byStage.show([{ points, at: points.at(-1) }], `Accuracy by stage after ${steps[now]} steps: ${said}`);
    const lines = [curves.at(-1), curves[0]].map((curve) => {
      return { points: curve.map((value, k) => [steps[k], value]), at: [steps[now], curve[now]] };
    });
    byStep.show(
      lines.slice(0, curves.length),
      "Accuracy against steps: last stage solid, first stage dashed",
    );
  }
  show();
  busy(root, false);
}
