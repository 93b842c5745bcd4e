// A crop and its inverse: the figure of `minipose_book.figures.hourglass.crop`. The arithmetic is minipose/crops.py's.

import { add, busy, check, figure, say, slider } from "./controls.js";
import { load, viewer } from "./viewer.js";

/** [[a, b, c], [d, e, f]]: photo px -> crop px, as `Crop.matrix` has it. */
export function matrix([cx, cy], side, angle, mirror, size) {
  const [zoom, turn, middle] = [size / side, (angle * Math.PI) / 180, (size - 1) / 2];
  const [cosine, sine, sign] = [zoom * Math.cos(turn), zoom * Math.sin(turn), mirror ? -1 : 1];
  return [
    [sign * cosine, -sign * sine, middle - sign * (cosine * cx - sine * cy)],
    [sine, cosine, middle - (sine * cx + cosine * cy)],
  ];
}

export function inverse([[a, b, c], [d, e, f]]) {
  const det = a * e - b * d;
  return [
    [e / det, -b / det, (b * f - c * e) / det],
    [-d / det, a / det, (c * d - a * f) / det],
  ];
}

export const apply = ([[a, b, c], [d, e, f]], [x, y]) => [a * x + b * y + c, d * x + e * y + f];

/**
 * Draw what a crop shows of a picture onto a square canvas, black outside the picture.
 *
 * there : the crop's matrix. detail : canvas pixels for one crop pixel.
 */
export function cut(canvas, image, width, height, there, detail) {
  const [[a, b, c], [d, e, f]] = there;
  const brush = canvas.getContext("2d");
  brush.setTransform(1, 0, 0, 1, 0, 0);
  brush.fillStyle = "#000";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  // A canvas counts from a pixel's edge, points from its centre.
  brush.setTransform(detail, 0, 0, detail, detail / 2, detail / 2);
  brush.transform(a, d, b, e, c, f);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(image, -0.5, -0.5, width, height);
  return brush;
}

const DETAIL = 4; // canvas pixels for one crop pixel: the crop is drawn finer than the network sees it

export async function crop(parent, data) {
  const root = figure(parent, "A crop, and the way back");
  const bar = add(root, "div", { class: "bar" });
  const px = { min: 0, max: data.photo - 1, say: (v) => say(v, 0) };
  const x = slider(bar, "centre x, photo px", { ...px, value: data.center[0] }, show);
  const y = slider(bar, "centre y, photo px", { ...px, value: data.center[1] }, show);
  const side = slider(bar, "side, photo px", { min: 20, max: 2 * data.photo, value: data.side }, show);
  const angle = slider(bar, "angle, degrees", { min: -180, max: 180, step: 5, value: 0 }, show);
  const mirror = check(bar, "mirror", false, show);
  const point = add(root, "div", { class: "bar" });
  const place = { min: 0, max: data.size - 1, step: 0.5, say: (v) => say(v, 1) };
  const u = slider(point, "point x, crop px", { ...place, value: data.point[0] }, show);
  const v = slider(point, "point y, crop px", { ...place, value: data.point[1] }, show);
  const pair = add(root, "div", { class: "pair" });
  const photo = viewer(pair, (...to) => {
    [x.value, y.value] = to;
    show();
  });
  const seen = viewer(pair, (...to) => {
    [u.value, v.value] = to;
    show();
  });
  const text = add(root, "p", { "aria-live": "polite" });
  add(root, "p", {}, "Drag the square in the photo (left), or the point in the crop (right).");
  const image = await load(data.image);

  function show() {
    const there = matrix([x.value, y.value], side.value, angle.value, mirror.value, data.size);
    const back = inverse(there);
    const [low, high] = [-0.5, data.size - 0.5];
    const corners = [
      [low, low],
      [high, low],
      [high, high],
      [low, high],
    ].map((at) => apply(back, at));
    const at = [u.value, v.value];
    const home = apply(back, at);
    const said =
      `The crop's (${at.map((n) => say(n, 1)).join(", ")}) is (${home.map((n) => say(n, 1)).join(", ")}) ` +
      "in the photo";
    text.textContent = `${said}. One crop pixel covers ${say(side.value / data.size)} photo px.`;
    const cross = ([x, y], id) => ({ kind: "cross", x, y, id });
    const top = {
      kind: "line",
      x: corners[0][0],
      y: corners[0][1],
      to: corners[1],
      colour: "#f0e442",
      id: "top",
    };
    const marks = [{ kind: "square", corners, id: "crop" }, top, cross(home, "home")];
    photo.show({ size: data.photo, image, marks, text: `The photo, with the crop's square. ${said}` });
    const shown = { image: pixels(there), marks: [cross(at, "point")], text: "What the crop shows" };
    seen.show({ size: data.size, ...shown });
  }

  function pixels(there) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = data.size * DETAIL;
    cut(canvas, image, data.photo, data.photo, there, DETAIL);
    return canvas;
  }
  show();
  busy(root, false);
}
