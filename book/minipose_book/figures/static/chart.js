// A small chart: lines over one axis, and a mark where the reader stands.

import { draw } from "./controls.js";

const [WIDTH, HEIGHT, LEFT, BOTTOM, EDGE] = [360, 190, 42, 36, 18];
const DASHES = ["none", "6 4", "2 3"]; // lines differ by dashes, which everybody sees

/**
 * A chart with fixed axes. x, y : { name, ticks }, ticks rising, the first and last being the ends.
 * `show(lines, text)` draws; a line is { name, points: [[x, y]...], band: [[x, low, high]...], at: [x, y] }.
 */
export function chart(parent, x, y) {
  const svg = draw(parent, "svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const [first, last] = [(axis) => axis.ticks[0], (axis) => axis.ticks.at(-1)];
  const across = (v) => LEFT + ((v - first(x)) / (last(x) - first(x))) * (WIDTH - LEFT - EDGE);
  const down = (v) => HEIGHT - BOTTOM - ((v - first(y)) / (last(y) - first(y))) * (HEIGHT - BOTTOM - EDGE);
  const path = (points) => `M${points.map(([a, b]) => `${across(a)} ${down(b)}`).join("L")}`;

  function axes() {
    const grid = { stroke: "currentColor", "stroke-opacity": 0.2 };
    for (const tick of y.ticks) {
      draw(svg, "path", { ...grid, d: `M${LEFT} ${down(tick)}H${WIDTH - EDGE}` });
      draw(svg, "text", { x: LEFT - 5, y: down(tick) + 4, "text-anchor": "end" }, String(tick));
    }
    for (const tick of x.ticks) {
      draw(svg, "path", { ...grid, d: `M${across(tick)} ${EDGE}V${HEIGHT - BOTTOM}` });
      draw(svg, "text", { x: across(tick), y: HEIGHT - BOTTOM + 15, "text-anchor": "middle" }, String(tick));
    }
    draw(svg, "text", { x: (LEFT + WIDTH - EDGE) / 2, y: HEIGHT - 5, "text-anchor": "middle" }, x.name);
    const middle = (EDGE + HEIGHT - BOTTOM) / 2;
    const turned = { transform: `translate(11 ${middle}) rotate(-90)`, "text-anchor": "middle" };
    draw(svg, "text", turned, y.name);
  }

  function show(lines, text) {
    svg.replaceChildren();
    svg.setAttribute("aria-label", text);
    axes();
    const stroke = { stroke: "currentColor", "stroke-width": 2, fill: "none" };
    lines.forEach(({ points, band, at }, number) => {
      if (band?.length > 1) {
        const edge = [...band.map(([a, low]) => [a, low]), ...band.map(([a, , high]) => [a, high]).reverse()];
        draw(svg, "path", { d: `${path(edge)}Z`, fill: "currentColor", "fill-opacity": 0.12 });
      }
      draw(svg, "path", { ...stroke, d: path(points), "stroke-dasharray": DASHES[number % DASHES.length] });
      if (at) {
        const place = { cx: across(at[0]), cy: down(at[1]), r: 6 };
        draw(svg, "circle", {
          ...stroke,
          ...place,
          fill: "currentColor",
          "fill-opacity": 0.35,
          "data-mark": "at",
        });
      }
    });
  }
  return { show };
}
