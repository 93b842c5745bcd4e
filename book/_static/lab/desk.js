// The controls: each moves one entry of the state, and shows it when something else has moved it.

import { add, button, check, choice, slider, words } from "../minipose/controls.js";
import { NUMBERS } from "./state.js";

const percent = (value) => `${Math.round(value)}\u00a0%`; // in one piece where a line is short
const degrees = (value) => `${Math.round(value)}°`;
const score = (value) => (value / 100).toFixed(2);

/** The start of the crop, to which a button leads back. */
export const START = { right: 0, down: 0, zoom: 100, angle: 0, mirror: false };

/**
 * Everything that is set, below `parent`. `set(part)` is told what the reader wants. Returns `show(state,
 * networks, joints)`, which draws the controls as the state is.
 */
export function desk(parent, set) {
  const controls = {};

  function group(title) {
    const box = add(parent, "fieldset");
    add(box, "legend", {}, title);
    return add(box, "div", { class: "bar" });
  }
  function number(bar, name, label, say, { step = 1, ...also } = {}) {
    const [min, max, value] = NUMBERS[name];
    controls[name] = slider(bar, label, { min, max, step, value, say }, (to) => set({ [name]: to, ...also }));
  }
  function flag(bar, name, label) {
    controls[name] = check(bar, label, false, (on) => set({ [name]: on }));
  }

  const drawn = group("What is drawn");
  const view = choice(drawn, "View", ["side by side", "difference"], 0, (k) => set({ difference: k === 1 }));
  let names = [];
  const joint = choice(drawn, "Joint", [], 0, (k) => set({ joint: names[k] }));
  number(drawn, "threshold", "Draw joints that score", (v) => `${score(v)} or more`);
  number(drawn, "heat", "Heatmap", percent, { step: 5 });
  flag(drawn, "skeleton", "skeleton");
  flag(drawn, "truth", "truth");

  const place = group("The crop: what the networks see");
  number(place, "right", "Crop to the right", percent);
  number(place, "down", "Crop down", percent);
  number(place, "zoom", "Zoom", percent);
  number(place, "angle", "Turn", degrees, { step: 5 });
  flag(place, "mirror", "mirror");
  button(place, "Back to the start", () => set(START));

  const cover = group("A patch that hides what it lies on");
  flag(cover, "patch", "patch");
  const laid = { patch: true }; // whoever moves the patch wants to see it
  number(cover, "across", "Patch to the right", percent, laid);
  number(cover, "along", "Patch down", percent, laid);
  number(cover, "width", "Patch size", percent, laid);

  return function show(state, joints) {
    if (names.length !== joints.length + 1) {
      names = ["all", ...joints];
      joint.names = names.map((name) => (name === "all" ? "all joints" : words(name)));
    }
    joint.value = names.indexOf(state.joint);
    view.value = Number(state.difference);
    for (const [name, control] of Object.entries(controls)) control.value = state[name];
  };
}
