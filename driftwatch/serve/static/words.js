// Numbers and times for people to read.

export const FLOOR = 1e-16; // Charts clip p-values here: smaller ones differ only in the exponent of a fitted tail.

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const whole = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 15 });
const STEPS = [
  [1, "s"],
  [60, "min"],
  [3600, "h"],
  [86400, "d"],
];

export const count = (n) => whole.format(n);

export function number(value) {
  if (value === null || value === undefined) return "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const words =
    size < 1e-3 || size >= 1e9
      ? size.toExponential(1).replace(".0", "").replace("+", "")
      : whole.format(Number(size.toPrecision(3)));
  return value < 0 ? `−${words}` : words;
}

export function pValue(p) {
  if (p === null || p === undefined) return "none";
  return p < FLOOR ? "< 1e-16" : number(p);
}

export const time = (ms) => clock.format(ms);

/** A time of day, with its date unless that is today. */
export function moment(ms, now) {
  const today = day.format(ms) === day.format(now);
  return today ? time(ms) : `${day.format(ms)}, ${time(ms)}`;
}

export function duration(ms) {
  const seconds = Math.max(0, ms / 1000);
  const [length, unit] = STEPS.findLast(([least]) => seconds >= least) ?? STEPS[0];
  const value = seconds / length;
  return `${unit !== "s" && value < 10 ? Number(value.toFixed(1)) : Math.floor(value)} ${unit}`;
}

export const ago = (ms, now) => (now - ms < 1000 ? "just now" : `${duration(now - ms)} ago`);

export function rate(perSecond) {
  if (perSecond === 0) return "0";
  return perSecond < 10 ? String(Number(perSecond.toPrecision(2))) : count(Math.round(perSecond));
}

/** Capitalises the first letter. */
export const sentence = (text) => (text.length ? text[0].toUpperCase() + text.slice(1) : text);

export const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;
