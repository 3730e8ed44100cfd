// The list of streams, those that drift first.

import { at, html, keyed } from "./dom.js";
import { mark, stateWords } from "./states.js";
import { ago } from "./words.js";

const URGENT_FIRST = ["drift", "quiet", "ok", "waiting", "elsewhere"];

export function showStreams(streams, chosen, roles, now) {
  const ordered = [...streams].sort((a, b) => URGENT_FIRST.indexOf(a.state) - URGENT_FIRST.indexOf(b.state));
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
}
