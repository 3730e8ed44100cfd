// The status page: asks the daemon every two seconds, and shows what it says. No text is ever taken as HTML.
"use strict";

const EVERY_MS = 2000;
const COLOURS = ["var(--first)", "var(--second)", "var(--third)"];
const SVG = "http://www.w3.org/2000/svg";
const FLOOR = 1e-16;
const BURST_MS = 2000;
let chosen = null;

const at = (id) => document.getElementById(id);
const time = (ms) => (ms === null ? "" : new Date(ms).toLocaleString());
const small = (value) => (value === null || value === undefined ? "" : Math.abs(value) < 1e-3 ? value.toExponential(1) : value.toFixed(3));

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function showStreams(streams, selected) {
  const rows = streams.map((stream) => {
    const row = element("tr", undefined, { "aria-selected": String(stream.name === selected) });
    const state = stream.firing ? `DRIFT (${stream.severity || "firing"})` : stream.firing === null ? "no data yet" : "ok";
    row.append(element("td", state, { class: `state ${stream.firing ? "drift" : stream.firing === null ? "dim" : "ok"}` }));
    const cell = element("td");
    cell.append(element("button", stream.name, { class: "row", type: "button" }));
    row.append(cell);
    const reference = stream.reference;
    row.append(element("td", reference ? `${reference.bundle} ${reference.version}` : ""));
    row.append(element("td", stream.samples.toLocaleString(), { class: "n" }));
    row.append(element("td", time(stream.last_sample_ms)));
    const windows = Object.entries(stream.windows);
    row.append(element("td", windows.map(([size, last]) => `${size}: ${small(last.p_value)}`).join("  "), { class: "n" }));
    row.append(element("td", windows.map(([size, last]) => `${size}: ${small(last.effect_nats)}`).join("  "), { class: "n" }));
    row.addEventListener("click", () => { chosen = stream.name; refresh(); });
    return row;
  });
  at("streams").replaceChildren(...(rows.length ? rows : [element("tr", "no stream yet")]));
}

function showHistory(history, streams) {
  const svg = at("history");
  const parts = [];
  const [left, right, top, bottom] = [52, 948, 10, 232];
  const depth = (p) => Math.min(1, Math.log10(Math.max(p, FLOOR)) / Math.log10(FLOOR));
  const y = (p) => top + depth(p) * (bottom - top);
  for (let power = 0; power <= 16; power += 4) {
    const height = y(10 ** -power);
    parts.push(drawn("line", { x1: left, x2: right, y1: height, y2: height, class: "grid" }));
    parts.push(drawn("text", { x: left - 6, y: height + 4, "text-anchor": "end" }, power ? `1e-${power}` : "1"));
  }
  const legend = [];
  if (history) {
    at("history-stream").textContent = history.stream;
    const stream = streams.find((each) => each.name === history.stream);
    if (stream && stream.threshold !== null) {
      parts.push(drawn("line", { x1: left, x2: right, y1: y(stream.threshold), y2: y(stream.threshold), class: "threshold" }));
      legend.push(element("span", `alarm at p = ${small(stream.threshold)}`, { class: "drift" }));
    }
    const times = Object.values(history.windows).flatMap((window) => window.end_ms);
    const first = Math.min(...times), last = Math.max(...times);
    // What came all at once, as from a file, has hardly any time to be drawn along: then it is drawn in order.
    const timed = last - first > BURST_MS;
    const x = (ms, i, count) => left + (timed ? (ms - first) / (last - first) : (i + 1) / count) * (right - left);
    Object.entries(history.windows).forEach(([size, window], number) => {
      const colour = COLOURS[number % COLOURS.length];
      const path = window.p_value.map((p, i) => (p === null ? "" : `${i ? "L" : "M"}${x(window.end_ms[i], i, window.p_value.length).toFixed(1)} ${y(p).toFixed(1)}`));
      parts.push(drawn("path", { d: path.join(""), style: `stroke: ${colour}` }));
      legend.push(element("span", `windows of ${size}`, { style: `color: ${colour}` }));
    });
    if (times.length) {
      parts.push(drawn("text", { x: left, y: 252 }, time(first)));
      parts.push(drawn("text", { x: right, y: 252, "text-anchor": "end" }, time(last)));
    }
  }
  svg.replaceChildren(...parts);
  at("legend").replaceChildren(...legend);
}

function heatMap(map) {
  const largest = Math.max(...map.values.flat());
  const top = map.values.findIndex((row) => row.includes(largest));
  const peak = `row ${top + 1} of ${map.rows}, column ${map.values[top].indexOf(largest) + 1} of ${map.columns}`;
  const title = `Where the images differ: most in ${peak}, by ${small(largest)} ${map.unit}`;
  const svg = drawn("svg", { class: "heat", role: "img", "aria-label": title, viewBox: `0 0 ${map.columns} ${map.rows}` });
  svg.append(drawn("title", {}, title));
  map.values.forEach((row, i) => row.forEach((value, j) => {
    const share = largest > 0 ? Math.max(0, value) / largest : 0;
    svg.append(drawn("rect", { x: j, y: i, width: 1, height: 1, "fill-opacity": share.toFixed(3) }));
  }));
  return svg;
}

function showAlerts(alerts) {
  const items = alerts.map((alert) => {
    const item = element("li", undefined, { class: alert.state });
    const effect = `p = ${small(alert.p_value)}, effect ${small(alert.effect_nats)} nats per sample, window of ${alert.window}`;
    item.append(element("p", `${alert.state.toUpperCase()} ${alert.stream}, ${alert.severity}: ${effect}`));
    item.append(element("p", alert.explanation));
    if (alert.heat_map) item.append(heatMap(alert.heat_map));
    item.append(element("p", `${new Date(alert.end).toLocaleString()}, reference ${alert.reference.bundle} ${alert.reference.version}`, { class: "dim" }));
    return item;
  });
  at("alerts").replaceChildren(...(items.length ? items : [element("li", "none yet")]));
}

async function refresh() {
  const query = chosen === null ? "" : `?stream=${encodeURIComponent(chosen)}`;
  try {
    const response = await fetch(`api/status${query}`);
    if (!response.ok) throw new Error(`answered ${response.status}`);
    const status = await response.json();
    at("version").textContent = status.version;
    showStreams(status.streams, status.history && status.history.stream);
    showHistory(status.history, status.streams);
    showAlerts(status.alerts);
    at("connection").textContent = `as of ${new Date().toLocaleTimeString()}`;
  } catch (error) {
    at("connection").textContent = `no answer from the daemon: ${error.message}`;
  }
}

refresh();
setInterval(refresh, EVERY_MS);
