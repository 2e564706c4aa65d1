// Base and variants side by side: what the changes gain, why, and stage by stage.
import { Plot, chart, palette, tip } from "./chart.js";
import { clusterFigure } from "./cluster.js";
import { element, finite, folded, gradeBadge, list, metricName, number, percent, shown, table } from "./dom.js";

const headlines = [["output_throughput", "output throughput", "var(--c1)", 1], ["mean_ttft_ms", "mean TTFT", "var(--c2)", -1], ["mean_tpot_ms", "mean TPOT", "var(--c3)", -1]];
const shownOf = (variant) => variant.kept ?? variant.best ?? null;
const signed = (value, digits = 1) => (!Number.isFinite(value) ? "" : Math.abs(value) < 0.5 * 10 ** -digits ? (0).toFixed(digits) : `${value >= 0 ? "+" : "\u2212"}${Math.abs(value).toFixed(digits)}`);
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);
const sentence = (text) => (text ? text[0].toUpperCase() + text.slice(1) : "");

/** Percent by which a metric moves, with its interval: {middle, low, high, beyond}. */
function moved(variant, metric) {
  const movement = variant.movements?.[metric];
  if (!movement || !(movement.base > 0) || !Number.isFinite(movement.variant)) return null;
  const ratio = movement.ratio, from = (value) => 100 * (value - 1);
  return { middle: from(movement.variant / movement.base), low: ratio ? from(ratio.low) : null, high: ratio ? from(ratio.high) : null, beyond: ratio?.beyond_error };
}

function worthBadge(variant) {
  if (variant.infeasible) return element("span", { class: "verdict bad" }, "cannot be");
  if (!variant.worth) return null;
  const change = headlines.map(([metric, , , better]) => [moved(variant, metric), better]).find(([of]) => of && Math.abs(of.middle) >= 0.5);
  const kind = !variant.worth.startsWith("more") || !change ? "plain" : change[0].middle * change[1] > 0 ? "good" : "bad";
  return element("span", { class: `verdict ${kind}` }, variant.worth);
}

function answer(result, variants) {
  const [first, ...others] = list(result.answer);
  const base = result.base ?? {};
  return { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, sentence(first ?? "Base and variants side by side")),
    others.length ? element("ul", { class: "facts" }, others.map((line) => element("li", {}, sentence(line)))) : null,
    changes(variants),
    element("p", { class: "lead" }, "How sure: the weakest figure used is ", gradeBadge(base.grade), base.extrapolated ? "; some passes lie outside the range that was fitted. " : ". ",
      "Differences are surer than values: their 90 % intervals hold the model's error with the same requests and the same errors on both sides."),
    element("ul", { class: "facts" }, list(result.question).map((line) => element("li", {}, line))),
  ] };
}

function changes(variants) {
  const bars = variants.flatMap((variant) => headlines.map(([metric, label]) => ({ name: variant.name, label, ...moved(variant, metric) }))).filter((bar) => Number.isFinite(bar.middle));
  if (bars.length === 0) return null;
  const names = [...new Set(bars.map((bar) => bar.name))].slice(0, 16);
  const drawn = bars.filter((bar) => names.includes(bar.name)), edge = 100;
  const clipped = drawn.some((bar) => Math.abs(bar.middle) > edge);
  const within = (value) => Math.max(-edge, Math.min(edge, value));
  const labels = headlines.map(([, label]) => label);
  return chart({ title: "Change against the base", wide: true,
    about: `Percent; more throughput and shorter times are better. Whiskers are the 90 % interval of the change.${clipped ? ` Bars end at ${edge} %: the table has the rest.` : ""}${names.length < new Set(bars.map((bar) => bar.name)).size ? ` The first ${names.length} variants.` : ""}`,
    key: headlines.map(([, name, colour]) => ({ name, colour })),
    says: variants.map((variant) => { const change = moved(variant, "output_throughput"); return `${variant.name}: ${change ? `throughput ${signed(change.middle)} %` : "cannot be"}`; }).slice(0, 12).join("; "),
    draw: (width) => {
      const most = width < 560 ? 15 : 30, span = Math.max(1, ...drawn.map((bar) => Math.min(edge, Math.max(Math.abs(bar.middle), Math.abs(bar.low ?? 0), Math.abs(bar.high ?? 0)))));
      const lowest = Math.min(0, ...drawn.map((bar) => within(Math.min(bar.middle, bar.low ?? 0)))), highest = Math.max(0, ...drawn.map((bar) => within(Math.max(bar.middle, bar.high ?? 0))));
      return { height: names.length * 62 + 56, marginBottom: 42, marginLeft: width < 560 ? 104 : 200, marginRight: 46, x: { label: "%", grid: true, domain: [lowest - 0.08 * span, highest + 0.08 * span], nice: true },
        y: { axis: null, domain: labels }, fy: { label: null, domain: names, axis: null }, color: { domain: labels, range: headlines.map(([, , colour]) => colour) },
        marks: [Plot.axisFy({ anchor: "left", textAnchor: "end", fontSize: 12, tickFormat: (name) => cut(name, most) }),
          Plot.barX(drawn, { x1: 0, x2: (d) => within(d.middle), fy: "name", y: "label", fill: "label", insetTop: 2, insetBottom: 2, tip, title: (d) => `${d.name}\n${d.label} ${signed(d.middle, 2)} %${d.low === null ? "" : `\n90 %: ${signed(d.low, 2)} to ${signed(d.high, 2)}`}` }),
          Plot.ruleY(drawn.filter((d) => d.low !== null), { x1: (d) => within(d.low), x2: (d) => within(d.high), fy: "name", y: "label", stroke: "var(--ink)", strokeWidth: 1.5 }),
          Plot.text(drawn, { x: (d) => within(Math.max(d.middle, d.high ?? d.middle, 0)), fy: "name", y: "label", text: (d) => `${signed(d.middle)} %`, textAnchor: "start", dx: 5, fill: "var(--quiet)", fontSize: 11 }),
          Plot.ruleX([0], { stroke: "var(--ink)" })] };
    },
    data: { rows: bars, columns: [{ name: "variant", of: (r) => r.name, text: true }, { name: "metric", of: (r) => r.label }, { name: "change %", number: true, of: (r) => signed(r.middle, 2) },
      { name: "90 % low", number: true, of: (r) => (r.low === null ? "" : signed(r.low, 2)) }, { name: "90 % high", number: true, of: (r) => (r.high === null ? "" : signed(r.high, 2)) },
      { name: "more than the error", of: (r) => (r.beyond === undefined ? "" : r.beyond ? "yes" : "no") }] },
  });
}

function sideBySide(result, variants) {
  const rows = [{ name: "(base)", run: result.base, variant: null }];
  for (const variant of variants) {
    rows.push({ name: variant.name, run: shownOf(variant), variant });
    if (variant.kept && variant.best) rows.push({ name: `${variant.name}, its best layout`, run: variant.best, variant: null });
  }
  const metrics = ["mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_tpot_ms", "mean_e2el_ms", "p99_e2el_ms"];
  const has = (key) => rows.some((row) => Number.isFinite(row.run?.[key]));
  const range = (row) => { const of = row.run?.intervals?.output_throughput; return of && Number.isFinite(of.low) ? `${number(of.low)} to ${number(of.high)}` : ""; };
  const moves = rows.some((row) => row.run && row.run.layout !== result.base?.layout);
  const columns = [{ name: "variant", of: (r) => (r.variant?.infeasible ? `${r.name} (cannot be)` : r.name), text: true }, ...(moves ? [{ name: "layout", of: (r) => r.run?.layout ?? "", text: true }] : []),
    { name: "output tok/s", number: true, of: (r) => finite(r.run?.metrics?.output_throughput) }];
  if (rows.some((row) => range(row))) columns.push({ name: "90 %", number: true, of: range });
  columns.push(...metrics.map((metric) => ({ name: metricName(metric).replace(" (ms)", "").replace("Mean ", "mean "), number: true, of: (r) => finite(r.run?.metrics?.[metric]) })),
    { name: "KV tokens", number: true, of: (r) => r.run?.kv_tokens });
  if (list(result.slo).length) columns.push({ name: "SLO", of: (r) => (r.run ? element("span", { class: r.run.meets_slo ? "good" : "bad" }, r.run.meets_slo ? "met" : "missed") : "") });
  if (has("usd_per_million_output_tokens")) columns.push({ name: "USD / M tokens", number: true, of: (r) => r.run?.usd_per_million_output_tokens });
  if (has("joules_per_output_token")) columns.push({ name: "J / token", number: true, of: (r) => r.run?.joules_per_output_token });
  columns.push({ name: "GPUs", of: (r) => r.run?.gpus ?? "", text: true }, { name: "grade", of: (r) => (r.run ? gradeBadge(r.run.grade) : "") });
  return { id: "side", title: "Side by side", lead: "Times in milliseconds. A variant keeps the base's layout where it can. Intervals of values hold the model's whole error; what a change moves is known better (above).", body: [table("Side by side", columns, rows, true), everyMetric(variants)] };
}

/** All metrics of all variants with the interval of their ratio. */
function everyMetric(variants) {
  const rows = variants.flatMap((variant) => Object.entries(variant.movements ?? {}).filter(([, movement]) => Number.isFinite(movement?.base) || Number.isFinite(movement?.variant)).map(([metric, movement]) => ({ name: variant.name, metric, movement, change: moved(variant, metric) })));
  if (rows.length === 0) return null;
  return folded(`Table: every metric of every variant (${number(rows.length)} rows)`, table("Every metric", [{ name: "variant", of: (r) => r.name, text: true }, { name: "metric", of: (r) => metricName(r.metric) },
    { name: "base", number: true, of: (r) => r.movement.base }, { name: "variant's", number: true, of: (r) => r.movement.variant }, { name: "change %", number: true, of: (r) => (r.change ? signed(r.change.middle, 2) : "") },
    { name: "90 %", number: true, of: (r) => (r.change && r.change.low !== null ? `${signed(r.change.low, 2)} to ${signed(r.change.high, 2)}` : "") }], rows));
}

function why(variants) {
  const most = 40;
  return { id: "why", title: "What moves, and why", lead: variants.length > most ? `The first ${most} of ${number(variants.length)} variants; the tables have all.` : null, body: variants.slice(0, most).map((variant) => {
    const lines = [variant.infeasible ? `Cannot be: ${variant.infeasible}` : null, variant.not_kept ? `The base's layout cannot stay: ${variant.not_kept}` : null, ...list(variant.why),
      variant.kept && variant.best ? `With these changes ${variant.best.layout} on ${variant.best.gpus} would be better: ${number(variant.best.metrics?.output_throughput)} output tokens/s` : null].filter(Boolean);
    return [element("h3", { dir: "auto" }, variant.name, " ", worthBadge(variant)), element("p", { class: "lead" }, element("code", {}, list(variant.changes).join(", "))),
      element("ul", { class: "facts" }, lines.map((line) => element("li", {}, line)))];
  }) };
}

const passes = [["decode", "A decode pass, stage by stage", "decode_pass_ms", "decode_hop_ms"], ["chunk", "A chunk's pass, stage by stage", "chunk_pass_ms", "chunk_hop_ms"]];

/** Bars of pass and hop for every stage; one group for each stage, one bar for each variant. */
function stageChart(title, pass, hop, rows, names) {
  const parts = rows.flatMap((row) => [{ ...row, part: "pass", ms: row.of[pass] ?? 0 }, { ...row, part: "hop to the next", ms: row.of[hop] ?? 0 }]);
  const stages = [...new Set(rows.map((row) => row.stage))];
  const labels = ["pass", "hop to the next"], colours = [palette[0], palette[1]];
  return chart({ title, about: "Milliseconds at the base's typical batch and chunk: kernels and collectives, then the hop to the next stage.", key: labels.map((name, i) => ({ name, colour: colours[i] })),
    says: rows.slice(0, 12).map((row) => `${row.name}, stage ${row.stage}: ${number(row.of[pass])} ms`).join("; "),
    draw: (width) => { const most = width < 420 ? 13 : 24; return { height: rows.length * 20 + stages.length * 26 + 46, marginLeft: width < 420 ? 96 : 160, marginTop: 18, marginBottom: 42, marginRight: 10, x: { label: "ms", grid: true }, y: { label: null, domain: names, tickFormat: (name) => cut(name, most), tickSize: 0 },
      fy: { label: null, domain: stages, axis: null, padding: 0.16 }, color: { domain: labels, range: colours },
      marks: [Plot.text(stages, { fy: (d) => d, text: (d) => `stage ${d}`, frameAnchor: "top-left", dx: 4, dy: -13, fontWeight: 650, fill: "var(--ink)" }),
        Plot.barX(parts, { x: "ms", y: "name", fy: "stage", fill: "part", order: labels, insetTop: 1.5, insetBottom: 1.5, tip, title: (d) => `${d.name}, stage ${d.stage}\n${d.part}: ${number(d.ms)} ms\nGPUs ${shown(list(d.of.gpus).join(", "))}` })] }; },
    data: { rows, columns: [{ name: "stage", number: true, of: (r) => r.stage }, { name: "variant", of: (r) => r.name, text: true }, { name: "pass ms", number: true, of: (r) => r.of[pass] }, { name: "hop ms", number: true, of: (r) => r.of[hop] }] } });
}

function stages(result, variants) {
  const runs = [{ name: "(base)", run: result.base }, ...variants.map((variant) => ({ name: variant.name, run: shownOf(variant) }))].filter((entry) => list(entry.run?.stages).length);
  const rows = runs.flatMap(({ name, run }) => list(run.stages).map((of, stage) => ({ name, stage, of, base: list(result.base?.stages)[stage] })));
  if (rows.length === 0) return null;
  const drawn = runs.slice(0, 8), names = drawn.map((entry) => entry.name), seen = rows.filter((row) => names.includes(row.name) && row.stage < 8);
  const beside = (row, key) => (row.name !== "(base)" && row.base?.[key] > 0 && row.of[key] > 0 ? `${signed(100 * (row.of[key] / row.base[key] - 1))} %` : "");
  const both = (key, title) => [{ name: `${title} ms`, number: true, of: (r) => r.of[key] }, { name: "change", number: true, of: (r) => beside(r, key) }];
  const left = rows.length - seen.length;
  const notable = 0.5, kinds = [["decode_pass_ms", "decode pass"], ["chunk_pass_ms", "chunk pass"], ["decode_hop_ms", "decode batch's hop"], ["chunk_hop_ms", "chunk's hop"]];
  const movedRows = rows.filter((row) => row.name !== "(base)" && row.base).flatMap((row) => kinds.map(([key, what]) => ({ row, what: key.includes("hop") ? `${what} ${row.stage} \u2192 ${row.stage + 1}` : `${what}, stage ${row.stage}`, from: row.base[key], to: row.of[key], through: key.includes("hop") ? row.of.hop : list(row.of.gpus).join(", ") })))
    .filter((entry) => entry.from > 0 && entry.to > 0 && Math.abs(100 * (entry.to / entry.from - 1)) >= notable);
  return { id: "stages", title: "Stage by stage", lead: `Passes and hops, variant beside base.${left > 0 ? ` Charts show the first ${names.length} of base and variants and 8 stages; the table has all.` : ""}`,
    body: [element("div", { class: "charts" }, passes.map(([, title, pass, hop]) => stageChart(title, pass, hop, seen, names))),
      element("h3", {}, "Which stage and which link moved"), movedRows.length ? table("What moved", [{ name: "variant", of: (e) => e.row.name, text: true }, { name: "what", of: (e) => e.what }, { name: "on", of: (e) => e.through, text: true }, { name: "base ms", number: true, of: (e) => e.from }, { name: "variant ms", number: true, of: (e) => e.to },
        { name: "change", number: true, of: (e) => `${signed(100 * (e.to / e.from - 1))} %` }], movedRows) : element("p", { class: "lead" }, "No pass and no hop moves by half a percent."),
      folded(`Table: every stage of base and variants (${number(rows.length)} rows)`, table("Stage by stage", [{ name: "variant", of: (r) => r.name, text: true }, { name: "stage", number: true, of: (r) => r.stage }, { name: "GPUs", of: (r) => list(r.of.gpus).join(", "), text: true }, { name: "layers", of: (r) => (r.of.layers ? `${r.of.layers.begin}\u2013${r.of.layers.end - 1}` : "") },
        ...both("decode_pass_ms", "decode pass"), ...both("chunk_pass_ms", "chunk pass"), { name: "hop", of: (r) => r.of.hop, text: true }, ...both("decode_hop_ms", "decode hop"), ...both("chunk_hop_ms", "chunk hop"), { name: "busy", number: true, of: (r) => percent(r.of.busy) }], rows))] };
}

export function whatifSections(result) {
  const variants = list(result.variants).map((variant) => ({ ...variant, name: shown(variant.name ?? "") }));
  const figure = clusterFigure(result.cluster, result.base?.placement);
  return [answer(result, variants), sideBySide(result, variants), why(variants), stages(result, variants),
    figure ? { id: "cluster", title: "The base's cluster and the layout on it", body: [figure] } : null];
}
