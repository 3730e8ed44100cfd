// The figures of the chosen stream.

import { at, html, keyed, setText } from "./dom.js";
import { mark, stateWords } from "./states.js";
import { ago, count, moment, number, percent, pValue, rate, sentence } from "./words.js";

export function showTiles(stream, detail, roles, now) {
  setText(at("stream-name"), stream.name);
  at("stream-state").className = `badge ${stream.state}`;
  at("stream-state").replaceChildren(mark(stream.state), stateWords(stream, roles));
  const windows = Object.entries(stream.windows);
  const lowest = windows.reduce(
    (low, each) => (low === null || (each[1].p_value ?? 1) < (low[1].p_value ?? 1) ? each : low),
    null,
  );
  const longest = windows.at(-1);
  const { bets } = detail;
  setText(at("stream-reference"), comparison(stream.reference, detail.budget, now));
  setText(at("stream-remarks"), stream.remarks.map((remark) => `${sentence(remark)}.`).join(" "));
  const tiles = [
    [
      "p-value",
      lowest ? pValue(lowest[1].p_value) : "none yet",
      lowest
        ? `windows of ${lowest[0]}${stream.threshold === null ? "" : `, alarm at ${number(stream.threshold)}`}`
        : "",
    ],
    [
      "Effect",
      longest ? `${number(longest[1].effect_nats)}` : "none yet",
      longest ? `nats per sample, windows of ${longest[0]}` : "",
    ],
    ["Throughput", `${rate(stream.samples_per_second)}/s`, `${count(stream.samples)} samples in total`],
    [
      "Newest sample",
      stream.last_sample_ms === null ? "none yet" : ago(stream.last_sample_ms, now),
      stream.last_sample_ms === null ? "" : `at ${moment(stream.last_sample_ms, now)}`,
    ],
  ];
  if (bets && bets.limit)
    tiles.push([
      "Evidence",
      percent(Math.max(0, bets.log_wealth) / bets.limit),
      "of the evidence that sets off the anytime alarm",
    ]);
  keyed(
    at("tiles"),
    tiles,
    ([name]) => name,
    ([name]) => html("div", {}, html("dt", {}, name), html("dd", { class: "value" }), html("dd", { class: "more" })),
    (tile, [, value, more]) => {
      setText(tile.children[1], value);
      setText(tile.children[2], more);
    },
  );
}

function comparison(reference, budget, now) {
  if (!reference) return "Its reference is not loaded yet.";
  const allowed = budget
    ? `; budget: one false alarm in ${number(budget.samples)} samples${budget.satisfiable ? "" : " (too few held-out samples to guarantee it)"}`
    : "";
  const since = reference.since_ms === null ? "" : `, since ${moment(reference.since_ms, now)}`;
  return `Compared with ${reference.bundle}, version ${reference.version.slice(0, 12)}${since}${allowed}.`;
}
