// A chart with its caption, its key and its table; drawn again where its width changes.
import * as Plot from "@observablehq/plot";
import { element, folded, shown, table } from "./dom.js";

export { Plot };

export const palette = ["var(--c1)", "var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)", "var(--c6)", "var(--c7)", "var(--c8)"];

const drawings = [];

/** draw(width) gives the options of Plot.plot; `data` is {columns, rows} of the chart's table. */
export function chart({ title, about, key, draw, data, wide, says }) {
  const drawing = element("div", { class: "drawing" });
  const figure = element("figure", { class: wide ? "wide" : null },
    element("figcaption", {}, element("h3", {}, title), about ? element("p", {}, about) : null),
    key ? keyOf(key) : null, drawing,
    data ? folded(`Table: ${title}`, table(title, data.columns, data.rows)) : null);
  drawings.push({ drawing, draw, label: says ? `${title}. ${says}` : title, width: 0 });
  return figure;
}

/** A legend as a list: [{name, colour, stroke}]. */
export function keyOf(entries) {
  return element("ul", { class: "key" }, entries.map(({ name, colour, stroke }) =>
    element("li", {}, element("span", { class: stroke ? "stroke" : null, style: `background:${colour}` }), name)));
}

function drawOne(entry) {
  const width = Math.floor(entry.drawing.clientWidth);
  if (width < 50 || width === entry.width) return;
  entry.width = width;
  const options = entry.draw(width);
  const made = Plot.plot({
    width, style: { background: "none", color: "var(--ink)", fontFamily: "inherit", fontSize: "12px" }, ...options,
  });
  const picture = made.tagName.toLowerCase() === "svg" ? made : made.querySelector("svg");
  // The picture has one label; those of its parts say nothing to a reader, and ARIA knows none on a group.
  for (const part of picture.querySelectorAll("[aria-label], [aria-description]")) {
    if (part.getAttribute("aria-label") === "tip") part.classList.add("tip");
    part.removeAttribute("aria-label");
    part.removeAttribute("aria-description");
  }
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", shown(entry.label));
  entry.drawing.replaceChildren(made);
}

/** Draws every chart now and whenever the room for it changes. */
export function drawAll() {
  const later = new ResizeObserver((changes) => {
    requestAnimationFrame(() => {
      for (const one of changes) drawOne(drawings.find((entry) => entry.drawing === one.target));
    });
  });
  for (const entry of drawings) {
    drawOne(entry);
    later.observe(entry.drawing);
  }
}

/** Ticks of a logarithmic axis: 1, 2 and 5 of each factor of ten where few fit, else 1 alone. */
export function decades(values) {
  const known = values.filter((value) => value > 0);
  const low = Math.min(...known), high = Math.max(...known);
  const ticks = [];
  const steps = high / low > 300 ? [1] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1)
    for (const step of steps) if (step * 10 ** power >= low && step * 10 ** power <= high) ticks.push(step * 10 ** power);
  return ticks;
}

export const tip = { fill: "var(--card)", stroke: "var(--line)", fontSize: 12 };
