// The last alerts: what happened in words, and details on request.

import { at, defined, html, keyed, setText, svg } from "./dom.js";
import { mark } from "./states.js";
import { duration, moment, number, pValue } from "./words.js";

const SHORT = 8; // Alerts in the list until a reader asks for all.

export function showAlerts(alerts, now) {
  at("alerts-none").hidden = alerts.length > 0;
  at("alerts-all").hidden = alerts.length <= SHORT || at("alerts").classList.contains("all");
  setText(at("alerts-all"), `Show all ${alerts.length}`);
  keyed(
    at("alerts"),
    alerts,
    (alert) => alert.id,
    (alert) => item(alert, isWorse(alert, alerts), now),
    () => {},
  );
}

// Whether this alert continues an alarm that was already on: it began earlier, or has been reported before.
function isWorse(alert, alerts) {
  const about = (each) => each.stream === alert.stream && each.kind === alert.kind;
  // Several alarms can share an instant, one after another: the previous one may be over.
  const before = alerts.slice(alerts.indexOf(alert) + 1).find(about);
  const goesOn = before?.state === "firing" && before.since === alert.since;
  return Date.parse(alert.end) > Date.parse(alert.since) || goesOn;
}

function item(alert, worse, now) {
  const firing = alert.state === "firing";
  const [since, end] = [Date.parse(alert.since), Date.parse(alert.end)];
  if (alert.kind === "quiet") return silence(alert, since, end, now);
  const what = firing
    ? `${worse ? "worsened" : "started to drift"}, ${alert.severity}`
    : `is back to normal, after an alarm of ${duration(end - since)}`;
  const details = html("details", {}, html("summary", {}, "Details"), facts(alert, now));
  return html(
    "li",
    { class: alert.state },
    html(
      "p",
      { class: "alert-head" },
      mark(firing ? "drift" : "ok"),
      html("strong", {}, alert.stream),
      ` ${what}`,
      html("time", { datetime: alert.end }, moment(end, now)),
    ),
    html("p", {}, alert.explanation),
    alert.heat_map ? heatMap(alert.heat_map) : null,
    details,
  );
}

function silence(alert, since, end, now) {
  const firing = alert.state === "firing";
  return html(
    "li",
    { class: firing ? "quiet" : alert.state },
    html(
      "p",
      { class: "alert-head" },
      mark(firing ? "quiet" : "ok"),
      html("strong", {}, alert.stream),
      ` ${firing ? `has been silent since ${moment(since, now)}` : `is sending again after ${duration(end - since)}`}`,
      html("time", { datetime: alert.end }, moment(end, now)),
    ),
    html("p", {}, alert.explanation),
    html(
      "details",
      {},
      html("summary", {}, "Details"),
      html("dl", { class: "facts" }, defined("Silent since", moment(since, now)), defined("Alert", alert.id)),
    ),
  );
}

function facts(alert, now) {
  const [low, high] = alert.effect_interval;
  return html(
    "dl",
    { class: "facts" },
    defined("Effect", `${number(alert.effect_nats)} nats per sample (95 %: ${number(low)} to ${number(high)})`),
    defined("p-value", `${pValue(alert.p_value)} in a window of ${alert.window}`),
    defined("Alarm since", moment(Date.parse(alert.since), now)),
    defined("Detectors", ...alert.detectors.map((each) => `${each.name}: p ${pValue(each.p_value)}`)),
    defined(
      "Messages",
      ...alert.offsets.map((each) => `${each.topic}/${each.partition}, offsets ${each.first} to ${each.last}`),
    ),
    defined("Reference", `${alert.reference.bundle} ${alert.reference.version}`),
    defined("Alert", alert.id),
  );
}

function heatMap(map) {
  const largest = Math.max(...map.values.flat());
  const top = map.values.findIndex((row) => row.includes(largest));
  const title = `Where the images differ: most in row ${top + 1} of ${map.rows}, column ${map.values[top].indexOf(largest) + 1} of ${map.columns}, by ${number(largest)} ${map.unit}`;
  const cells = map.values.flatMap((row, i) =>
    row.map((value, j) =>
      svg("rect", {
        x: j,
        y: i,
        width: 1,
        height: 1,
        "fill-opacity": (largest > 0 ? Math.max(0, value) / largest : 0).toFixed(3),
      }),
    ),
  );
  return svg(
    "svg",
    { class: "heat", role: "img", "aria-label": title, viewBox: `0 0 ${map.columns} ${map.rows}` },
    svg("title", {}, title),
    ...cells,
  );
}

export function startAlerts() {
  at("alerts-all").addEventListener("click", () => {
    at("alerts").classList.add("all");
    at("alerts-all").hidden = true;
    // The button is gone: move the focus to the first alert that it revealed.
    at("alerts").children[SHORT].querySelector("summary").focus();
  });
}
