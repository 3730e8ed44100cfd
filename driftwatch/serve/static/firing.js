// When the alarm was on, behind the p-values.

import { svg } from "./dom.js";

const MERGED_PX = 6; // Alarms closer together than this are drawn as one.

/** The times at which the alarm was on between two times, in pixels; until now if it still is. */
export function periodsIn(periods, { first, last, now }, place) {
  const seen = periods.filter(({ start_ms: start, end_ms: end }) => (end ?? last) >= first && start <= last);
  return seen.map(({ start_ms: start, end_ms: end }) => ({
    from: place(Math.max(start, first)),
    to: place(Math.min(end ?? Math.max(start, now), last)),
  }));
}

/** Runs of windows at which the alarm was on, in pixels. */
export function runs(alarm, place) {
  const found = alarm.map((on, i) =>
    on ? { from: place(null, i - 1, alarm.length), to: place(null, i, alarm.length) } : null,
  );
  return found.filter((each) => each !== null);
}

/** Marks spans; merges those that would look like one. */
export function drawFiring(frame, spans) {
  const merged = [];
  for (const { from, to } of spans) {
    const before = merged.at(-1);
    if (before && from - before.to < MERGED_PX) before.to = Math.max(before.to, to);
    else merged.push({ from, to });
  }
  for (const { from, to } of merged) {
    const width = Math.max(2, to - from);
    frame.node.append(
      svg("rect", { class: "firing", x: from, y: frame.top, width, height: frame.bottom - frame.top }),
      svg("rect", { class: "firing-cap", x: from, y: frame.top - 6, width, height: 4, rx: 2 }),
    );
  }
}
