// How fast the networks are here, and with which runtime.

import { add, choice, say } from "../minipose/controls.js";
import { hasGraphics } from "./engine.js";

export const PROVIDERS = ["wasm", "webgpu"];
const NAMED = ["WebAssembly", "WebGPU"];
export const AGREE = 1e-3; // how far heatmaps of WebGPU may lie from those of WebAssembly
const MEMORY = 0.8; // each figure is a running mean, of which a new value is a fifth
const PAUSE = 400; // ms: frames further apart do not follow each other

/** The largest difference between two runtimes' heatmaps. */
export function furthest(ours, theirs) {
  let most = 0;
  ours.forEach(({ stages }, network) =>
    stages.forEach((maps, stage) => {
      const other = theirs[network].stages[stage];
      for (const [cell, value] of maps.entries()) most = Math.max(most, Math.abs(value - other[cell]));
    }),
  );
  return most;
}

/** A line of figures; where WebGPU is, a menu too. `chosen` is told the runtime's name. */
export function meter(parent, names, chosen) {
  const text = add(parent, "span", { class: "figures" });
  let [last, rate, passes] = [null, NaN, names.map(() => NaN)];
  let runtime = null;
  hasGraphics().then((there) => {
    if (there) runtime = choice(parent, "Computed with", NAMED, 0, (k) => chosen(PROVIDERS[k]));
  });
  const mixed = (before, now) => (Number.isNaN(before) ? now : MEMORY * before + (1 - MEMORY) * now);

  /** Another frame. found : of each network what the runtime said. */
  return function show(provider, found) {
    const now = performance.now();
    if (now - last < PAUSE) rate = mixed(rate, 1000 / (now - last));
    // The first pass does not count: the runtime prepares itself.
    if (last !== null) passes = passes.map((before, k) => mixed(before, found[k].milliseconds));
    last = now;
    const each = names.map((name, k) => `${name} ${say(passes[k], 1)} ms`).join(", ");
    text.textContent = `A forward pass: ${each}. Frames per second while something moves: ${say(rate, 0)}.`;
    if (runtime) runtime.value = PROVIDERS.indexOf(provider);
  };
}
