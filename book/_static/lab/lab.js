// The live lab: two networks look at a picture that the reader moves. book/lab.py makes what it shows.
//
// State in, pictures out: `set` changes the state, and `frame` cuts the crop, asks the networks and draws
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
  const steps = tour(root, made.tour, (part) => {
    take(made.scenes[part.scene], { pair: made.pairs[0].name, ...part });
  });
  const showSource = sources(root, made, files, take);
  const trouble = add(root, "p", { role: "alert" });
  const titles = [...NAMES.map((name, k) => `${name}: ${SHAPES[k]}`), "A less B"];
  const views = panels(root, titles);
  for (const element of views.elements) gestures(element, grab, moved);
  const showStages = stages(root, made.pairs[0].networks, NAMES, set);
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
  const look = cutter(made.pairs[0].size);

  function set(part) {
    state = clean({ ...state, ...part }, made);
    later();
    return update();
  }

  let taken = 0;
  /** Another picture: a scene, or the promise of one of the reader's; `part` of the state changes with it. */
  async function take(found, part = {}) {
    const mine = ++taken;
    trouble.textContent = "";
    try {
      const next = await (found.file ? scene(found, files) : found);
      if (mine !== taken) return next.stop?.(); // the reader has chosen yet another meanwhile
      picture?.stop?.();
      picture = next;
      await set({ ...START, scene: Math.max(made.scenes.indexOf(found), 0), ...part });
    } catch (error) {
      if (!(error instanceof Sorry)) throw error;
      trouble.textContent = error.message;
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

  async function passes(runtime, pair, image) {
    const found = [];
    for (const { file } of pair.networks) {
      await runtime.load(new URL(file, files));
      found.push(await runtime.run(image, new URL(file, files)));
    }
    return found;
  }

  async function frame() {
    const [now, from, pair] = [state, picture, pairOf(state)];
    const { size, joints, networks: pairs } = pair;
    showControls(now, joints);
    showSource(from, now.pair);
    const place = crop(from, now);
    const seen = look(from, place, now);
    if (wanted !== networks.provider) await change(pair, seen.pixels);
    const found = await passes(networks, pair, seen.pixels);
    const matrix = there(place, size);
    const people = placed(from.people[pair.skeleton] ?? [], matrix);
    const all = found.map(({ stages }, k) =>
      stages.map((maps, number) => {
        const stage = decoded(maps, joints, size, pairs[k].strides[number], now.mirror);
        return { stage, judged: judged(stage, people, made.found) };
      }),
    );
    const looks = all.map((each, k) => each[chosenStage([now.first, now.second][k], each.length) - 1]);
    views.show(now, pair, seen.image, looks, people);
    showStages(now, pair, seen.image, all);
    showWhole(from, place, now);
    showTable(joints, looks, people);
    root.hidden = false;
    const [threshold, k] = [now.threshold / 100, joints.indexOf(now.joint)];
    looks.forEach((each, side) => {
      texts[side][0].textContent = summary(each, threshold, people.length > 1);
      const told = k < 0 ? "" : detail(each, k, now.joint, threshold, people, matrix);
      texts[side][1].textContent = told;
    });
    showSpeed(networks.provider, found);
    const truth = from.people[pair.skeleton] ?? [];
    steps({ state: now, picture: from, pair, all, looks, people, truth, limit: made.found });
  }

  let [drawing, again] = [false, false];
  async function update() {
    again = true;
    if (drawing || !picture) return;
    drawing = true;
    busy(root, !picture.live);
    try {
      while (again) {
        again = false;
        await frame();
        if (picture.live) again = await new Promise((next) => requestAnimationFrame(() => next(true)));
      }
    } catch (error) {
      trouble.textContent = `The networks stopped: ${error.message}. Load the page again.`;
    }
    drawing = false;
    busy(root, false);
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
    const other = await engine(wanted);
    try {
      const [ours, theirs] = [await passes(networks, pair, image), await passes(other, pair, image)];
      const apart = furthest(ours, theirs);
      if (!(apart <= AGREE)) throw new Error(`its heatmaps are ${apart} off`);
      networks.end();
      networks = other;
    } catch (error) {
      other.end();
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

  addEventListener("hashchange", () => {
    const said = read(location.hash);
    if (said) restore(clean(said, made));
  });
  const restore = (state) => take(made.scenes[state.scene], state);
  await restore(state);
  if (root.hidden) throw new Error(trouble.textContent);
  if (read(location.hash)) root.scrollIntoView();
}
