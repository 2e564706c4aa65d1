// What if: controls around the plan; estimates answer at once, by the program in the page.
import { headline } from "./answer.js";
import { change, duration, element, list, number, shown, table } from "./dom.js";
import { openProgram } from "./explorer_program.js";

const rounded = (value) => Number(value.toPrecision(2));
const unique = (values) => [...new Set(values)].sort((a, b) => a - b);

/** Stops from `low` to `high` at multiples of `step`, and the planned value. */
function stops(low, high, step, base) {
  const made = [low, high, base];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) made.push(Number((i * step).toPrecision(6)));
  return unique(made);
}

function loadControl({ kind, base }) {
  if (kind === "max_concurrency") {
    const most = Math.max(64, 4 * base);
    const made = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096].filter((value) => value <= most);
    return { id: "load", name: "Requests at once", stops: unique([...made, base]), base, say: (v) => number(v), set: (point, v) => { point.load = v; } };
  }
  const say = (v) => (v === "inf" ? "all at once" : `${number(v)} per second`);
  const rates = base === "inf" ? [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, "inf"]
    : unique([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5, 1.75, 2, 2.5, 3, 4, 6, 10].map((f) => (f === 1 ? base : rounded(f * base))));
  return { id: "load", name: "Requests arriving", stops: rates, base, say, set: (point, v) => { point.load = v; } };
}

function cardControls(card) {
  const made = [];
  const put = (key) => (point, v) => { (point[key] ??= {})[card.gpu] = v; };
  if (card.most > card.least)
    made.push({ id: `cards-${card.gpu}`, name: "How many", stops: stops(card.least, card.most, 1, card.base), base: card.base,
      say: (v) => `${v} ${v === 1 ? "card" : "cards"}`, set: put("cards") });
  if (card.watts) made.push({ id: `watts-${card.gpu}`, name: "Power limit", stops: stops(card.watts.least, card.watts.most, 25, card.watts.base), base: card.watts.base, say: (v) => `${v} W`, set: put("watts") });
  if (card.clock) made.push({ id: `clock-${card.gpu}`, name: "Clock", stops: stops(card.clock.least, card.clock.most, 0.05, card.clock.base), base: card.clock.base, say: (v) => `${number(100 * v)} %`, set: put("clock") });
  return made;
}

/** Controls in groups {title, controls}: the load and the network, then each kind of card. */
function controlsOf({ load, network_gbits: network, cards }) {
  const made = [loadControl(load)];
  if (network) made.push({ id: "network", name: "Network, each port", stops: network.stops, base: network.base, say: (v) => `${number(v)} Gbit/s`, set: (point, v) => { point.network_gbits = v; } });
  return [{ controls: made }, ...list(cards).map((card) => ({ title: shown(card.name), controls: cardControls(card) })).filter(({ controls }) => controls.length)];
}

/** A slider over the control's stops. */
function slider(control, moved) {
  const id = `explore-${control.id.replace(/[^a-z0-9]+/gi, "-")}`, planned = control.stops.indexOf(control.base);
  const input = element("input", { type: "range", id, min: 0, max: control.stops.length - 1, step: 1, value: planned, disabled: "" });
  const output = element("output", { for: id });
  const show = () => {
    const value = control.stops[input.value], text = control.say(value);
    output.textContent = text;
    output.classList.toggle("moved", value !== control.base);
    input.setAttribute("aria-valuetext", value === control.base ? `${text}, as planned` : text);
  };
  input.addEventListener("input", () => { show(); moved(); });
  show();
  const share = control.stops.length > 1 ? planned / (control.stops.length - 1) : 0;
  return {
    input, control, value: () => control.stops[input.value], reset: () => { input.value = planned; show(); },
    row: element("div", { class: "slider" }, element("label", { for: id }, control.name), output,
      element("div", { class: "track", style: `--planned:${share}` }, input)),
  };
}

const measures = [
  { key: "output_throughput", name: "Output throughput (tok/s)", tile: "Output throughput", unit: "tok/s", better: 1 },
  { key: "request_throughput", name: "Request throughput (req/s)" },
  { key: "mean_ttft_ms", name: "Mean time to first token (ms)", tile: "Time to first token", time: true, better: -1 },
  { key: "mean_tpot_ms", name: "Mean time per output token (ms)", tile: "Time per output token", time: true, better: -1 },
  { key: "kv_tokens", name: "Tokens a replica caches", tile: "KV room of a replica", unit: "tokens", better: 1 },
];

function tileOf(measure, best, base) {
  const value = best?.[measure.key], from = base?.[measure.key];
  const [text, unit] = !Number.isFinite(value) ? ["\u2013", ""] : measure.time ? duration(value) : [number(value), measure.unit];
  const moved = change(from, value), steady = moved === "" || Math.abs(value / from - 1) < 5e-4;
  const side = Math.sign(value - from) * measure.better;
  return element("div", { class: "tile" }, element("dt", {}, measure.tile), element("dd", {}, text, unit ? element("small", {}, ` ${unit}`) : null),
    element("dd", { class: "range" }, steady ? (best ? "no change" : "\u00a0") : [element("span", { class: side > 0 ? "good" : "bad" }, moved), " against the plan"]));
}

/** How the point is answered, in a line: {text, kind}. */
function verdict(answer) {
  if (answer.error) return { text: "No estimate", kind: "warn", why: answer.error };
  if (!answer.best) return { text: "Does not fit in memory", kind: "bad", why: answer.best_missing };
  if (answer.best.mean_ttft_ms === null) return { text: "Fits, but more arrives than it serves", kind: "warn", why: "Requests wait longer and longer: there is no mean time to first token." };
  return { text: "Fits in memory", kind: "good", why: "" };
}

function comparison(result, base, answer) {
  const run = headline(result) ?? {}, simulated = { ...run.metrics, kv_tokens: run.kv_tokens };
  const cell = (of, key) => (Number.isFinite(of?.[key]) ? number(of[key]) : "\u2013");
  const off = (key) => (Number.isFinite(base.planned?.[key]) && Number.isFinite(simulated[key]) ? change(simulated[key], base.planned[key]) : "");
  const columns = [
    { name: "Metric", of: (m) => m.name },
    { name: "Simulated, as planned", number: true, of: (m) => cell(simulated, m.key) },
    { name: "Estimate, as planned", number: true, of: (m) => cell(base.planned, m.key) },
    { name: "Estimate against simulation", number: true, of: (m) => off(m.key) },
    { name: "Plan's layout, here", number: true, of: (m) => cell(answer.planned, m.key) },
    { name: "Best layout, here", number: true, of: (m) => cell(answer.best, m.key) },
  ];
  return table("Simulation and estimates", columns, measures, true);
}

function sameLayout(answer) {
  return answer.best && answer.planned && measures.every(({ key }) => answer.best[key] === answer.planned[key]) && answer.best.layout === answer.planned.layout;
}

/** Fills `place` with an answer. */
function show(place, result, base, answer) {
  const { text, kind, why } = verdict(answer);
  const best = answer.best ?? null;
  place.dataset.answer = JSON.stringify(answer);
  place.replaceChildren(
    element("p", { class: "here" }, element("span", { class: `verdict ${kind}` }, text), " ", why ? shown(why) : ""),
    best ? element("p", { class: "run" }, "Best by estimate: ", best.layout.replaceAll(" x ", " \u00d7 ")) : "",
    best ? element("p", { class: "lead" }, `${number(best.gpus)} ${best.gpus === 1 ? "GPU" : "GPUs"} used. `, sameLayout(answer) ? "That is the plan's own layout." : answer.planned ? "The plan's own layout is in the table." : `The plan's own layout: ${shown(answer.planned_missing ?? "not possible here")}.`) : "",
    element("dl", { class: "tiles" }, measures.filter((m) => m.tile).map((m) => tileOf(m, best, base.best))),
    comparison(result, base, answer));
}

function announcement(answer) {
  const { text } = verdict(answer);
  return answer.best ? `${text}. ${number(answer.best.output_throughput)} output tokens per second, ${answer.best.layout}.` : `${text}.`;
}

/** How far the estimate is from the simulation where both exist. */
function trust(result, base) {
  const simulated = headline(result)?.metrics?.output_throughput, estimate = base.planned?.output_throughput;
  if (!(simulated > 0) || !Number.isFinite(estimate)) return "To be sure of a point, plan it.";
  const off = estimate / simulated - 1;
  if (Math.abs(off) < 0.005) return "At the plan's own point it gives the simulated throughput; to be sure of another, plan it.";
  const far = Math.abs(off) > 0.15 ? " Trust the direction of a change more than its value;" : "";
  return `At the plan's own point its throughput is ${number(100 * Math.abs(off))} % ${off > 0 ? "above" : "below"} the simulated one.${far || " To be sure of another point, plan it."}${far ? " to be sure, plan the point." : ""}`;
}

export function explorerSection(result) {
  const given = result.explorer;
  if (!given) return null;
  const about = { id: "what-if", title: "What if?" };
  if (given.unavailable) return { ...about, body: [element("p", { class: "lead" }, `No estimates at other points on this page: ${shown(given.unavailable)}.`)] };
  const place = element("div", { class: "answers" }), live = element("p", { class: "quiet", role: "status" }, "Loading the estimates\u2026");
  const base = given.base;
  let answer = null, waiting = false;
  const point = () => {
    const at = {};
    for (const { control, value } of sliders) if (value() !== control.base) control.set(at, value());
    return at;
  };
  const work = () => {
    waiting = false;
    const found = answer(point());
    show(place, result, base, found);
    live.textContent = announcement(found);
    place.dataset.state = "done";
  };
  const moved = () => {
    if (answer === null || waiting) return;
    waiting = true;
    place.dataset.state = "busy";
    setTimeout(work, 0);
  };
  const groups = controlsOf(given.controls).map(({ title, controls }) => ({ title, sliders: controls.map((control) => slider(control, moved)) }));
  const sliders = groups.flatMap((group) => group.sliders);
  const reset = element("button", { type: "button", disabled: "" }, "Back to the plan");
  reset.addEventListener("click", () => { for (const one of sliders) one.reset(); moved(); });
  show(place, result, base, base);
  openProgram().then((program) => {
    answer = program;
    for (const { input } of sliders) input.disabled = false;
    reset.disabled = false;
    live.textContent = "Move a slider: the estimates follow.";
    place.dataset.state = "done";
    place.dataset.program = "ready";
  }).catch((error) => {
    live.textContent = `This browser cannot work out estimates (${shown(error.message)}); those as planned stand below.`;
    place.dataset.program = "failed";
  });
  return { ...about, body: [
    element("p", { class: "note", role: "note" }, element("strong", {}, "Estimates only: the event simulation was not rerun. "),
      "A slider works out the analytic model again, in this page: means, without queues, bursts or percentiles. ", trust(result, base)),
    element("div", { class: "explorer" },
      element("fieldset", { class: "controls" }, element("legend", {}, "Change"), groups.map((group) => {
        const rows = group.sliders.map(({ row }) => row);
        return group.title ? element("fieldset", { class: "card" }, element("legend", {}, group.title), rows) : rows;
      }), reset, live,
        list(given.notes).length ? element("ul", { class: "facts" }, list(given.notes).map((note) => element("li", {}, shown(note)))) : null),
      place),
  ] };
}
