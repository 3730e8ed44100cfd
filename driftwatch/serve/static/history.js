// The p-values of a stream's windows over time: the threshold, when the alarm was on, and a slider to inspect single windows.

import { columns, framed, rows, sample, scale, timeTicks } from "./charts.js";
import { at, html, setText, svg } from "./dom.js";
import { drawFiring, periodsIn, runs } from "./firing.js";
import { tests } from "./states.js";
import { count, FLOOR, moment, number, pValue, time } from "./words.js";

const HEIGHT = 260;
const SIDES = { left: 58, right: 14, top: 14, bottom: 28 };
const DEEPEST = -Math.log10(FLOOR);
const BURST_MS = 2000; // Windows that arrived at once, as from a file, are drawn in order and not along a time axis.
const LONG_GAP = 20; // Times the median distance: no line crosses a longer time without windows.
const TABLE_ROWS = 30;

let shown = null; // the last update
let held = null; // { ms, nth } of the inspected window, the nth at that time; null for the newest
let series = []; // [{ size, times, p, alarm, span }], smallest windows first; a value covers the `span` ms before its time
let place = null; // maps a time, or an index if all arrived at once, to a pixel

const depth = (p) => Math.min(DEEPEST, -Math.log10(Math.max(p, FLOOR)));
const reach = () => document.querySelector("input[name=reach]:checked").value;

export function showHistory(detail, stream, { sizes, roles }, now) {
  if (shown && shown.detail.stream !== detail.stream) held = null;
  shown = { detail, stream, sizes, roles, now };
  draw();
}

function draw() {
  if (shown === null) return;
  const { detail, stream, now } = shown;
  const [source, span] = reach() === "day" ? [detail.day, detail.day_span_ms] : [detail.windows, 0];
  series = Object.entries(source).map(([size, each]) => ({
    size,
    times: each.end_ms,
    p: each.p_value,
    alarm: each.alarm ?? [],
    span,
  }));
  const frame = framed(at("history"), HEIGHT, SIDES);
  const y = scale(0, DEEPEST, frame.top, frame.bottom);
  if (stream.threshold !== null) drawThreshold(frame, y(depth(stream.threshold)));
  rows(
    frame,
    [0, 4, 8, 12, 16].map((power) => ({
      y: y(power),
      words: power === 0 ? "1" : power === DEEPEST ? "≤ 1e-16" : `1e-${power}`,
    })),
  );
  const finest = series[0];
  at("scrub").hidden = at("history-table").hidden = finest === undefined;
  if (finest !== undefined) drawSeries(frame, y);
  else
    frame.node.append(
      svg("text", { class: "empty", x: (frame.left + frame.right) / 2, y: y(DEEPEST / 2) }, "no window yet"),
    );
  setText(at("history-note"), summary());
  legend(stream);
  table(now);
}

function drawSeries(frame, y) {
  const [finest] = series;
  const all = series.flatMap((each) => each.times);
  const [first, last] = [Math.min(...all) - finest.span, Math.max(...all)];
  const middle = (frame.left + frame.right) / 2;
  if (last - first > BURST_MS) {
    place = scale(first, last, frame.left, frame.right);
    drawFiring(frame, periodsIn(shown.detail.periods, { first, last, now: shown.now }, place));
    const marks = timeTicks(first, last, (frame.right - frame.left) / 90);
    columns(
      frame,
      marks.map((tick) => ({ x: place(tick.at), words: tick.words })),
    );
  } else {
    // The newest windows of all sizes end together; series of large ones began later.
    const most = finest.times.length;
    place = (_, i, length) => scale(0, most, frame.left, frame.right)(i + 1 + most - length);
    drawFiring(frame, runs(finest.alarm, place));
    columns(frame, [{ x: middle, words: `in order of arrival, all at ${time(last)}` }]);
  }
  series.forEach((each, i) =>
    frame.node.append(svg("path", { class: `line series-${1 + (i % 3)}`, d: path(each, y) })),
  );
  frame.node.append(svg("g", { id: "marker" }));
  inspect(finest, y, frame);
}

function drawThreshold(frame, y) {
  frame.node.append(
    svg("rect", { class: "alarm-zone", x: frame.left, y, width: frame.right - frame.left, height: frame.bottom - y }),
    svg("line", { class: "threshold", x1: frame.left, x2: frame.right, y1: y, y2: y }),
  );
}

function path({ times, p, span }, y) {
  const steps = times
    .slice(1)
    .map((ms, i) => ms - times[i])
    .filter((step) => step > 0)
    .sort((a, b) => a - b);
  const gap = span || LONG_GAP * (steps[Math.floor(steps.length / 2)] ?? Infinity);
  let open = false;
  let last = null;
  const parts = times.map((ms, i) => {
    if (p[i] === null) {
      open = false;
      return "";
    }
    const step = open && ms - last <= gap ? "L" : "M";
    open = true;
    last = ms;
    const height = y(depth(p[i])).toFixed(1);
    // A line to its own start draws a dot where no other point follows.
    return `${step}${place(ms - span, i, times.length).toFixed(1)} ${height}H${place(ms, i, times.length).toFixed(1)}`;
  });
  return parts.join("");
}

function inspect(finest, y, frame) {
  const slider = at("inspect");
  const { times } = finest;
  slider.max = times.length - 1;
  const index = heldIndex(times);
  slider.value = index;
  const ms = times[index];
  // Windows of all sizes end with the same samples, but one message may bring many at one time.
  const later = times.lastIndexOf(ms) - index;
  const found = series
    .map((each) => ({ size: each.size, p: each.p[each.times.findLastIndex((other) => other <= ms) - later] }))
    .filter((each) => each.p !== undefined && each.p !== null);
  const x = place(ms, index, times.length);
  const when = finest.span ? `${moment(ms - finest.span, shown.now)} to ${time(ms)}` : moment(ms, shown.now);
  const words = [
    `${held === null ? "Newest, " : ""}${when}`,
    ...found.map((each) => `windows of ${each.size}: p ${pValue(each.p)}`),
  ].join(" · ");
  setText(at("inspected"), words);
  slider.setAttribute("aria-valuetext", words);
  at("marker").replaceChildren(
    svg("line", { class: "marker", x1: x, x2: x, y1: frame.top, y2: frame.bottom }),
    ...found.map((each, i) =>
      svg("circle", { class: `dot series-${1 + (i % 3)}`, cx: x, cy: y(depth(each.p)), r: 3.5 }),
    ),
  );
}

/** The present index of the inspected window. */
function heldIndex(times) {
  const begin = held === null ? -1 : times.findIndex((ms) => ms >= held.ms);
  return begin < 0 ? times.length - 1 : Math.min(begin + held.nth, times.length - 1);
}

function summary() {
  const { detail, stream, sizes, roles, now } = shown;
  if (stream.state === "elsewhere" || !tests(roles)) return "Another daemon tests its windows.";
  if (series.length === 0) {
    if (["drift", "ok"].includes(stream.state)) return "No window has been tested since the daemon started.";
    const least = Math.min(...sizes.filter(Number.isInteger));
    return Number.isFinite(least)
      ? `The first result needs ${count(least)} samples; ${count(stream.samples)} have arrived.`
      : "";
  }
  const threshold = stream.threshold === null ? "" : ` The alarm starts at p ≤ ${number(stream.threshold)}.`;
  const what =
    reach() === "day"
      ? "The lowest p-value of every five minutes."
      : `The newest ${count(Math.max(...series.map((each) => each.p.length)))} windows.`;
  const periods = detail.periods
    .slice(-3)
    .map(({ start_ms: start, end_ms: end }) =>
      end === null ? `since ${moment(start, now)}` : `${moment(start, now)} to ${time(end)}`,
    );
  return `${what}${threshold}${periods.length ? ` Alarm on: ${periods.join(", ")}.` : ""}`;
}

function legend(stream) {
  const parts = series.map((each, number) =>
    html("span", {}, sample(`line series-${1 + (number % 3)}`), `windows of ${each.size}`),
  );
  if (stream.threshold !== null)
    parts.push(html("span", {}, sample("threshold"), `alarm at p ≤ ${number(stream.threshold)}`));
  if (shown.detail.periods.length) parts.push(html("span", {}, sample("firing-cap"), "alarm on"));
  at("history-legend").replaceChildren(...parts);
}

function table(now) {
  if (!at("history-table").open) return;
  const every = Object.entries(shown.detail.windows).flatMap(([size, each]) =>
    each.end_ms.map((ms, i) => ({ ms, size, p: each.p_value[i], effect: each.effect_nats[i], i })),
  );
  every.sort((a, b) => b.ms - a.ms || b.i - a.i);
  at("history-rows").replaceChildren(
    ...every
      .slice(0, TABLE_ROWS)
      .map((each) =>
        html(
          "tr",
          {},
          html("td", {}, moment(each.ms, now)),
          ...[each.size, pValue(each.p), number(each.effect)].map((words) => html("td", { class: "n" }, words)),
        ),
      ),
  );
}

function hold(index) {
  const times = series[0]?.times ?? [];
  const ms = times[index];
  held = index >= times.length - 1 ? null : { ms, nth: index - times.indexOf(ms) };
  draw();
}

export function startHistory() {
  at("inspect").addEventListener("input", (event) => hold(Number(event.target.value)));
  at("history-table").addEventListener("toggle", draw);
  for (const choice of document.querySelectorAll("input[name=reach]")) choice.addEventListener("change", draw);
  const chart = at("history");
  chart.addEventListener("pointermove", (event) => {
    if (series.length === 0) return;
    const x = event.clientX - chart.getBoundingClientRect().left;
    const { times } = series[0];
    const after = times.findIndex((ms, i) => place(ms, i, times.length) >= x);
    hold(after < 0 ? times.length - 1 : after);
  });
  chart.addEventListener("pointerleave", () => hold(Infinity));
  new ResizeObserver(draw).observe(chart);
}
