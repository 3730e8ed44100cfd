// A stream's state as a mark and in words.

import { svg } from "./dom.js";

const MARKS = {
  drift: "M8 1.8 15 14H1ZM8 6v4M8 12v.4",
  quiet: "M3 8h2M7 8h2M11 8h2",
  ok: "M3 8.5 6.5 12 13 4.5",
  waiting: "M8 2.5a5.5 5.5 0 1 1-.01 0M8 5v3l2 1.6",
  elsewhere: "M3 8h9M8.5 4.5 12 8l-3.5 3.5",
};

export const mark = (state) =>
  svg("svg", { class: `mark ${state}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: MARKS[state] }));

/** Whether this daemon tests windows, and whether it scores samples: with Kafka another daemon may. */
export const tests = (roles) => roles.includes("test") || !roles.includes("score");
export const scores = (roles) => roles.includes("score") || !roles.includes("test");

/** A stream's state in words. */
export function stateWords(stream, roles) {
  if (stream.state === "drift") return `Drift, ${stream.severity}`;
  if (stream.state === "quiet") return "Silent";
  if (stream.state === "ok") return "Like its reference";
  if (stream.state === "elsewhere") return "Tested by another daemon";
  return tests(roles) ? "No result yet" : "Scored here, tested elsewhere";
}
