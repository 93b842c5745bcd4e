// A picture in layers: pixels, a heatmap over them as colours, and marks. State in, events out.
//
// Marks are in the picture's own pixels, an integer being the centre of one.

import { add, draw } from "./controls.js";

// Colours of matplotlib's "inferno", which the book's still pictures use, at nine even steps.
const INFERNO = [
  [0, 0, 4],
  [31, 12, 72],
  [85, 15, 109],
  [136, 34, 106],
  [186, 54, 85],
  [227, 89, 51],
  [249, 140, 10],
  [249, 201, 50],
  [252, 255, 164],
];
export const SIDES = { right: "#d55e00", left: "#0072b2", middle: "#f0e442" }; // as in minipose/plots.py

/** Colour of a joint by the person's own side. */
export const sideColour = (joint) => SIDES[joint.split("_")[0]] ?? SIDES.middle;

/** Colour [red, green, blue] of a value between 0 and 1. */
export function colour(value) {
  const place = Math.min(Math.max(value, 0), 1) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(place), INFERNO.length - 2);
  return INFERNO[low].map((from, k) => from + (place - low) * (INFERNO[low + 1][k] - from));
}

/** A canvas of one pixel a cell. `colours` gives a value's colour, red, green, blue and perhaps opacity. */
export function paint(values, width, height, colours = colour) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const pixels = canvas.getContext("2d").createImageData(width, height);
  values.forEach((value, cell) => {
    const [red, green, blue, opacity = 255] = colours(value);
    pixels.data.set([red, green, blue, opacity], 4 * cell);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

/** An image from its address, once it can be drawn. */
export async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/**
 * A square picture. `show(state)` draws it; `moved(x, y)`, if given, is told where a pointer drags.
 *
 * state: size (px a side), image (what a canvas can draw, or null), map ({ values, width, height,
 * opacity, smooth, colours }), marks (see `mark`), text (what the picture shows, for those who cannot see
 * it). `pixels` is the canvas's own size, `element` what holds it.
 */
export function viewer(parent, moved = null, pixels = 512) {
  const stage = add(parent, "div", { class: "stage" });
  const canvas = add(stage, "canvas", { width: pixels, height: pixels, role: "img" });
  const svg = draw(stage, "svg", { "aria-hidden": "true" });
  let size = 1;
  if (moved) listen(svg, (across, down) => moved(across * size - 0.5, down * size - 0.5));

  function show({ image = null, map = null, marks = [], text = "", ...rest }) {
    size = rest.size;
    const brush = canvas.getContext("2d");
    brush.globalAlpha = 1;
    brush.clearRect(0, 0, canvas.width, canvas.height);
    // Few pixels made large are told apart better by their edges than blurred.
    brush.imageSmoothingEnabled = false;
    if (image) brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    if (map) {
      brush.globalAlpha = map.opacity;
      brush.imageSmoothingEnabled = map.smooth;
      const cells = paint(map.values, map.width, map.height, map.colours);
      brush.drawImage(cells, 0, 0, canvas.width, canvas.height);
    }
    canvas.setAttribute("aria-label", text);
    svg.setAttribute("viewBox", `-0.5 -0.5 ${size} ${size}`);
    svg.replaceChildren();
    for (const each of marks) mark(svg, each, size / 100);
  }
  return { show, element: stage };
}

/** Where a pointer drags, as fractions of an element's width and height. */
export function listen(element, moved) {
  element.classList.add("drag");
  const tell = (event) => {
    const box = element.getBoundingClientRect();
    moved((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    tell(event);
  });
  element.addEventListener("pointermove", (event) => {
    if (element.hasPointerCapture(event.pointerId)) tell(event);
  });
}

/**
 * One mark: a "cross" (what is true), a "ring" (what was found), a "dot", a "circle" of radius r px, a
 * "line" from [x, y] to `to`, or a "square" through four `corners`. `unit` is a hundredth of the picture.
 */
export function mark(svg, { kind, x, y, colour = "#fff", to, corners, r, id = "" }, unit) {
  // Each is drawn twice, in black below: so it stands out on any picture.
  for (const [stroke, width] of [
    ["#000", 1.9],
    [colour, 0.9],
  ]) {
    const line = { stroke, "stroke-width": width * unit, fill: "none", "data-mark": id };
    if (kind === "cross") {
      const d = `M${x - 3 * unit} ${y}h${6 * unit}M${x} ${y - 3 * unit}v${6 * unit}`;
      draw(svg, "path", { ...line, d });
    } else if (kind === "ring") draw(svg, "circle", { ...line, cx: x, cy: y, r: 4 * unit });
    else if (kind === "circle") draw(svg, "circle", { ...line, cx: x, cy: y, r });
    else if (kind === "dot") draw(svg, "circle", { ...line, cx: x, cy: y, r: 0.9 * unit, fill: colour });
    else if (kind === "line") draw(svg, "line", { ...line, x1: x, y1: y, x2: to[0], y2: to[1] });
    else draw(svg, "polygon", { ...line, points: corners.join(" ") });
  }
}

/** Marks of a skeleton. points : an [x, y] a joint, or null for one that is not drawn. */
export function skeleton(points, joints, limbs) {
  const side = (a, b) => [a, b].map((k) => sideColour(joints[k])).find((each) => each !== SIDES.middle);
  const lines = limbs
    .filter(([a, b]) => points[a] && points[b])
    .map(([a, b]) => {
      const [[x, y], to] = [points[a], points[b]];
      return { kind: "line", x, y, to, colour: side(a, b) ?? SIDES.middle, id: "limb" };
    });
  const dots = points.flatMap((at, k) => {
    return at ? [{ kind: "dot", x: at[0], y: at[1], colour: sideColour(joints[k]), id: "joint" }] : [];
  });
  return [...lines, ...dots];
}
