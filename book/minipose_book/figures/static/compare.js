// Two networks side by side, stage by stage: the figure of `minipose_book.figures.moving.compare`.
//
// Pictures, heatmaps and what was decoded from them come with `data`. Where a kernel listens, `ask` gets
// the same for a puppet, a place and a zoom that nobody chose beforehand.

import { chart } from "./chart.js";
import { unpack } from "./codec.js";
import { add, busy, check, choice, figure, say, slider, words } from "./controls.js";
import { load, skeleton, viewer } from "./viewer.js";

const FOUND = 0.5; // heads: PCKh@0.5

export function compare(parent, data, ask = null) {
  const root = figure(parent, "Networks side by side, stage by stage");
  const bar = add(root, "div", { class: "bar" });
  const picture = choice(
    bar,
    "Picture",
    data.pictures.map((each) => each.label),
    0,
    turn,
  );
  const joint = choice(bar, "Joint", data.joints.map(words), data.joint, update);
  const live = ask && sliders(root, data, update);
  const pair = add(root, "div", { class: "pair" });
  const depths = data.networks.map((network) => network.strides.length);
  const deepest = depths.lastIndexOf(Math.max(...depths));
  const panels = [0, deepest].map((network, side) => panel(pair, data, network, side, update));
  const layers = add(root, "div", { class: "bar" });
  const opacity = slider(layers, "Heatmap", { min: 0, max: 100, step: 5, value: 65, say: percent }, update);
  const shown = ["found", "truth", "skeleton"].map((name, k) => check(layers, name, k < 2, update));
  const measured = data.networks.filter((network) => network.accuracy);
  const most = Math.max(2, ...measured.map((network) => network.accuracy.length));
  const stages = { name: "stage", ticks: Array.from({ length: most }, (_, k) => k + 1) };
  const curve = measured.length && chart(root, stages, { name: "accuracy", ticks: [0, 0.2, 0.4, 0.6, 0.8] });
  add(root, "p", {}, data.source);
  const trouble = add(root, "p", { role: "alert" });

  function turn() {
    live?.turn(data.pictures[picture.value]);
    update();
  }

  /** What network `number` makes of the picture, at the place where the crop is. */
  async function look(number) {
    const place = live?.place();
    if (place) return ask({ network: number, picture: picture.value, ...place });
    const { views, frames } = data.pictures[picture.value];
    return { view: views[data.networks[number].size], stages: frames[number] };
  }

  async function show() {
    const layers = { joint: joint.value, opacity: opacity.value / 100 };
    [layers.found, layers.truth, layers.skeleton] = shown.map((box) => box.value);
    const [lines, errors] = [[], []];
    for (const each of panels) {
      const looked = await look(each.network);
      if (looked.error) errors.push(looked.error);
      else await each.show(looked, layers);
      lines.push(...each.line());
    }
    trouble.textContent = errors[0] ?? "";
    const told = (line, k) => `${["solid", "dashed"][k]} line ${line.name}, stage ${line.at.join(": ")}`;
    if (curve) curve.show(lines, `Accuracy by stage: ${lines.map(told).join("; ")}`);
  }

  // A kernel may be slower than a slider: of what came meanwhile only the last is looked at.
  let [drawing, again] = [false, false];
  async function update() {
    again = true;
    if (drawing) return;
    drawing = true;
    busy(root, true);
    while (again) {
      again = false;
      await show();
    }
    drawing = false;
    busy(root, false);
  }
  turn();
}

const percent = (value) => `${value} %`;

/** With a kernel: which puppet, and where the crop lies; `place()` is null while nothing was moved. */
function sliders(root, data, update) {
  const bar = add(root, "div", { class: "bar" });
  const share = { min: -50, max: 50, step: 2, value: 0, say: percent };
  const scene = slider(bar, "Puppet", { min: 0, max: data.scenes - 1, value: 0 }, update);
  const right = slider(bar, "Crop to the right", share, update);
  const down = slider(bar, "Crop down", share, update);
  const zoom = slider(bar, "Zoom", { min: 50, max: 200, step: 5, value: 100, say: percent }, update);
  let start = 0;
  return {
    /** Another picture: back to what was computed for it. A photo (scene null) has no other puppets. */
    turn(picture) {
      scene.max = picture.scene === null ? 0 : data.scenes - 1;
      scene.value = start = picture.scene ?? 0;
      [right.value, down.value, zoom.value] = [0, 0, 100];
    },
    place() {
      const moved = scene.value !== start || right.value || down.value || zoom.value !== 100;
      const place = { right: right.value / 100, down: down.value / 100, zoom: zoom.value / 100 };
      return moved ? { scene: scene.value, ...place } : null;
    },
  };
}

/** One network: which, its stage, its picture, and a sentence. */
function panel(parent, data, first, side, update) {
  const column = add(parent, "div");
  const names = data.networks.map((network) => network.name);
  const network = choice(column, `Network ${"AB"[side]}`, names, first, () => (toLast(), update()));
  const chosen = () => data.networks[network.value];
  const of = (k) => `${k} of ${chosen().strides.length}`;
  const stage = slider(column, "Stage", { min: 1, max: 1, value: 1, say: of }, update);
  const view = viewer(column);
  const text = add(column, "p", { "aria-live": "polite" });

  const toLast = () => (stage.value = stage.max = chosen().strides.length);

  async function show({ view: scene, stages }, { joint, opacity, ...layers }) {
    const { size, strides } = chosen();
    const { maps, points, scores } = stages[stage.value - 1];
    const side = size / strides[stage.value - 1];
    const cells = (await unpack(maps)).subarray(joint * side * side, (joint + 1) * side * side);
    const [found, truth] = [points[joint], scene.truth?.[joint]];
    const marks = layers.skeleton ? skeleton(points, data.joints, data.limbs) : [];
    if (layers.truth && truth) marks.push({ kind: "cross", x: truth[0], y: truth[1], id: "truth" });
    if (layers.found) marks.push({ kind: "ring", x: found[0], y: found[1], id: "found" });
    const map = {
      values: Float32Array.from(cells, (v) => v / 255),
      width: side,
      height: side,
      opacity,
      smooth: true,
    };
    const name = words(data.joints[joint]);
    const said = `${name}: peak ${say(scores[joint])}, ${error(found, truth, scene.head)}`;
    text.textContent = `${said}.${accuracy(chosen(), stage.value)}`;
    view.show({
      size,
      image: await load(scene.image),
      map,
      marks,
      text: `Heatmap over the picture. ${said}`,
    });
  }

  /** The network's curve for the chart, if there is a record. */
  function line() {
    const { name, accuracy, range } = chosen();
    if (!accuracy) return [];
    const points = accuracy.map((value, k) => [k + 1, value]);
    return [{ name, points, band: range?.map((ends, k) => [k + 1, ...ends]), at: points[stage.value - 1] }];
  }
  toLast();
  return {
    get network() {
      return network.value;
    },
    show,
    line,
  };
}

/** How far what was found lies from the truth, in words. */
function error(found, truth, head) {
  if (!truth) return "no label to compare with";
  const away = Math.hypot(found[0] - truth[0], found[1] - truth[1]);
  const heads = away / head;
  return `${say(away, 1)} px = ${say(heads)} heads from the truth, ${heads <= FOUND ? "found" : "missed"}`;
}

function accuracy({ accuracy, range }, stage) {
  if (!accuracy) return "";
  const seeds = range ? ` (seeds ${range[stage - 1].map((each) => say(each, 3)).join(" to ")})` : "";
  return ` Accuracy of this stage: ${say(accuracy[stage - 1], 3)}${seeds}.`;
}
