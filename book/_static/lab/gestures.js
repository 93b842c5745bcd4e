// Moving a picture by mouse, fingers and keys: one pointer drags, two also turn and zoom.

const KEYS = {
  ArrowLeft: { x: -0.02 },
  ArrowRight: { x: 0.02 },
  ArrowUp: { y: -0.02 },
  ArrowDown: { y: 0.02 },
  "+": { zoom: 1.05 },
  "=": { zoom: 1.05 }, // the same key without shift
  "-": { zoom: 1 / 1.05 },
  "[": { turn: -5 },
  "]": { turn: 5 },
  m: { mirror: true },
};

/**
 * Tell what is done to an element. `moved(change, what)` gets x, y (shares of the element's side, to the
 * right and down), zoom (a factor), turn (degrees, clockwise) and mirror; `what` is what `grab` made of the
 * place where a drag began, and null for keys and two fingers.
 */
export function gestures(element, grab, moved) {
  const pointers = new Map(); // of each finger: where it is, in shares of the element's side
  let what = null;

  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  };
  element.classList.add("drag");
  element.addEventListener("pointerdown", (event) => {
    if (event.button || pointers.size === 2) return;
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    what = pointers.size === 1 ? grab(...place(event)) : null;
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = [...pointers.values()];
    pointers.set(event.pointerId, place(event));
    moved(change(before, [...pointers.values()]), what);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    element.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    moved({ x: 0, y: 0, zoom: 1, turn: 0, ...KEYS[event.key] }, null);
  });
}

/** From where one or two fingers were to where they are. */
function change(before, after) {
  const middle = (places) => [0, 1].map((k) => places.reduce((sum, at) => sum + at[k], 0) / places.length);
  const [from, to] = [middle(before), middle(after)];
  const moved = { x: to[0] - from[0], y: to[1] - from[1], zoom: 1, turn: 0 };
  if (after.length === 1) return moved;
  const span = ([[ax, ay], [bx, by]]) => [Math.hypot(bx - ax, by - ay), Math.atan2(by - ay, bx - ax)];
  const [[length, angle], [longer, turned]] = [span(before), span(after)];
  const turn = ((turned - angle) * 180) / Math.PI;
  return { ...moved, zoom: longer / Math.max(length, 1e-3), turn: turn - 360 * Math.round(turn / 360) };
}
