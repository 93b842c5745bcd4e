// The live lab: two networks look at a picture that the reader moves. book/build/lab.py makes what it shows.
//
// State in, pictures out: `set` changes the state, `look` cuts the crop and asks the networks, `show` draws
// what they say. Of what comes while the networks are busy only the last is looked at.

import { apply, inverse } from "../minipose/crop.js";
import { add, busy, button, figure } from "../minipose/controls.js";
import { crop, cutter, patch, there } from "./crops.js";
import { desk, START } from "./desk.js";
import { engine } from "./engine.js";
import { gestures } from "./gestures.js";
import { scene, Sorry } from "./pictures.js";
import { decoded, judged, placed } from "./reading.js";
import { sources } from "./sources.js";
import { AGREE, furthest, meter, PROVIDERS } from "./speed.js";
import { clean, read, write } from "./state.js";
import { tour } from "./tour.js";
import { chosenStage, overview, panels, stages } from "./views.js";
import { detail, summary, table } from "./words.js";

const NAMES = ["A", "B"];
const SHAPES = ["1 hourglass × 4 residual modules", "4 hourglasses × 1 residual module"];
const DIFFERENCE = "A less B: pink where A's heatmaps are higher, green where B's are";
const QUIET = 400; // ms without a change: then a screen reader is told, and the address is written

/** Build the lab into `host`; resolves when the networks have looked at the first picture, or rejects. */
export async function lab(host, folder) {
  const files = new URL("made/", folder);
  const made = await (await fetch(new URL("lab.json", files))).json();
  let networks = await engine(PROVIDERS[0]);
  let wanted = PROVIDERS[0];
  let state = clean(read(location.hash) ?? {}, made);
  let picture = null;

  const root = figure(host, "The live lab");
  root.classList.add("lab");
  root.hidden = true; // until there is something to see
  const showSource = sources(root, made, files, take, set);
  const trouble = add(root, "p", { role: "alert" });
  const steps = tour(root, made.tour, (part) => {
    take(made.scenes[part.scene], { pair: made.pairs[0].name, ...part });
  });
  const titles = [...NAMES.map((name, k) => `${name}: ${SHAPES[k]}`), DIFFERENCE];
  const views = panels(root, titles);
  views.row.append(steps.line);
  for (const element of views.elements) gestures(element, grab, moved);
  const small = stages(root, made.pairs[0].networks, NAMES, set);
  const lines = add(root, "div", { class: "lines" });
  const texts = NAMES.map((name) => {
    const column = add(lines, "div");
    add(column, "p", { class: "title" }, `Network ${name}`);
    return [add(column, "p"), add(column, "p")];
  });
  const showSpeed = meter(add(root, "div", { class: "bar speed" }), NAMES, (provider) => {
    wanted = provider;
    update();
  });
  const board = add(root, "div", { class: "board" });
  const showControls = desk(add(board, "div"), set);
  const aside = add(board, "div", { class: "aside" });
  add(aside, "p", {}, "The whole picture. Drag the square.");
  const showWhole = overview(aside, (x, y) => {
    const [cx, cy] = picture.center;
    set({ right: (100 * (x - cx)) / picture.side, down: (100 * (y - cy)) / picture.side });
  });
  const showTable = table(root, NAMES, () => update());
  share(add(root, "div", { class: "bar" }));
  const spoken = add(root, "p", { class: "spoken", "aria-live": "polite" });

  const pairOf = (state) => made.pairs.find(({ name }) => name === state.pair);
  const cutters = [cutter(made.pairs[0].size), cutter(made.pairs[0].size)];

  function set(part) {
    state = clean({ ...state, ...part }, made);
    later();
    return update();
  }

  let [taken, coming] = [0, 0]; // pictures that were asked for, and those of them not yet there
  /** Another picture: a scene, or the promise of one of the reader's; `part` of the state changes with it. */
  async function take(found, part = {}) {
    const mine = ++taken;
    trouble.textContent = "";
    coming += 1;
    busy(root, true);
    try {
      const next = await (found.file ? scene(found, files) : found).finally(() => (coming -= 1));
      if (mine !== taken) return next.stop?.(); // the reader has chosen yet another meanwhile
      picture?.stop?.();
      picture = next;
      await set({ ...START, scene: Math.max(made.scenes.indexOf(found), 0), ...part });
    } catch (error) {
      if (!(error instanceof Sorry)) throw error;
      if (mine === taken) trouble.textContent = error.message;
    } finally {
      if (!drawing) busy(root, coming > 0);
    }
  }

  // The reader's hands: what is grabbed is the patch or the picture.

  const pixels = (x, y) => [x, y].map((share) => share * pairOf(state).size);

  function grab(x, y) {
    const at = pixels(x, y).map((v) => v - 0.5);
    const [u, v] = apply(inverse(there(crop(picture, state), pairOf(state).size)), at);
    const { x: px, y: py, side } = patch(picture, state);
    return state.patch && Math.max(Math.abs(u - px), Math.abs(v - py)) <= side / 2 ? "patch" : "crop";
  }

  function moved({ x, y, zoom, turn, mirror }, what) {
    const [[a, b], [d, e]] = inverse(there(crop(picture, state), pairOf(state).size));
    const [dx, dy] = pixels(x, y);
    const [right, down] = [a * dx + b * dy, d * dx + e * dy];
    if (what === "patch") {
      set({
        across: state.across + (100 * right) / picture.width,
        along: state.along + (100 * down) / picture.height,
      });
      return;
    }
    const angle = state.angle + (state.mirror ? -turn : turn);
    set({
      right: state.right - (100 * right) / picture.side,
      down: state.down - (100 * down) / picture.side,
      zoom: state.zoom * zoom,
      angle: angle - 360 * Math.round(angle / 360),
      mirror: mirror ? !state.mirror : state.mirror,
    });
  }

  // One look

  const run = (runtime, pair, image) => {
    const addresses = pair.networks.map(({ file }) => new URL(file, files));
    return runtime.run(image, addresses);
  };

  /** What the networks find where the crop lies now. */
  async function look() {
    const [now, from, pair] = [state, picture, pairOf(state)];
    showControls(now, pair.joints);
    small.scrub(now);
    showSource(from, now.pair);
    const place = crop(from, now);
    cutters.reverse(); // the other one's picture is still to be drawn
    const { image, pixels } = cutters[0](from, place, now);
    if (wanted !== networks.provider) await change(pair, pixels);
    return { now, from, pair, place, image, found: await run(networks, pair, pixels) };
  }

  function show({ now, from, pair, place, image, found }) {
    const { size, joints, networks: described } = pair;
    const matrix = there(place, size);
    const truth = from.people[pair.skeleton] ?? [];
    const people = placed(truth, matrix);
    const all = found.map(({ stages }, k) =>
      stages.map((maps, number) => {
        const stage = decoded(maps, joints, size, described[k].strides[number], now.mirror);
        return { stage, judged: judged(stage, people, made.found) };
      }),
    );
    const looks = all.map((each, k) => each[chosenStage([now.first, now.second][k], each.length) - 1]);
    views.show(now, pair, image, looks, people);
    small.show(now, pair, image, all);
    showWhole(from, place, now);
    showTable(joints, looks, people);
    const [threshold, k] = [now.threshold / 100, joints.indexOf(now.joint)];
    looks.forEach((each, side) => {
      texts[side][0].textContent = summary(each, threshold, people.length > 1);
      const told = k < 0 ? "" : detail(each, k, now.joint, threshold, people, matrix);
      texts[side][1].textContent = told;
    });
    showSpeed(networks.provider, found);
    root.hidden = false;
    steps.look({ state: now, picture: from, pair, all, looks, people, truth, limit: made.found });
  }

  let [drawing, again] = [false, false];
  async function update() {
    again = true;
    if (drawing || !picture) return;
    drawing = true;
    let found = null;
    try {
      while (again || found) {
        busy(root, !picture.live);
        again = again || Boolean(picture.live);
        // While the networks look anew, what they found before is drawn.
        const looking = again ? look() : null;
        again = false;
        if (found) show(found);
        found = await looking;
        if (picture.live) await new Promise(requestAnimationFrame);
      }
    } catch (error) {
      trouble.textContent = `The networks stopped: ${error.message}. Load the page again.`;
    }
    drawing = false;
    busy(root, coming > 0);
  }

  let timer;
  function later() {
    clearTimeout(timer);
    if (root.hidden) return; // nobody has set anything yet
    timer = setTimeout(() => {
      const told = ([all, one], k) => `Network ${NAMES[k]}: ${all.textContent} ${one.textContent}`;
      spoken.textContent = texts.map(told).join(" ");
      history.replaceState(null, "", write(state, made));
    }, QUIET);
  }

  /** Another runtime, once it has shown that it finds the same. */
  async function change(pair, image) {
    let other = null;
    try {
      other = await engine(wanted);
      const apart = furthest(await run(networks, pair, image), await run(other, pair, image));
      if (!(apart <= AGREE)) throw new Error(`its heatmaps are ${apart} off`);
      networks.end();
      networks = other;
    } catch (error) {
      other?.end();
      wanted = networks.provider;
      trouble.textContent = `WebGPU cannot be used here: ${error.message}. WebAssembly goes on.`;
    }
  }

  function share(bar) {
    const link = add(bar, "input", { readonly: "", "aria-label": "Link", hidden: "" });
    const said = add(bar, "span", { role: "status" });
    const copy = button(bar, "Copy a link to what I see", async () => {
      link.value = location.href.split("#")[0] + write(state, made);
      link.hidden = false;
      link.select();
      const copied = await navigator.clipboard?.writeText(link.value).then(
        () => true,
        () => false,
      );
      const own = picture.file ? "" : " Your picture is not in it.";
      said.textContent = `${copied ? "Copied." : "Copy it from here."}${own}`;
    });
    bar.prepend(copy);
  }

  addEventListener("hashchange", ({ newURL }) => {
    const said = read(new URL(newURL).hash); // `later` may have written over it meanwhile
    if (said) restore(clean(said, made));
  });
  const restore = (state) => take(made.scenes[state.scene], state);
  await restore(state);
  if (root.hidden) throw new Error(trouble.textContent);
  if (read(location.hash)) root.scrollIntoView();
}
