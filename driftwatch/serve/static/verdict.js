// The verdict over all streams: what a person on call needs first.

import { at, setText } from "./dom.js";
import { tests } from "./states.js";
import { moment } from "./words.js";

export function showVerdict(status, now) {
  const firing = status.streams.filter((stream) => stream.state === "drift");
  const quiet = status.streams.filter((stream) => stream.state === "quiet");
  const fine = status.streams.filter((stream) => stream.state === "ok");
  const [headline, more] = verdict(status, firing, quiet, fine, now);
  const state = firing.length ? "drift" : quiet.length ? "quiet" : fine.length ? "ok" : "waiting";
  at("verdict").className = `verdict ${state}`;
  setText(at("headline"), headline);
  setText(at("headline-more"), more);
  document.title = firing.length ? `DRIFT: ${firing.map((stream) => stream.name).join(", ")}` : "driftwatch";
  const icon = firing.length ? "static/icon-drift.svg" : "static/icon.svg";
  if (at("icon").getAttribute("href") !== icon) at("icon").setAttribute("href", icon);
}

function verdict({ streams, roles, alerts }, firing, quiet, fine, now) {
  if (roles.includes("forward"))
    return ["This daemon forwards samples to Kafka", "The daemon that reads them there reports drift."];
  if (firing.length === 1) {
    const [stream] = firing;
    const alert = alerts.find((each) => each.stream === stream.name && each.state === "firing");
    return [
      stream.since_ms === null
        ? `${stream.name} is drifting`
        : `${stream.name} has drifted since ${moment(stream.since_ms, now)}`,
      alert?.explanation ?? "", // not capitalised: it may begin with a column's name
    ];
  }
  if (firing.length)
    return [
      `${firing.length} of ${streams.length} streams are drifting`,
      firing.map((stream) => `${stream.name} (${stream.severity})`).join(", "),
    ];
  if (quiet.length)
    return [
      quiet.length === 1
        ? `${quiet[0].name} has been silent since ${moment(quiet[0].quiet_since_ms, now)}`
        : `${quiet.length} of ${streams.length} streams are silent`,
      `${quiet.length === 1 ? "" : `${quiet.map((stream) => stream.name).join(", ")}: `}No samples arrive, so drift cannot be detected.`,
    ];
  if (fine.length) {
    const those =
      fine.length === 1
        ? `${fine[0].name} looks like its reference.`
        : `${fine.length < streams.length ? fine.length : fine.length === 2 ? "Both" : `All ${fine.length}`} streams look like their references.`;
    const rest = streams.length - fine.length;
    return [
      "No drift",
      rest ? `${those} There is no result here for ${rest === 1 ? "another one" : `${rest} others`}.` : those,
    ];
  }
  return [
    "No result yet",
    tests(roles)
      ? "The first result appears once a window is full."
      : "This daemon scores samples; another one tests for drift.",
  ];
}
