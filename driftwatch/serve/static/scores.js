// Scores of the newest samples beside those of the reference's held-out samples.

import { columns, framed, sample, scale, ticks } from "./charts.js";
import { at, html, setText, svg } from "./dom.js";
import { scores } from "./states.js";
import { count, number, percent } from "./words.js";

const HEIGHT = 190;
const SIDES = { left: 10, right: 10, top: 14, bottom: 40 };

let shown = null;
let none = "";

export function showScores(comparison, roles) {
  shown = comparison;
  none = scores(roles) ? "No sample has been scored yet." : "Another daemon scores its samples.";
  draw();
}

function draw() {
  const frame = framed(at("scores"), HEIGHT, SIDES);
  at("scores-legend").hidden = shown === null;
  if (shown === null) {
    setText(at("scores-note"), none);
    frame.node.append(
      svg(
        "text",
        { class: "empty", x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2 },
        "no sample yet",
      ),
    );
    return;
  }
  const { edges, reference, recent, tail } = shown;
  const x = scale(edges[0], edges.at(-1), frame.left, frame.right);
  const y = scale(0, Math.max(...reference, ...recent), frame.bottom, frame.top);
  const outline = (shares) =>
    `M${x(edges[0])} ${frame.bottom}` +
    shares.map((share, i) => `V${y(share).toFixed(1)}H${x(edges[i + 1]).toFixed(1)}`).join("") +
    `V${frame.bottom}Z`;
  frame.node.append(
    svg("path", { class: "shares reference", d: outline(reference) }),
    svg("path", { class: "shares recent", d: outline(recent) }),
    svg("line", { class: "tail", x1: x(tail), x2: x(tail), y1: frame.top, y2: frame.bottom }),
    svg("line", { class: "axis", x1: frame.left, x2: frame.right, y1: frame.bottom, y2: frame.bottom }),
    svg(
      "text",
      { class: "tick middle", x: (frame.left + frame.right) / 2, y: HEIGHT - 4 },
      "nats (the outer bars include all values beyond them)",
    ),
  );
  columns(
    frame,
    ticks(edges[0], edges.at(-1), (frame.right - frame.left) / 80).map((value) => ({
      x: x(value),
      words: number(value),
    })),
  );
  setText(
    at("scores-note"),
    `Median ${number(shown.median)} nats (reference: ${number(shown.reference_median)}). ${percent(shown.beyond_tail)} of the samples score above the dotted line, as ${percent(shown.tail_share)} of the reference does.`,
  );
  at("scores-legend").replaceChildren(
    html("span", {}, sample("line recent"), `newest ${count(shown.samples)} samples`),
    html("span", {}, sample("line reference"), `reference, ${count(shown.held_out)} held out`),
    html("span", {}, sample("tail"), `99th percentile of the reference`),
  );
}

export const startScores = () => new ResizeObserver(draw).observe(at("scores"));
