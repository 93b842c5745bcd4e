// The labelling window of book/minipose_book/labelling/labelling.py: draws `state` and `photo`, sends steps back.
//
// The drawing's coordinates are the photo's own pixels, an integer being the centre of a pixel, so a
// click is turned into them here, once, whatever size the window has.

const SVG = "http://www.w3.org/2000/svg";
const KEYS = { o: "occluded", s: "skip", u: "undo" };
const VISIBLE = 2;

function add(parent, kind, attributes = {}, text = "") {
  const node = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return parent.appendChild(node);
}

function draw(svg, kind, attributes) {
  const node = document.createElementNS(SVG, kind);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return svg.appendChild(node);
}

function render({ model, el }) {
  const state = () => model.get("state");
  const send = (step, ...values) => model.send({ step, arguments: values });
  const turn = (by) => send("go", state().number + by);

  // JupyterLab takes single letters for commands unless an element says that it wants them itself.
  const root = add(el, "div", {
    tabindex: "0", "data-lm-suppress-shortcuts": "true", style: "max-width: 900px; outline-offset: 2px",
  });
  const title = add(root, "div", { style: "margin-bottom: 4px" });
  const question = add(root, "div", { "aria-live": "polite", style: "font-size: 120%; font-weight: bold" });
  const frame = add(root, "div", { style: "position: relative; margin: 6px 0; line-height: 0" });
  const image = add(frame, "img", { alt: "", draggable: "false", style: "width: 100%" });
  const svg = draw(frame, "svg", {
    style: "position: absolute; inset: 0; width: 100%; height: 100%; cursor: crosshair",
  });
  const bar = add(root, "div");
  const button = (text, action) => {
    const node = add(bar, "button", { type: "button", style: "margin-right: 6px" }, text);
    node.addEventListener("click", action);
    return node;
  };
  button("← previous", () => turn(-1));
  button("next →", () => turn(1));
  const hidden = button("hidden (O)", () => send("occluded"));
  button("skip (S)", () => send("skip"));
  button("undo (U)", () => send("undo"));
  const error = add(root, "div", { role: "alert", style: "color: #b00020" });

  svg.addEventListener("click", (event) => {
    const [width, height] = state().size;
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width - 0.5;
    const y = ((event.clientY - box.top) / box.height) * height - 0.5;
    send("click", x, y);
    root.focus({ preventScroll: true });
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = KEYS[event.key.toLowerCase()];
    if (step) send(step);
    else if (event.key === "ArrowRight") turn(1);
    else if (event.key === "ArrowLeft") turn(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  let address = "";
  function showPhoto() {
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(new Blob([model.get("photo")], { type: "image/jpeg" }));
    image.src = address;
  }

  function showState() {
    const { name, number, count, joint, answers, limbs, ...rest } = state();
    const [width, height] = rest.size;
    title.textContent = `${name}, photo ${number + 1} of ${count}`;
    question.textContent = joint
      ? `Click the person's ${joint.replaceAll("_", " ")}${rest.hidden ? ", hidden: where it must be" : ""}`
      : "All joints of this photo are answered.";
    hidden.setAttribute("aria-pressed", String(rest.hidden));
    hidden.style.fontWeight = rest.hidden ? "bold" : "normal";
    error.textContent = rest.error;
    // A photo smaller than the window is enlarged: joints are easier to hit.
    image.style.aspectRatio = `${width} / ${height}`;
    svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.replaceChildren();
    const unit = Math.max(width, height) / 200;
    const placed = (k) => k < answers.length && answers[k][2] > 0;
    for (const [a, b] of limbs.filter(([a, b]) => placed(a) && placed(b))) {
      const [[x1, y1], [x2, y2]] = [answers[a], answers[b]];
      draw(svg, "line", { x1, y1, x2, y2, stroke: "#ffd54f", "stroke-width": unit / 2 });
    }
    answers.forEach(([cx, cy, visibility], k) => {
      if (!placed(k)) return;
      const fill = visibility === VISIBLE ? "#00a0ff" : "none"; // hidden joints are hollow
      draw(svg, "circle", { cx, cy, r: unit, fill, stroke: "#00a0ff", "stroke-width": unit / 2 });
    });
  }

  model.on("change:photo", showPhoto);
  model.on("change:state", showState);
  showPhoto();
  showState();
  return () => URL.revokeObjectURL(address);
}

export default { render };
