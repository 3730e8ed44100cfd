// What all charts have in common: a frame in true pixels, so that letters keep their size on a phone; axes; ticks.

import { svg } from "./dom.js";
import { time } from "./words.js";

/** Empties a chart and measures it. `sides` are the margins left, right, top and bottom of what is drawn. */
export function framed(node, height, sides) {
  const width = Math.max(200, node.clientWidth);
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.setAttribute("height", height);
  node.replaceChildren();
  return { node, left: sides.left, right: width - sides.right, top: sides.top, bottom: height - sides.bottom };
}

export const scale = (from, to, start, end) => (value) => start + ((value - from) / (to - from || 1)) * (end - start);

/** Round values between two others, at most `most` of them. */
export function ticks(from, to, most) {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, i) => (first + i) * step);
}

const SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200];

/** Round times between two others, in the reader's time zone, at most `most` of them. */
export function timeTicks(from, to, most) {
  const step = 1000 * (SECONDS.find((seconds) => 1000 * seconds * most >= to - from) ?? 86400);
  const zone = -60000 * new Date(from).getTimezoneOffset();
  const first = Math.ceil((from + zone) / step) * step - zone;
  const found = [];
  for (let ms = first; ms <= to; ms += step)
    found.push({ at: ms, words: step < 60000 ? time(ms) : time(ms).slice(0, 5) });
  return found;
}

/** Horizontal lines with their words at the left. */
export function rows(frame, marks) {
  for (const { y, words } of marks) {
    frame.node.append(
      svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y, y2: y }),
      svg("text", { class: "tick end", x: frame.left - 8, y: y + 4 }, words),
    );
  }
}

/** Words under the chart; those that would stand out of it are moved in. */
export function columns(frame, marks) {
  for (const { x, words } of marks) {
    const side = x > frame.right - 24 ? "end" : x < frame.left + 10 ? "start" : "middle";
    frame.node.append(
      svg("line", { class: "grid", x1: x, x2: x, y1: frame.bottom, y2: frame.bottom + 4 }),
      svg("text", { class: `tick ${side}`, x, y: frame.bottom + 18 }, words),
    );
  }
}

export const sample = (name) =>
  svg(
    "svg",
    { class: "sample", width: 22, height: 10, "aria-hidden": "true" },
    svg("path", { class: name, d: "M1 5H21" }),
  );
