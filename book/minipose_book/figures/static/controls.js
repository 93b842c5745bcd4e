// What figures are built of: labelled controls that a mouse, a finger and the keyboard move alike.

const SVG = "http://www.w3.org/2000/svg";
const STYLE = `
.minipose { max-width: 46rem; margin: 0.5rem 0; line-height: 1.35; text-align: left;
  color: var(--jp-content-font-color1, inherit); }
.minipose .bar { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; align-items: end; margin: 0.5rem 0; }
.minipose .pair { display: flex; flex-wrap: wrap; gap: 0.5rem 0.9rem; align-items: start; }
.minipose .pair > * { flex: 1 1 9.5rem; min-width: 0; max-width: 24rem; }
.minipose label { display: block; font-size: 0.9rem; }
.minipose label.check { display: flex; gap: 0.4rem; align-items: center; min-height: 1.8rem; }
.minipose label.check input { width: 1.15rem; height: 1.15rem; margin: 0; }
.minipose .trio > * { flex-basis: 6.5rem; }
@media (max-width: 36rem) {
  /* What one drags is shown large, what follows below it. */
  .minipose .lead > :first-child { flex-basis: 100%; max-width: 15rem; margin: 0 auto; }
}
.minipose .pair > .chart, .minipose .pair > :has(.chart) { flex-basis: 16rem; }
.minipose select { display: block; font: inherit; padding: 0.25rem; min-height: 1.9rem; max-width: 100%; }
.minipose input[type="range"] { display: block; width: 13rem; max-width: 100%; height: 1.8rem; margin: 0;
  touch-action: pan-y; }
.minipose .pair > * input[type="range"] { width: 100%; }
.minipose :focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
.minipose .stage { position: relative; aspect-ratio: 1; background: #000; }
.minipose .stage > * { position: absolute; inset: 0; width: 100%; height: 100%; }
.minipose .drag { touch-action: none; cursor: grab; }
.minipose svg.chart { display: block; width: 100%; max-width: 26rem; }
.minipose svg.chart text { font-size: 12px; fill: currentColor; }
.minipose p { margin: 0.35rem 0; font-variant-numeric: tabular-nums; }
.text_html:has(> .minipose-host) {
  background: none !important; color: inherit !important; padding: 0 !important; }
`; // the last rule: the theme puts what a cell emits on white paper in the dark

/** The figure's outermost element, in which everything else is built; busy until `busy(root, false)`. */
export function figure(parent, label) {
  add(parent, "style", {}, STYLE);
  return busy(add(parent, "div", { class: "minipose", role: "group", "aria-label": label }), true);
}

/** Say whether what is seen is still to be drawn, to screen readers and tests. */
export function busy(root, whether) {
  root.setAttribute("aria-busy", String(whether));
  return root;
}

export function add(parent, kind, attributes = {}, text = "") {
  return append(parent, document.createElement(kind), attributes, text);
}

export function draw(parent, kind, attributes = {}, text = "") {
  return append(parent, document.createElementNS(SVG, kind), attributes, text);
}

function append(parent, node, attributes, text) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return parent.appendChild(node);
}

// JupyterLab takes keys for commands unless an element says that it wants them itself.
const KEYS = { "data-lm-suppress-shortcuts": "true" };

/** A slider with its value in the label. `say` puts the value in words. */
export function slider(parent, name, { min, max, step = 1, value, say = String }, moved) {
  const label = add(parent, "label");
  const text = add(label, "span");
  const input = add(label, "input", { type: "range", min, max, step, ...KEYS });
  const control = {
    get value() {
      return Number(input.value);
    },
    set value(value) {
      input.value = value;
      control.refresh();
    },
    set max(max) {
      input.max = max;
      input.disabled = Number(max) === Number(input.min);
      control.refresh();
    },
    /** Say the value again, for words that depend on something else. */
    refresh() {
      text.textContent = `${name}: ${say(control.value)}`;
      input.setAttribute("aria-label", name);
      input.setAttribute("aria-valuetext", say(control.value));
    },
  };
  control.value = value;
  input.addEventListener("input", () => {
    control.refresh();
    moved(control.value);
  });
  return control;
}

/** A menu; `value` is the number of the chosen name. */
export function choice(parent, name, names, value, chosen) {
  const label = add(parent, "label", {}, name);
  const select = add(label, "select", { "aria-label": name, ...KEYS });
  select.addEventListener("change", () => chosen(Number(select.value)));
  const control = {
    get value() {
      return Number(select.value);
    },
    set value(value) {
      select.value = value;
    },
    set names(names) {
      select.replaceChildren();
      names.forEach((each, number) => add(select, "option", { value: number }, each));
    },
  };
  [control.names, control.value] = [names, value];
  return control;
}

/** A box to tick. */
export function check(parent, name, value, ticked) {
  const label = add(parent, "label", { class: "check" });
  const input = add(label, "input", { type: "checkbox", ...KEYS });
  input.checked = value;
  label.append(name);
  input.addEventListener("change", () => ticked(input.checked));
  return {
    get value() {
      return input.checked;
    },
    set value(value) {
      input.checked = value;
    },
  };
}

/** A button; `text` says what it does. */
export function button(parent, text, pressed) {
  const node = add(parent, "button", { type: "button", ...KEYS }, text);
  node.addEventListener("click", pressed);
  return node;
}

/** A joint's or a network's name as a reader reads it. */
export const words = (name) => name.replaceAll("_", " ");

/** A number to so many places; a dash where there is none. */
export const say = (value, places = 2) => (Number.isFinite(value) ? value.toFixed(places) : "–");
