// From a picture to what the networks see: the crop that the reader has moved, and the patch upon it.

import { apply, cut, inverse, matrix } from "../minipose/crop.js";

const DETAIL = 4; // the crop is drawn this much finer than the networks see it, for the reader

/** The crop of a picture as the state has it: center, side, angle, mirror. */
export function crop(picture, state) {
  const [x, y] = picture.center;
  return {
    center: [x + (picture.side * state.right) / 100, y + (picture.side * state.down) / 100],
    side: (picture.side * 100) / state.zoom,
    angle: state.angle,
    mirror: state.mirror,
  };
}

/** Picture px -> crop px of a crop of size x size. */
export const there = ({ center, side, angle, mirror }, size) => matrix(center, side, angle, mirror, size);

/** The smallest centred square that holds the whole picture, as `Crop.whole`. */
export function whole({ width, height }) {
  return { center: [(width - 1) / 2, (height - 1) / 2], side: Math.max(width, height), angle: 0 };
}

/** A square around the whole picture and the crop that it starts from. */
export function around(picture) {
  const half = picture.side / 2;
  const ends = [picture.width, picture.height].map((length, k) => {
    const at = picture.center[k];
    return [Math.min(-0.5, at - half), Math.max(length - 0.5, at + half)];
  });
  const side = 1.04 * Math.max(...ends.map(([low, high]) => high - low)); // with room for the line
  return { center: ends.map(([low, high]) => (low + high) / 2), side, angle: 0 };
}

/** Corners of a crop in picture px, the upper left one first. */
export function corners(crop, size) {
  const back = inverse(there(crop, size));
  const [low, high] = [-0.5, size - 0.5];
  return [
    [low, low],
    [high, low],
    [high, high],
    [low, high],
  ].map((at) => apply(back, at));
}

/** The occluding patch: its middle and side in picture px. */
export function patch({ width, height }, state) {
  const longer = Math.max(width, height);
  const [x, y] = [(width * state.across) / 100 - 0.5, (height * state.along) / 100 - 0.5];
  return { x, y, side: (longer * state.width) / 100 };
}

/** Draw a crop of a picture, and the patch, onto a square canvas. */
export function paint(canvas, picture, crop, size, state) {
  const { image, width, height } = picture;
  const brush = cut(canvas, image, width, height, there(crop, size), canvas.width / size);
  if (state.patch) {
    const { x, y, side } = patch(picture, state);
    brush.fillStyle = "#777";
    brush.fillRect(x - side / 2, y - side / 2, side, side);
  }
}

/** What draws crops for networks of this size: it gives the reader's picture and the networks' pixels. */
export function cutter(size) {
  const canvases = [DETAIL, 2, 1].map((detail) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = detail * size;
    return canvas;
  });
  const last = canvases.at(-1).getContext("2d", { willReadFrequently: true });
  return function look(picture, crop, state) {
    paint(canvases[0], picture, crop, size, state);
    // Halved twice, each pixel is the mean of what it covers, in every browser.
    for (const [k, smaller] of canvases.slice(1).entries()) {
      const brush = smaller.getContext("2d");
      brush.drawImage(canvases[k], 0, 0, smaller.width, smaller.height);
    }
    return { image: canvases[0], pixels: last.getImageData(0, 0, size, size) };
  };
}
