// The status page: polls the daemon every second while the page is visible, and shows the answer.

import { at, setText } from "./dom.js";
import { showAlerts, startAlerts } from "./alerts.js";
import { showHistory, startHistory } from "./history.js";
import { showMoved } from "./moved.js";
import { showScores, startScores } from "./scores.js";
import { showStreams } from "./streams.js";
import { showTiles } from "./tiles.js";
import { showTraffic, startTraffic } from "./traffic.js";
import { showVerdict } from "./verdict.js";
import { duration, moment, sentence } from "./words.js";

const EVERY_MS = 1000;
const PATIENCE_MS = 5000;

let chosen = null; // the stream that the reader has chosen
let waiting = null; // the timer of the next request
let asked = 0; // requests so far: a late answer to an earlier one is dropped
let answered = null; // when the last answer arrived, by this machine's clock

async function refresh() {
  clearTimeout(waiting);
  const mine = ++asked;
  try {
    const query = chosen === null ? "" : `?stream=${encodeURIComponent(chosen)}`;
    const response = await fetch(`api/status${query}`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    const status = await response.json();
    if (mine !== asked) return;
    // Ages are computed from the daemon's clock; this machine's may differ.
    show(status, Date.parse(response.headers.get("date")) || Date.now());
    answered = Date.now();
    showConnection(null);
  } catch (error) {
    if (mine !== asked) return;
    showConnection(error);
  }
  if (!document.hidden) waiting = setTimeout(refresh, EVERY_MS);
}

function showConnection(error) {
  const lost = error !== null;
  document.body.classList.toggle("stale", lost);
  const age = answered === null ? "" : ` for ${duration(Date.now() - answered)}`;
  setText(at("connection-words"), lost ? `no answer${age}` : "live");
  // Screen readers announce each change, so this must not change every second.
  const since = answered === null ? "" : ` since ${moment(answered, Date.now())}. What you see is from then`;
  setText(at("lost"), lost ? `No answer from the daemon${since}. Trying again …` : "");
}

function show(status, now) {
  setText(at("version"), status.version);
  const troubles = Object.values(status.health.checks).filter((words) => words !== "ok");
  const words = troubles.length ? [`not ready: ${troubles.join("; ")}`] : [];
  setText(at("health"), sentence([...words, ...(status.health.remarks ?? [])].join("; ")));
  showVerdict(status, now);
  const { detail } = status;
  const stream = detail && status.streams.find((each) => each.name === detail.stream);
  showStreams(status.streams, stream?.name, status.roles, now);
  at("detail").hidden = !stream;
  const gone = chosen !== null && !stream && status.streams.length > 0;
  setText(at("gone"), gone ? `There is no stream ${chosen} here (any more). Choose one from the list.` : "");
  if (stream) {
    showTiles(stream, detail, status.roles, now);
    showHistory(detail, stream, status, now);
    showMoved(detail.moved, stream.state === "drift", now);
    showScores(detail.scores, status.roles);
    showTraffic(detail.traffic, stream, status.lag, status.queued);
  }
  showAlerts(status.alerts, now);
}

function choose() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (fragment.has("stream")) chosen = fragment.get("stream");
  else if (location.hash === "") chosen = null;
  refresh();
}

startAlerts();
startHistory();
startScores();
startTraffic();
addEventListener("hashchange", choose);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(waiting);
  else refresh();
});
choose();
