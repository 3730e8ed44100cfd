// The list of streams, drifting ones first.

import { at, html, keyed, setText } from "./dom.js";
import { mark, stateWords } from "./states.js";
import { ago } from "./words.js";

const URGENT_FIRST = ["drift", "quiet", "ok", "waiting", "elsewhere"];

let shown = null; // the chosen stream that was scrolled into view

export function showStreams(streams, chosen, roles, now) {
  const ordered = [...streams].sort((a, b) => URGENT_FIRST.indexOf(a.state) - URGENT_FIRST.indexOf(b.state));
  setText(at("streams-title"), streams.length > 1 ? `${streams.length} streams` : "Streams");
  keyed(
    at("streams"),
    ordered,
    (stream) => stream.name,
    (stream) => html("li", {}, html("a", { href: `#stream=${encodeURIComponent(stream.name)}` })),
    (item, stream) => {
      const link = item.firstElementChild;
      if (stream.name === chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      const newest =
        stream.last_sample_ms === null ? "no sample yet" : `newest sample ${ago(stream.last_sample_ms, now)}`;
      link.replaceChildren(
        mark(stream.state),
        html("span", { class: "name" }, stream.name),
        html("span", { class: "state" }, stateWords(stream, roles)),
        html("span", { class: "newest" }, newest),
      );
    },
  );
  if (chosen !== shown) bringIntoView();
  shown = chosen;
}

// Scrolls the list only, not the page.
function bringIntoView() {
  const link = at("streams").querySelector("[aria-current]");
  if (!link) return;
  const list = at("streams").closest("nav");
  const [place, seen] = [link.getBoundingClientRect(), list.getBoundingClientRect()];
  if (place.top < seen.top) list.scrollTop += place.top - seen.top;
  else if (place.bottom > seen.bottom) list.scrollTop += place.bottom - seen.bottom;
}
