// What the reader has set: read from a link, written into one, and never beyond what is possible.

/** Lowest, highest, and at the start. Places are in percent: of the crop's side, or of the picture's. */
export const NUMBERS = {
  right: [-100, 100, 0],
  down: [-100, 100, 0],
  zoom: [25, 400, 100],
  angle: [-180, 180, 0],
  first: [1, 8, 8], // stage of network A; 8 is the last of however many
  second: [1, 8, 8],
  threshold: [0, 100, 30],
  heat: [0, 100, 70],
  across: [0, 100, 50],
  along: [0, 100, 50],
  width: [2, 60, 15],
};
export const FLAGS = { mirror: false, patch: false, skeleton: true, truth: false, difference: false };

/** A whole state from whatever a link or a step of the tour says. made : what book/build/lab.py wrote. */
export function clean(said, made) {
  const state = {};
  for (const [name, [low, high, start]] of Object.entries(NUMBERS)) {
    const value = Number(said[name] ?? start);
    state[name] = Number.isFinite(value) ? Math.min(Math.max(value, low), high) : start;
  }
  for (const [name, start] of Object.entries(FLAGS)) state[name] = Boolean(Number(said[name] ?? start));
  const pair = made.pairs.findIndex((each) => each.name === said.pair);
  state.pair = made.pairs[Math.max(pair, 0)].name;
  state.joint = made.pairs[Math.max(pair, 0)].joints.includes(said.joint) ? said.joint : "all";
  state.scene = made.scenes[Number(said.scene)] ? Number(said.scene) : 0;
  return state;
}

/** A link's part behind the "#": what differs from the start. */
export function write(state, made) {
  const start = clean({}, made);
  const told = Object.entries(state).filter(([name, value]) => value !== start[name]);
  const short = ([name, value]) => [name, typeof value === "string" ? value : String(round(Number(value)))];
  return `#lab&${new URLSearchParams(told.map(short))}`;
}

/** What a link says, or null where its part behind the "#" is none of ours. */
export function read(fragment) {
  if (!/^#lab(&|$)/.test(fragment)) return null;
  return Object.fromEntries(new URLSearchParams(fragment.slice(4)));
}

const round = (value) => Math.round(value * 10) / 10;
