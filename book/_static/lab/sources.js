// Where the reader chooses a picture: the strip of scenes, a file, the camera; and which networks look at it.

import { add, button, choice } from "../minipose/controls.js";
import { camera, photo } from "./pictures.js";

/**
 * The row of pictures. `take(found, part)` gets a scene, or the promise of a picture, and what else shall
 * change. A file may also be dropped anywhere on `root`.
 */
export function sources(root, made, folder, take) {
  const box = add(root, "div", { class: "sources" });
  const strip = add(box, "div", { class: "strip", role: "group", "aria-label": "Pictures" });
  const scenes = made.scenes.map((scene) => {
    const node = button(strip, "", () => take(scene));
    add(node, "img", { src: new URL(scene.file, folder), alt: scene.says, width: 64, height: 64 });
    return node;
  });
  const bar = add(box, "div", { class: "bar" });
  const names = made.pairs.map(({ name }) => `trained on ${name}`);
  const pair = choice(bar, "Networks", names, 0, (k) => {
    take(made.scenes[made.pairs[k].scene], { pair: made.pairs[k].name });
  });
  let filming = false;
  const film = button(bar, "Camera", () => (filming ? take(made.scenes[0]) : take(camera())));
  const label = add(bar, "label", {}, "Your photo (or drop one here)");
  const file = add(label, "input", { type: "file", accept: "image/*" });
  file.addEventListener("change", () => {
    if (file.files.length) take(photo(file.files[0]));
    file.value = ""; // so that the same file can be chosen again
  });
  const says = add(box, "p", { class: "says" });

  root.addEventListener("dragover", (event) => event.preventDefault());
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    const [dropped] = event.dataTransfer.files;
    if (dropped) take(photo(dropped));
  });

  /** Mark what is looked at now, and by whom. */
  return function show(picture, name) {
    scenes.forEach((node, k) =>
      node.setAttribute("aria-pressed", String(made.scenes[k].file === picture.file)),
    );
    pair.value = made.pairs.findIndex((each) => each.name === name);
    filming = Boolean(picture.live);
    film.textContent = filming ? "Stop the camera" : "Camera";
    const own = picture.file ? "" : " It stays on your machine.";
    says.textContent = `The picture: ${picture.says}.${own}`;
  };
}
