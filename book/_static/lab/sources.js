// Where the reader chooses a picture: the strip of scenes, a file, the camera; and which networks look at it.

import { add, button, choice } from "../minipose/controls.js";
import { camera, photo } from "./pictures.js";

const PEOPLE = { pair: "people" }; // these networks look at what a reader brings

/**
 * The row of pictures. `take(found, part)` gets a scene, or the promise of a picture, and what else shall
 * change; `set(part)` changes the state alone. A file may also be dropped anywhere on `root`.
 */
export function sources(root, made, folder, take, set) {
  const box = add(root, "div", { class: "sources" });
  const strip = add(box, "div", { class: "strip", role: "group", "aria-label": "Pictures" });
  const scenes = made.scenes.map((scene) => {
    const node = button(strip, "", () => take(scene));
    add(node, "img", { src: new URL(scene.file, folder), alt: scene.says, width: 64, height: 64 });
    return node;
  });
  const bar = add(box, "div", { class: "bar" });
  const names = made.pairs.map(({ name }) => `trained on ${name}`);
  let shown = {}; // the picture that is looked at
  const pair = choice(bar, "Networks", names, 0, (k) => {
    const { name, scene } = made.pairs[k];
    // Each pair has a scene of its own, but a reader's picture stays.
    if (shown.file) take(made.scenes[scene], { pair: name });
    else set({ pair: name });
  });
  const film = button(bar, "Camera", () => {
    if (shown.live) take(made.scenes[made.pairs[pair.value].scene]);
    else take(camera(), PEOPLE);
  });
  const label = add(bar, "label", {}, "Your photo (or drop one here)");
  const file = add(label, "input", { type: "file", accept: "image/*" });
  file.addEventListener("change", () => {
    if (file.files.length) take(photo(file.files[0]), PEOPLE);
    file.value = ""; // so that the same file can be chosen again
  });
  const says = add(box, "p", { class: "says" });

  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped) take(photo(dropped), PEOPLE);
  });

  /** Mark what is looked at now, and by whom. */
  return function show(picture, name) {
    shown = picture;
    scenes.forEach((node, k) =>
      node.setAttribute("aria-pressed", String(made.scenes[k].file === picture.file)),
    );
    pair.value = made.pairs.findIndex((each) => each.name === name);
    film.textContent = picture.live ? "Stop the camera" : "Camera";
    const own = picture.file ? "" : " It stays on your machine.";
    says.textContent = `The picture: ${picture.says}.${own}`;
  };
}
