// What the networks say: heatmaps decoded, joints named, and held against the truth where there is one.

import { apply } from "../minipose/crop.js";
import { decode, toCrop } from "../minipose/codec.js";

/** Number of each joint's mirror image: left and right change places. */
export function flipped(joints) {
  const other = { left: "right", right: "left" };
  return joints.map((name) => joints.indexOf(name.replace(/^(left|right)/, (side) => other[side])));
}

/**
 * One stage's heatmaps (J, side, side) in a row, as maps and points by the person's own joints: in a mirrored
 * crop the network calls left what is right, as minipose.predict knows.
 */
export function decoded(heatmaps, joints, size, stride, mirror) {
  const side = size / stride;
  const order = mirror ? flipped(joints) : joints.keys();
  const maps = Array.from(order, (k) => heatmaps.subarray(k * side * side, (k + 1) * side * side));
  const peaks = maps.map((map) => decode(map, side, side));
  return {
    side,
    maps,
    points: peaks.map(({ x, y }) => [toCrop(x, stride), toCrop(y, stride)]),
    scores: peaks.map(({ score }) => score),
  };
}

/** People of a scene in crop px: { joints: [x, y] or null, seen, head }. matrix : picture px -> crop px. */
export function placed(people, matrix) {
  const zoom = Math.sqrt(Math.abs(matrix[0][0] * matrix[1][1] - matrix[0][1] * matrix[1][0]));
  return people.map(({ joints, head }) => ({
    joints: joints.map((at) => at && apply(matrix, at)),
    seen: joints.map((at) => at?.[2] ?? 0), // 0 not labelled, 1 hidden, 2 visible
    head: head * zoom,
  }));
}

/** Distances from a person's joints in heads, null without a label. */
export function errors(points, { joints, head }) {
  return points.map(([x, y], k) => joints[k] && Math.hypot(x - joints[k][0], y - joints[k][1]) / head);
}

export function mean(values) {
  const known = values.filter((value) => value !== null);
  return known.reduce((sum, value) => sum + value, 0) / known.length;
}

/**
 * A stage held against the people of a scene: whom it means (number, or null without truth), the distances
 * from that person's joints, and how many of them lie within `limit` heads.
 */
export function judged(stage, people, limit) {
  if (!people.length) return { person: null, errors: stage.points.map(() => null), found: 0, labelled: 0 };
  const all = people.map((each) => errors(stage.points, each));
  const means = all.map(mean);
  const person = means.indexOf(Math.min(...means));
  const known = all[person].filter((value) => value !== null);
  return {
    person,
    errors: all[person],
    mean: means[person],
    found: known.filter((value) => value <= limit).length,
    labelled: known.length,
  };
}
