// The verdict over all streams: what somebody who has just been woken wants to know first.

import { at, setText } from "./dom.js";
import { tests } from "./states.js";
import { moment } from "./words.js";

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
  if (roles.includes("forward"))
    return ["This daemon forwards samples to Kafka", "Drift is told by the daemon that reads them there."];
  if (firing.length === 1) {
    const [stream] = firing;
    const alert = alerts.find((each) => each.stream === stream.name && each.state === "firing");
    return [
      `${stream.name} drifts${stream.since_ms === null ? "" : ` since ${moment(stream.since_ms, now)}`}`,
      alert ? `${sentence(alert.explanation)}` : "",
    ];
  }
  if (firing.length)
    return [
      `${firing.length} of ${streams.length} streams drift`,
      firing.map((stream) => `${stream.name} (${stream.severity})`).join(", "),
    ];
  if (fine.length) {
    const those =
      fine.length === 1
        ? `${fine[0].name} looks like its reference.`
        : `${fine.length < streams.length ? fine.length : fine.length === 2 ? "Both" : `All ${fine.length}`} streams look like their references.`;
    const rest = streams.length - fine.length;
    return [
      "No drift",
      rest ? `${those} Nothing is known here of ${rest === 1 ? "another one" : `${rest} others`}.` : those,
    ];
  }
  return [
    "No result yet",
    tests(roles)
      ? "Results come as soon as the first window is full."
      : "This daemon scores samples; drift is tested by another one.",
  ];
}

const sentence = (text) => (text.length ? text[0].toUpperCase() + text.slice(1) : text);
