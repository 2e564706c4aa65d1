// What to buy: the bill, what it gives and costs, what else there is and what would make that the better buy.
import { Plot, chart, tip } from "./chart.js";
import { clusterFigure } from "./cluster.js";
import { element, finite, folded, gradeBadge, layoutName, list, metricName, number, percent, shown, table } from "./dom.js";

const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "");
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);
const signed = (value) => (!Number.isFinite(value) ? "" : Math.abs(value) < 0.5 ? "0 %" : `${value >= 0 ? "+" : "\u2212"}${Math.abs(value).toFixed(0)} %`);
const sloBadge = (result, of) => (list(result.slo).length ? element("span", { class: of.meets_slo ? "good" : "bad" }, of.meets_slo ? "met" : "missed") : "");

function tile(name, value, unit, range) {
  return element("div", { class: "tile" }, element("dt", {}, name), element("dd", {}, value, unit ? element("small", {}, ` ${unit}`) : null), range ? element("dd", { class: "range" }, range) : null);
}

/** The best and the alternatives, as charts and tables line them up. */
function contenders(result) {
  return [{ label: "the best", differs: "(the best)", of: result.best ?? {} },
    ...list(result.alternatives).map((alternative, i) => ({ label: `alternative ${i + 1}`, differs: list(alternative.differs).join(", "), of: alternative.purchase ?? {}, alternative }))];
}

function tiles(result, best) {
  const cost = best.cost, years = result.economics?.years, budget = result.budget ?? {};
  return element("dl", { class: "tiles" }, tile("Price", whole(best.usd), "USD", budget.usd ? `of ${whole(budget.usd)} USD to spend` : null),
    tile("Output throughput", number(best.output_throughput), "tok/s", list(best.models).length > 1 ? "over the models by their shares" : null),
    cost ? tile(`Total over ${number(years)} years`, whole(cost.tco_usd), "USD", `of them ${whole(cost.electricity_usd)} for electricity`) : null,
    cost ? tile("Cost", number(cost.usd_per_million_output_tokens), "USD / M tokens", `at ${percent(result.economics?.utilisation)} utilisation`) : null,
    tile("Power at the wall", whole(best.peak_watts), "W at most", cost ? `${whole(cost.serving_watts)} W while serving` : budget.watts ? `of ${whole(budget.watts)} W allowed` : null),
    tile("Rack units", number(best.rack_units), "", budget.rack_units ? `of ${number(budget.rack_units)}` : null), tile("GPUs", number(best.gpus), "", `in ${number(best.kind?.nodes)} node${best.kind?.nodes === 1 ? "" : "s"}`));
}

const preferences = { throughput: "the highest throughput", cost: "the least cost per token", price: "the lowest price" };

function answer(result, best) {
  const missed = list(best.models).flatMap((model) => list(model.missed).map((what) => `${model.name}: ${what}`));
  const assumed = list(best.models).flatMap((model, i) => [i > 0 ? "; " : "", `${model.name}: `, gradeBadge(model.grade), model.extrapolated ? ", some passes outside the range that was fitted" : ""]);
  return { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, `Buy ${best.description ?? ""}`),
    list(result.slo).length ? element("span", { class: `verdict ${best.meets_slo ? "good" : "bad"}` }, best.meets_slo ? "SLO met" : "SLO not met") : null,
    missed.length ? element("ul", { class: "facts bad" }, missed.map((text) => element("li", {}, text))) : null,
    tiles(result, best),
    element("p", { class: "lead" }, "How sure: the weakest figure used is, for ", assumed, ". What would change the answer stands under Alternatives."),
    element("ul", { class: "facts" }, list(result.question).map((line) => element("li", {}, line)),
      element("li", {}, `preferred among those that keep the SLO: ${preferences[result.prefer] ?? result.prefer}`)),
  ] };
}

function bill(result, best) {
  const lines = list(best.bill), unquoted = list(result.offers).filter((offer) => offer.price_source !== "the scenario");
  const bought = new Set(lines.map((line) => line.part));
  return { id: "bill", title: "The bill", body: [
    table("The bill", [{ name: "part", of: (l) => l.part, text: true }, { name: "count", number: true, of: (l) => l.count }, { name: "USD each", number: true, of: (l) => whole(l.usd_each) },
      { name: "USD", number: true, of: (l) => whole(l.total ?? l.count * l.usd_each) }, { name: "price from", of: (l) => l.price_source, text: true }], [...lines, { part: "together", total: best.usd, price_source: "" }], true),
    unquoted.length ? [element("h3", {}, "Prices that nobody has quoted you"),
      element("p", { class: "lead" }, "The scenario gives no price for these parts; the catalogue's stand in, with their date and source. Put your own quotes into choose-from before you sign."),
      table("Prices not in the scenario", [{ name: "part", of: (o) => o.part, text: true }, { name: "kind", of: (o) => o.kind }, { name: "USD", number: true, of: (o) => whole(o.usd) },
        { name: "in the bill", of: (o) => (bought.has(o.part) ? "yes" : "no") }, { name: "source", of: (o) => o.price_source, text: true }], unquoted, true)] : null,
    folded("Table: every part on offer", table("Every part on offer", [{ name: "part", of: (o) => o.part, text: true }, { name: "kind", of: (o) => o.kind }, { name: "USD", number: true, of: (o) => whole(o.usd) }, { name: "price from", of: (o) => o.price_source, text: true }], list(result.offers)))] };
}

function gives(result, best) {
  const columns = [{ name: "model", of: (m) => m.name, text: true }, { name: "share", number: true, of: (m) => percent(m.share) }, { name: "runs as", of: (m) => layoutName(m.layout), text: true },
    ...[["output_throughput", "output tok/s"], ["p99_ttft_ms", "P99 TTFT ms"], ["mean_tpot_ms", "mean TPOT ms"], ["p99_tpot_ms", "P99 TPOT ms"]].map(([metric, name]) => ({ name, number: true, of: (m) => finite(m.metrics?.[metric]) }))];
  if (list(result.slo).length) columns.push({ name: "SLO", of: (m) => sloBadge(result, m) });
  columns.push({ name: "KV tokens", number: true, of: (m) => m.kv_tokens }, { name: "GPUs W", number: true, of: (m) => whole(m.gpu_watts) }, { name: "USD / M tokens", number: true, of: (m) => m.usd_per_million_output_tokens }, { name: "grade", of: (m) => gradeBadge(m.grade) });
  const bounds = list(result.slo).map((level) => `${metricName(level.metric)} ${level.at_most ? "\u2264" : "\u2265"} ${number(level.bound)}`).join(", ");
  return { id: "gives", title: "What it gives", lead: bounds ? `Asked for: ${bounds}.` : null, body: [table("What it gives", columns, list(best.models), true)] };
}

/** Whom nobody beats in both: a lower price and more tokens per second. */
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => a.usd - b.usd || b.throughput - a.throughput))
    if (best.length === 0 || point.throughput > best[best.length - 1].throughput) best.push(point);
  return best;
}

function pareto(result, all) {
  const known = new Map();
  const add = (of, kind) => { if (Number.isFinite(of?.usd) && Number.isFinite(of.output_throughput) && !known.has(of.description)) known.set(of.description, { of, kind, usd: of.usd, throughput: of.output_throughput, tco: of.cost?.tco_usd }); };
  all.forEach((entry) => add(entry.of, entry.label === "the best" ? "the best" : "an alternative"));
  list(result.simulated).forEach((of) => add(of, list(result.slo).length && !of.meets_slo ? "misses the SLO" : "simulated"));
  const points = [...known.values()];
  if (points.length < 2) return null;
  const edge = front(points.filter((point) => point.kind !== "misses the SLO")), onEdge = new Set(edge.map((point) => point.of.description));
  const kinds = [["the best", "var(--c2)"], ["an alternative", "var(--c4)"], ["simulated", "var(--c1)"], ["misses the SLO", "var(--c6)"]].filter(([kind]) => points.some((point) => point.kind === kind));
  const budget = result.budget?.usd, columns = [{ name: "purchase", of: (p) => p.of.description, text: true }, { name: "USD", number: true, of: (p) => whole(p.usd) }, { name: "output tok/s", number: true, of: (p) => p.throughput },
    { name: "tok/s per 1,000 USD", number: true, of: (p) => (1000 * p.throughput) / p.usd }, { name: "TCO USD", number: true, of: (p) => whole(p.tco) }, { name: "W at the wall", number: true, of: (p) => whole(p.of.peak_watts) }, { name: "rack units", number: true, of: (p) => p.of.rack_units },
    { name: "front", of: (p) => (onEdge.has(p.of.description) ? "yes" : "") }, { name: "SLO", of: (p) => sloBadge(result, p.of) }];
  const range = (values, most) => { const low = Math.min(...values), high = Math.max(...values), room = Math.max(0.1 * (high - low), 0.05 * high); return [Math.max(0, low - room), Math.max(most ?? 0, high + room)]; };
  return { id: "front", title: "Price against throughput", lead: `${number(result.possible)} purchases within the budget perform differently; the ${points.length} most promising were simulated.`, body: [chart({
    title: "What more money buys", about: `Up and to the left is better. ${edge.length > 1 ? "The line joins the purchases that no other beats in both" : "One purchase is both cheapest and fastest of those that keep the SLO"}; the dashed line is the budget.`, says: `${edge.length} of ${points.length} purchases are on the front`,
    key: [...kinds.map(([name, colour]) => ({ name, colour })), ...(edge.length > 1 ? [{ name: "front", colour: "var(--ink)", stroke: true }] : [])],
    draw: () => ({ height: 360, marginLeft: 62, marginRight: 24, marginBottom: 44, grid: true, r: { type: "identity" }, x: { label: "price (USD)", domain: range(points.map((p) => p.usd), budget), tickFormat: (usd) => `${Math.round(usd / 1000)}k` }, y: { label: "output tokens/s", domain: range(points.map((p) => p.throughput)) },
      color: { domain: kinds.map(([kind]) => kind), range: kinds.map(([, colour]) => colour) },
      marks: [budget ? Plot.ruleX([budget], { stroke: "var(--bad)", strokeDasharray: "5 4" }) : null, Plot.line(edge, { x: "usd", y: "throughput", curve: "step-after", stroke: "var(--ink)", strokeWidth: 1.2 }),
        Plot.dot(points, { x: "usd", y: "throughput", fill: "kind", r: (d) => (d.kind === "the best" ? 9 : d.kind === "an alternative" ? 7 : 5), stroke: "var(--card)", sort: (d) => (d.kind === "the best" ? 0 : 1), tip, title: (d) => `${shown(d.of.description)}\n${whole(d.usd)} USD, ${number(d.throughput)} output tok/s\n${d.kind}` })] }),
    data: { columns, rows: points } })] };
}

function totals(result, all) {
  const known = all.filter((entry) => entry.of.cost);
  if (known.length === 0) return null;
  const parts = [["price", "var(--c1)", (of) => of.usd], ["electricity", "var(--c2)", (of) => of.cost.electricity_usd]];
  const rows = known.flatMap((entry) => parts.map(([part, , value]) => ({ ...entry, part, usd: value(entry.of) })));
  return chart({ title: "Total cost of ownership", about: `Price and electricity over ${number(result.economics?.years)} years at ${percent(result.economics?.utilisation)} utilisation and ${number(result.economics?.electricity_usd_per_kwh)} USD/kWh. Rent, staff and repairs are not in it.`,
    key: parts.map(([name, colour]) => ({ name, colour })), says: known.map((entry) => `${entry.label}: ${whole(entry.of.cost.tco_usd)} USD`).join("; "),
    draw: () => ({ height: known.length * 40 + 56, marginLeft: 100, marginBottom: 42, marginRight: 66, x: { label: "USD", grid: true, tickFormat: (usd) => `${Math.round(usd / 1000)}k` }, y: { label: null, domain: known.map((entry) => entry.label) }, color: { domain: parts.map(([name]) => name), range: parts.map(([, colour]) => colour) },
      marks: [Plot.barX(rows, { x: "usd", y: "label", fill: "part", order: parts.map(([name]) => name), insetTop: 3, insetBottom: 3, tip, title: (d) => `${d.label}\n${d.part}: ${whole(d.usd)} USD` }),
        Plot.text(known, { x: (d) => d.of.cost.tco_usd, y: "label", text: (d) => whole(d.of.cost.tco_usd), textAnchor: "start", dx: 5, fill: "var(--quiet)", fontSize: 11 })] }) });
}

/** How far each input was moved, as a factor of its value, and where the answer changes. */
function sensitivity(entry) {
  const flips = list(entry.alternative?.flips).filter((flip) => flip.base > 0 && flip.lowest > 0 && flip.highest > 0);
  if (flips.length === 0) return null;
  const rows = flips.map((flip) => ({ flip, name: shown(flip.input).replace(/ \([^)]*\)$/, ""), low: flip.lowest / flip.base, high: flip.highest / flip.base, at: Number.isFinite(flip.at) ? flip.at / flip.base : null }));
  const names = rows.map((row) => row.name), turns = rows.filter((row) => row.at !== null);
  const ends = [Math.min(0.9, ...rows.map((row) => row.low)), Math.max(1.1, ...rows.map((row) => row.high))];
  const percents = (factor) => (factor === 1 ? "as is" : factor >= 1 ? `\u00d7 ${number(factor)}` : `\u00f7 ${number(1 / factor)}`);
  return chart({ title: "What would change the answer", about: "Each input was moved alone over the grey range, as a factor of its value; a mark is where this becomes the better buy.", wide: true,
    key: [{ name: "moved over", colour: "var(--idle)" }, { name: "becomes the better buy", colour: "var(--c2)" }], says: turns.length ? turns.map((row) => `${row.name} at ${number(row.flip.at)}`).join("; ") : "no input alone makes it the better buy",
    draw: (width) => ({ height: rows.length * 26 + 60, marginLeft: width < 560 ? 130 : 290, marginRight: 24, marginBottom: 42, x: { type: "log", label: "factor of the value asked with", domain: ends, ticks: (width < 560 ? [0.1, 1, 10] : [0.01, 0.1, 0.25, 0.5, 1, 2, 4, 10, 100]).filter((tick) => tick >= ends[0] && tick <= ends[1]), tickFormat: percents, grid: true },
      y: { label: null, domain: names, tickFormat: (name) => cut(name, width < 560 ? 18 : 44) },
      marks: [Plot.barX(rows, { x1: "low", x2: "high", y: "name", fill: "var(--idle)", insetTop: 7, insetBottom: 7, tip, title: (d) => `${shown(d.flip.input)}\nasked with ${number(d.flip.base)}, moved from ${number(d.flip.lowest)} to ${number(d.flip.highest)}\n${d.at === null ? "the answer stays" : `the better buy at ${number(d.flip.at)}`}` }), Plot.ruleX([1], { stroke: "var(--ink)" }),
        Plot.dot(turns, { x: "at", y: "name", fill: "var(--c2)", r: 6, stroke: "var(--card)" }), Plot.text(turns, { x: "at", y: "name", text: (d) => `${number(d.flip.at)} (${signed(100 * (d.at - 1))})`, textAnchor: "start", dx: 10, fill: "var(--ink)", fontSize: 11.5, stroke: "var(--card)", strokeWidth: 3 })] }),
    data: { rows: list(entry.alternative?.flips), columns: flipColumns } });
}

const flipColumns = [{ name: "input", of: (f) => f.input, text: true }, { name: "asked with", number: true, of: (f) => f.base }, { name: "becomes the better buy at", number: true, of: (f) => (Number.isFinite(f.at) ? f.at : "") }, { name: "change", number: true, of: (f) => (Number.isFinite(f.at) ? signed(100 * (f.at / f.base - 1)) : "") },
  { name: "tried from", number: true, of: (f) => f.lowest }, { name: "to", number: true, of: (f) => f.highest }, { name: "how", of: (f) => (f.simulated ? "simulated" : "added up") }];

function untouched(entry) {
  const flips = list(entry.alternative?.flips);
  return flips.length ? folded(`Table: how far each of ${flips.length} inputs was moved`, table(`Inputs moved, ${entry.label}`, flipColumns, flips)) : null;
}

function alternatives(result, all) {
  const rest = all.slice(1);
  if (rest.length === 0) return { id: "alternatives", title: "Alternatives", body: [element("p", {}, "None within the bounds was simulated.")] };
  const change = (entry, key) => (entry.label === "the best" ? "" : signed(100 * (entry.of[key] / result.best[key] - 1)));
  const columns = [{ name: "purchase", of: (e) => e.label }, { name: "differs in", of: (e) => e.differs, text: true }, { name: "USD", number: true, of: (e) => whole(e.of.usd) }, { name: "change", number: true, of: (e) => change(e, "usd") },
    { name: "output tok/s", number: true, of: (e) => e.of.output_throughput }, { name: "change", number: true, of: (e) => change(e, "output_throughput") }, { name: "W (wall)", number: true, of: (e) => whole(e.of.peak_watts) }, { name: "rack U", number: true, of: (e) => e.of.rack_units },
    { name: "TCO USD", number: true, of: (e) => whole(e.of.cost?.tco_usd) }, { name: "USD / M tokens", number: true, of: (e) => e.of.cost?.usd_per_million_output_tokens }];
  if (list(result.slo).length) columns.push({ name: "SLO", of: (e) => sloBadge(result, e.of) });
  const each = rest.map((entry) => {
    const turns = list(entry.alternative.flips).filter((flip) => Number.isFinite(flip.at));
    const missed = list(entry.of.models).flatMap((model) => list(model.missed).map((what) => `${model.name}: ${what}`));
    return [element("h3", {}, `${entry.label[0].toUpperCase()}${entry.label.slice(1)}: ${entry.differs}`), element("p", { class: "lead" }, entry.of.description),
      missed.length ? element("ul", { class: "facts bad" }, missed.map((text) => element("li", {}, text))) : null,
      element("p", {}, turns.length ? `It would be the better buy with ${turns.map((flip) => `${flip.input} at ${number(flip.at)} instead of ${number(flip.base)}`).join(", or ")}.` : "No input that was moved makes it the better buy."), turns.length ? sensitivity(entry) : untouched(entry)];
  });
  return { id: "alternatives", title: "Alternatives that differ in kind", body: [table("Alternatives", columns, all, true), totals(result, all), each] };
}

function bounded(result) {
  const rows = list(result.left_out).filter((entry) => entry.count > 0).sort((a, b) => b.count - a.count);
  if (rows.length === 0) return null;
  return { id: "left-out", title: "Purchases left out", lead: "Where nodes or cards already cost, draw or fill too much, all larger ones count as one.", body: [
    table("Purchases left out", [{ name: "why", of: (r) => r.reason, text: true }, { name: "purchases", number: true, of: (r) => r.count }], rows)] };
}

export function purchaseSections(result) {
  const best = result.best ?? {}, all = contenders(result), figure = clusterFigure(result.cluster, result.layout);
  const first = list(best.models)[0]?.name;
  return [answer(result, best), bill(result, best), gives(result, best),
    figure ? { id: "cluster", title: first && list(best.models).length > 1 ? `The hardware with ${first} on it` : "The hardware and the layout on it", body: [figure] } : null,
    alternatives(result, all), pareto(result, all), bounded(result)];
}
