// What is seen: both networks' pictures or their difference, all stages small, the whole picture.

import { apply, inverse } from "../minipose/crop.js";
import { add, say, slider, words } from "../minipose/controls.js";
import { colour, skeleton, viewer } from "../minipose/viewer.js";
import { around, corners, paint, there } from "./crops.js";

// Of two colours the one that is stronger there; they stay apart for colour-blind readers.
const [FIRST, SECOND] = [
  [204, 121, 167],
  [0, 158, 115],
];
const rgb = (colour) => `rgb(${colour.join(" ")})`;
const KEYS =
  "Drag a picture; two fingers zoom and turn it. Keys: arrows move, + and - zoom, [ and ] turn, m mirrors.";
const OVER = 192; // px of the whole picture's view

/** A difference of heatmaps, between -1 and 1, as a colour with its opacity. */
const signed = (value) => [...(value > 0 ? FIRST : SECOND), 255 * Math.min(1, 2 * Math.abs(value))];

/** A heatmap's colour, which lets the picture through where the map is low. */
const warm = (value) => [...colour(value), 255 * Math.min(1, 2 * Math.max(value, 0))];

/** What a view paints: the chosen joint's map, or of all joints the highest. */
export function together({ maps }, chosen) {
  if (chosen >= 0) return maps[chosen];
  return maps[0].map((_, cell) => maps.reduce((most, map) => Math.max(most, map[cell]), 0));
}

/** The places of those joints that score enough; null for the others. */
export function shown({ points, scores }, threshold) {
  return points.map((at, k) => (scores[k] >= threshold ? at : null));
}

/** Both networks large, side by side or as a difference. */
export function panels(parent, titles) {
  const row = add(parent, "div", { class: "views" });
  const columns = titles.map((title) => {
    const column = add(row, "figure");
    const view = viewer(column);
    view.element.tabIndex = 0;
    view.element.setAttribute("role", "group");
    view.element.setAttribute("aria-label", `The crop, ${title}`);
    view.element.setAttribute("aria-describedby", "lab-keys");
    add(column, "figcaption", {}, title);
    return { column, view };
  });
  add(parent, "p", { id: "lab-keys", class: "keys" }, KEYS);

  /** looks : of A and B { stage, judged }, already decoded. people : placed, perhaps none. */
  function show(state, pair, image, looks, people) {
    const chosen = pair.joints.indexOf(state.joint);
    const visible = looks.map(({ stage }) => shown(stage, state.threshold / 100));
    const { size, joints, limbs } = pair;
    columns.forEach(({ column }, k) => (column.hidden = state.difference !== (k === 2)));
    const wanted = [...joints.keys()].filter((k) => chosen < 0 || k === chosen);
    const truth = ({ judged }) => {
      const places =
        state.truth && people[judged.person] ? wanted.map((k) => people[judged.person].joints[k]) : [];
      return places.filter(Boolean).map(([x, y]) => ({ kind: "cross", x, y, id: "truth" }));
    };
    const layer = ({ side }, values, colours) => {
      return { values, width: side, height: side, opacity: state.heat / 100, smooth: true, colours };
    };
    if (state.difference) {
      const [a, b] = looks.map(({ stage }) => together(stage, chosen));
      const map = layer(
        looks[0].stage,
        a.map((value, cell) => value - b[cell]),
        signed,
      );
      const marks = state.skeleton ? wanted.flatMap((k) => apart(visible, k)) : [];
      const text = "Heatmaps of A less those of B, and the joints of both";
      columns[2].view.show({ size, image, map, marks: [...marks, ...truth(looks[1])], text });
      return;
    }
    looks.forEach((each, k) => {
      const marks = state.skeleton ? skeleton(visible[k], joints, limbs) : [];
      marks.push(...truth(each));
      const at = visible[k][chosen];
      if (at) marks.push({ kind: "ring", x: at[0], y: at[1], id: "found" });
      const map = layer(each.stage, together(each.stage, chosen), warm);
      const drawn = visible[k].filter(Boolean).length;
      const what = chosen < 0 ? "all joints" : words(state.joint);
      const text = `The crop with the heatmap of ${what} and ${drawn} of ${joints.length} joints`;
      columns[k].view.show({ size, image, map, marks, text });
    });
  }
  return { row, show, elements: columns.map(({ view }) => view.element) };
}

/** Where the two networks put one joint. */
function apart([a, b], k) {
  const [from, to] = [a[k], b[k]];
  const marks = [];
  if (from && to) marks.push({ kind: "line", x: from[0], y: from[1], to, id: "apart" });
  if (from) marks.push({ kind: "dot", x: from[0], y: from[1], colour: rgb(FIRST), id: "first" });
  if (to) marks.push({ kind: "dot", x: to[0], y: to[1], colour: rgb(SECOND), id: "second" });
  return marks;
}

/** All stages small: a button each, and a slider for a network that has several. */
export function stages(parent, networks, names, set) {
  const all = add(parent, "div", { class: "all-stages" });
  const rows = networks.map(({ strides }, k) => {
    const name = ["first", "second"][k];
    const row = add(all, "div", { class: "stages", style: `--stages: ${strides.length}` });
    const box = add(row, "div", { class: "thumbs" });
    const thumbs = strides.map((_, number) => {
      const button = add(box, "button", { type: "button" });
      button.addEventListener("click", () => set({ [name]: number + 1 }));
      const view = viewer(button, null, 96);
      return { button, view, text: add(button, "span") };
    });
    const of = (value) => `${value} of ${strides.length}`;
    const scrubber =
      strides.length > 1 &&
      slider(row, `Stage of ${names[k]}`, { min: 1, max: strides.length, value: 1, say: of }, (value) =>
        set({ [name]: value }),
      );
    return { name, thumbs, scrubber };
  });

  /** The sliders as the state is now, which may be newer than what is drawn. */
  function scrub(state) {
    for (const { name, thumbs, scrubber } of rows) {
      if (scrubber) scrubber.value = chosenStage(state[name], thumbs.length);
    }
  }

  /** all : of each network its stages, { stage, judged }. */
  function show(state, pair, image, all) {
    const chosen = pair.joints.indexOf(state.joint);
    rows.forEach(({ name, thumbs }, k) => {
      const at = chosenStage(state[name], thumbs.length);
      thumbs.forEach(({ button, view, text }, number) => {
        const { stage } = all[k][number];
        const { side, scores } = stage;
        const score =
          chosen < 0 ? scores.reduce((sum, each) => sum + each, 0) / scores.length : scores[chosen];
        button.setAttribute("aria-pressed", String(number + 1 === at));
        text.textContent = `${names[k]}, stage ${number + 1}: ${say(score)}`;
        const layer = { width: side, height: side, opacity: 1, smooth: true, colours: warm };
        const map = { values: together(stage, chosen), ...layer };
        view.show({ size: pair.size, image, map, text: "Heatmap" });
      });
    });
  }
  return { scrub, show };
}

/** Of `depth` stages the one that the state asks for. */
export const chosenStage = (wanted, depth) => Math.min(Math.round(wanted), depth);

/** The whole picture with the crop's square in it. `moved(x, y)` : picture px, where a pointer drags. */
export function overview(parent, moved) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = OVER;
  let back = (at) => at;
  const view = viewer(parent, (x, y) => moved(...back([x, y])), OVER);
  return function show(picture, crop, state) {
    const all = around(picture);
    const matrix = there(all, OVER);
    paint(canvas, picture, all, OVER, state);
    back = (at) => apply(inverse(matrix), at);
    const square = corners(crop, OVER).map((at) => apply(matrix, at));
    const [[x, y], to] = square;
    const top = { kind: "line", x, y, to, colour: "#f0e442", id: "top" };
    const marks = [{ kind: "square", corners: square, id: "crop" }, top];
    view.show({ size: OVER, image: canvas, marks, text: "The whole picture, and the crop's square in it" });
  };
}
