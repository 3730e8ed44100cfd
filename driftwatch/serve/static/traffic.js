// Samples scored over time, and the backlog.

import { columns, framed, rows, scale } from "./charts.js";
import { at, defined, setText, svg } from "./dom.js";
import { count, rate } from "./words.js";

const HEIGHT = 150;
const SIDES = { left: 44, right: 6, top: 12, bottom: 26 };
const SPANS = 120;

let shown = null;

export function showTraffic(traffic, stream, lag, queued) {
  shown = { traffic, stream };
  draw();
  const waits = Object.entries(lag).map(([topic, messages]) =>
    defined(`waiting in ${topic}`, `${count(messages)} messages`),
  );
  if (queued !== null) waits.push(defined("waiting in the intake", `${count(queued)} messages`));
  at("lag").replaceChildren(...waits);
}

function draw() {
  if (shown === null) return;
  const { traffic, stream } = shown;
  const frame = framed(at("traffic"), HEIGHT, SIDES);
  const seconds = traffic.span_seconds;
  const rates = traffic.samples.map((samples) => samples / seconds);
  const most = Math.max(...rates, 1);
  const y = scale(0, most, frame.bottom, frame.top);
  const width = (frame.right - frame.left) / SPANS;
  rows(
    frame,
    [0, most].map((value) => ({ y: y(value), words: rate(value) })),
  );
  frame.node.append(
    ...rates.map((value, i) =>
      svg("rect", {
        class: "traffic",
        x: (frame.right - (rates.length - i) * width).toFixed(2),
        y: y(value),
        width: Math.max(1, width - 1).toFixed(2),
        height: frame.bottom - y(value),
      }),
    ),
  );
  columns(frame, [
    { x: frame.left, words: "10 min ago" },
    { x: (frame.left + frame.right) / 2, words: "5 min" },
    { x: frame.right, words: "now" },
  ]);
  setText(
    at("traffic-note"),
    `${rate(stream.samples_per_second)} samples/s over the last minute, ${count(stream.samples)} since the daemon started.`,
  );
}

export const startTraffic = () => new ResizeObserver(draw).observe(at("traffic"));
