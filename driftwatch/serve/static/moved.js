// Which parts of the newest window differ from the reference: by latent block, and by group of descriptors.

import { at, html, setText, svg } from "./dom.js";
import { moment, number, pValue } from "./words.js";

const NOTABLE = 4; // Standard deviations of chance from which a part is shown as moved.
const PARTS = [
  ["location", "Location", "the mean changed"],
  ["scale", "Scale", "the spread changed"],
  ["dependence", "Dependence", "how parts vary together changed"],
];

export function showMoved(moved, firing, now) {
  const words = moved ? moved.explanation.split("; ").filter(Boolean) : [];
  at("moved-words").replaceChildren(...words.map((each) => html("li", {}, each)));
  if (moved === null) {
    setText(at("moved-note"), "No window has been tested yet.");
    at("moved-tables").replaceChildren();
    return;
  }
  const chance = firing ? "" : " Without an alarm, differences such as these are mostly chance.";
  setText(
    at("moved-note"),
    `The newest window of ${moved.window}, until ${moment(moved.end_ms, now)}: p ${pValue(moved.p_value)}, ${number(moved.effect_nats)} nats per sample.${chance}`,
  );
  at("moved-tables").replaceChildren(...[blocks(moved.blocks), groups(moved.groups)].filter(Boolean));
}

function blocks(each) {
  if (each.length === 0) return null;
  const most = Math.max(...each.flatMap((block) => PARTS.map(([part]) => block[part].nats)), 1e-9);
  const head = html(
    "tr",
    {},
    html("th", { scope: "col" }, "Latent block"),
    ...PARTS.map(([, name, meaning]) => html("th", { scope: "col", title: meaning }, name)),
  );
  const lines = each.map((block) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, block.name),
      ...PARTS.map(([part]) => {
        const { nats, deviations } = block[part];
        const notable = deviations > NOTABLE && nats > 0;
        return bar(
          number(nats),
          Math.max(0, nats) / most,
          notable,
          `${notable ? "beyond" : "within"} chance, by ${number(deviations)} standard deviations`,
        );
      }),
    ),
  );
  return html(
    "table",
    { class: "bars" },
    html("caption", {}, "Nats per sample beyond chance, by part of the latent space"),
    html("thead", {}, head),
    html("tbody", {}, ...lines),
  );
}

function groups(each) {
  if (each.length === 0) return null;
  const most = Math.max(...each.map((group) => group.deviations), 2 * NOTABLE);
  const lines = [...each]
    .sort((a, b) => b.deviations - a.deviations)
    .map((group) => {
      const notable = group.deviations > NOTABLE;
      return html(
        "tr",
        {},
        html("th", { scope: "row" }, group.name.replaceAll("_", " ")),
        bar(
          number(group.deviations),
          Math.max(0, group.deviations) / most,
          notable,
          notable ? group.words : "within chance",
        ),
      );
    });
  const head = html(
    "tr",
    {},
    html("th", { scope: "col" }, "Descriptors"),
    html("th", { scope: "col" }, "Standard deviations off"),
  );
  return html(
    "table",
    { class: "bars" },
    html("caption", {}, "Distance of each kind of descriptor from the reference, in standard deviations of chance"),
    html("thead", {}, head),
    html("tbody", {}, ...lines),
  );
}

function bar(words, share, notable, meaning) {
  const drawn = svg(
    "svg",
    { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar-ground", width: 100, height: 6 }),
    svg("rect", { class: "bar-value", width: (100 * Math.min(1, share)).toFixed(1), height: 6 }),
  );
  return html(
    "td",
    { class: notable ? "notable" : null, title: meaning },
    html("span", {}, words, notable ? html("span", { class: "unseen" }, ", beyond chance") : null),
    drawn,
  );
}
