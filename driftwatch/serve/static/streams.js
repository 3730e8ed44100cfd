// The verdict over all streams, the list of them, and the figures of the chosen one.

import { at, html, keyed, setText, svg } from "./dom.js";
import { ago, count, moment, number, percent, pValue, rate } from "./words.js";

const MARKS = {
  drift: "M8 1.8 15 14H1ZM8 6v4M8 12v.4",
  ok: "M3 8.5 6.5 12 13 4.5",
  waiting: "M8 2.5a5.5 5.5 0 1 1-.01 0M8 5v3l2 1.6",
  elsewhere: "M3 8h9M8.5 4.5 12 8l-3.5 3.5",
};
const URGENT_FIRST = ["drift", "ok", "waiting", "elsewhere"];

export const mark = (state) => svg("svg", { class: `mark ${state}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: MARKS[state] }));

/** Whether this daemon tests windows, and whether it scores samples: with Kafka another one may. */
export const tests = (roles) => roles.includes("test") || !roles.includes("score");
export const scores = (roles) => roles.includes("score") || !roles.includes("test");

/** What a stream's state is in words. */
export function stateWords(stream, roles) {
  if (stream.state === "drift") return `Drift, ${stream.severity}`;
  if (stream.state === "ok") return "Like its reference";
  if (stream.state === "elsewhere") return "Tested by another daemon";
  return tests(roles) ? "No result yet" : "Scored here, tested elsewhere";
}

export function showVerdict(status, now) {
  const firing = status.streams.filter((stream) => stream.state === "drift");
  const fine = status.streams.filter((stream) => stream.state === "ok");
  const [headline, more] = verdict(status, firing, fine, now);
  at("verdict").className = `verdict ${firing.length ? "drift" : fine.length ? "ok" : "waiting"}`;
  setText(at("headline"), headline);
  setText(at("headline-more"), more);
  document.title = firing.length ? `DRIFT: ${firing.map((stream) => stream.name).join(", ")}` : "driftwatch";
  const icon = firing.length ? "static/icon-drift.svg" : "static/icon.svg";
  if (at("icon").getAttribute("href") !== icon) at("icon").setAttribute("href", icon);
}

function verdict({ streams, roles, alerts }, firing, fine, now) {
  if (roles.includes("forward")) return ["This daemon forwards samples to Kafka", "Drift is told by the daemon that reads them there."];
  if (firing.length === 1) {
    const [stream] = firing;
    const alert = alerts.find((each) => each.stream === stream.name && each.state === "firing");
    return [`${stream.name} drifts${stream.since_ms === null ? "" : ` since ${moment(stream.since_ms, now)}`}`, alert ? `${sentence(alert.explanation)}` : ""];
  }
  if (firing.length) return [`${firing.length} of ${streams.length} streams drift`, firing.map((stream) => `${stream.name} (${stream.severity})`).join(", ")];
  if (fine.length) {
    const those = fine.length === 1 ? `${fine[0].name} looks like its reference.` : `${fine.length < streams.length ? fine.length : fine.length === 2 ? "Both" : `All ${fine.length}`} streams look like their references.`;
    const rest = streams.length - fine.length;
    return ["No drift", rest ? `${those} Nothing is known here of ${rest === 1 ? "another one" : `${rest} others`}.` : those];
  }
  return ["No result yet", tests(roles) ? "Results come as soon as the first window is full." : "This daemon scores samples; drift is tested by another one."];
}

const sentence = (text) => (text.length ? text[0].toUpperCase() + text.slice(1) : text);

export function showStreams(streams, chosen, roles, now) {
  const ordered = [...streams].sort((a, b) => URGENT_FIRST.indexOf(a.state) - URGENT_FIRST.indexOf(b.state));
  keyed(at("streams"), ordered, (stream) => stream.name, (stream) => html("li", {}, html("a", { href: `#stream=${encodeURIComponent(stream.name)}` })), (item, stream) => {
    const link = item.firstElementChild;
    if (stream.name === chosen) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    const newest = stream.last_sample_ms === null ? "no sample yet" : `newest sample ${ago(stream.last_sample_ms, now)}`;
    link.replaceChildren(mark(stream.state), html("span", { class: "name" }, stream.name), html("span", { class: "state" }, stateWords(stream, roles)), html("span", { class: "newest" }, newest));
  });
}

export function showTiles(stream, detail, roles, now) {
  setText(at("stream-name"), stream.name);
  at("stream-state").className = `badge ${stream.state}`;
  at("stream-state").replaceChildren(mark(stream.state), stateWords(stream, roles));
  const windows = Object.entries(stream.windows);
  const lowest = windows.reduce((low, each) => (low === null || (each[1].p_value ?? 1) < (low[1].p_value ?? 1) ? each : low), null);
  const longest = windows.at(-1);
  const { bets } = detail;
  setText(at("stream-reference"), comparison(stream.reference, detail.budget));
  const tiles = [
    ["p-value", lowest ? pValue(lowest[1].p_value) : "none yet", lowest ? `windows of ${lowest[0]}${stream.threshold === null ? "" : `, alarm at ${number(stream.threshold)}`}` : ""],
    ["Effect", longest ? `${number(longest[1].effect_nats)}` : "none yet", longest ? `nats per sample, windows of ${longest[0]}` : ""],
    ["Throughput", `${rate(stream.samples_per_second)}/s`, `${count(stream.samples)} samples in all`],
    ["Newest sample", stream.last_sample_ms === null ? "none yet" : ago(stream.last_sample_ms, now), stream.last_sample_ms === null ? "" : `of ${moment(stream.last_sample_ms, now)}`],
  ];
  if (bets && bets.limit) tiles.push(["Evidence", percent(Math.max(0, bets.log_wealth) / bets.limit), "of what sets the alarm off, sample by sample"]);
  keyed(at("tiles"), tiles, ([name]) => name, ([name]) => html("div", {}, html("dt", {}, name), html("dd", { class: "value" }), html("dd", { class: "more" })), (tile, [, value, more]) => {
    setText(tile.children[1], value);
    setText(tile.children[2], more);
  });
}

function comparison(reference, budget) {
  if (!reference) return "Its reference is not loaded yet.";
  const allowed = budget ? `; one false alarm is allowed in ${number(budget.samples)} samples${budget.satisfiable ? "" : ", which it has too few held-out samples to vouch for"}` : "";
  return `Compared with ${reference.bundle}, version ${reference.version.slice(0, 12)}${allowed}.`;
}
