// A run over time and the latencies of its requests.
import { Plot, chart, decades, tip } from "./chart.js";
import { headline } from "./answer.js";
import { duration, element, list, metricName, number, percent, table } from "./dom.js";

const height = 210;

/** Time axis of a run: seconds, or minutes or hours where it is long. */
function timeScale(seconds) {
  if (seconds > 3 * 3600) return { unit: "h", by: 3600 };
  return seconds > 300 ? { unit: "min", by: 60 } : { unit: "s", by: 1 };
}

function binsOf(series) {
  const count = list(series.arrived).length, scale = timeScale(count * series.bin_s);
  return { scale, rows: Array.from({ length: count }, (_, i) => ({
    i, from: (i * series.bin_s) / scale.by, to: ((i + 1) * series.bin_s) / scale.by, at: ((i + 0.5) * series.bin_s) / scale.by })) };
}

/** Lines over time: [{name, colour, values, area}]. */
function timeChart({ title, about, series, lines, unit, format = number, most }) {
  const { scale, rows } = binsOf(series);
  const points = lines.flatMap((line) => rows.map((row) => ({ ...row, name: line.name, value: line.values[row.i], area: line.area })));
  const drawn = points.filter((point) => Number.isFinite(point.value));
  const domain = lines.map((line) => line.name), range = lines.map((line) => line.colour);
  return chart({
    title, about, key: lines.map((line) => ({ name: line.name, colour: line.colour, stroke: !line.area })),
    says: lines.map((line) => `${line.name} at most ${format(line.values.reduce((a, b) => Math.max(a, b ?? 0), 0))}`).join(", "),
    draw: () => ({
      height, marginLeft: 52, marginBottom: 42, x: { label: `time (${scale.unit})`, domain: [0, rows.at(-1).to] }, color: { domain, range },
      y: { label: unit, grid: true, zero: true, nice: true, tickFormat: (v) => format(v), ...(most ? { domain: [0, most] } : {}) },
      marks: [Plot.areaY(drawn.filter((d) => d.area), { x: "at", y2: "value", y1: 0, fill: "name", fillOpacity: 0.25, curve: "step" }),
        Plot.lineY(drawn, { x: "at", y: "value", stroke: "name", strokeWidth: 1.6, curve: "step" }), Plot.ruleY([0], { stroke: "var(--line)" }),
        Plot.tip(drawn, Plot.pointerX({ x: "at", y: "value", ...tip, title: (d) => `${number(d.from)}\u2013${number(d.to)} ${scale.unit}\n` + lines.map((line) => `${line.name}: ${line.values[d.i] === null ? "\u2013" : format(line.values[d.i])}`).join("\n") }))],
    }),
    data: { rows, columns: [{ name: `from (${scale.unit})`, number: true, of: (r) => r.from }, { name: `to (${scale.unit})`, number: true, of: (r) => r.to },
      ...lines.map((line) => ({ name: line.name, number: true, of: (r) => line.values[r.i] === null ? "\u2013" : format(line.values[r.i]) }))] },
  });
}

function stageBusy(series) {
  const { scale, rows } = binsOf(series);
  const stages = list(series.stage_busy);
  const cells = stages.flatMap((values, s) => rows.map((row) => ({ ...row, stage: `stage ${s}`, busy: Math.min(1, values[row.i] ?? 0) })));
  return chart({
    title: "Stages busy", about: "Share of each bin in which a stage computes; pale is waiting.", wide: stages.length > 6,
    key: [0, 0.5, 1].map((share) => ({ name: percent(share) || "0 %", colour: `color-mix(in oklab, var(--heat1) ${100 * share}%, var(--heat0))` })),
    draw: () => ({
      height: Math.max(110, stages.length * 30 + 46), marginLeft: 62, marginBottom: 42, x: { label: `time (${scale.unit})` }, y: { label: null },
      marks: [Plot.rect(cells, { x1: "from", x2: "to", y: "stage", fill: "var(--heat0)", insetTop: 1, insetBottom: 1 }),
        Plot.rect(cells, { x1: "from", x2: "to", y: "stage", fill: "var(--heat1)", fillOpacity: "busy", insetTop: 1, insetBottom: 1, tip,
          title: (d) => `${d.stage}, ${number(d.from)}\u2013${number(d.to)} ${scale.unit}\nbusy ${percent(d.busy)}` })],
      opacity: { domain: [0, 1], range: [0, 1] },
    }),
    data: { rows, columns: [{ name: `from (${scale.unit})`, number: true, of: (r) => r.from }, ...stages.map((values, s) => ({ name: `stage ${s}`, number: true, of: (r) => percent(values[r.i]) }))] },
  });
}

export function timeSection(result) {
  const series = result.series, run = headline(result);
  if (!series || list(series.arrived).length === 0) return null;
  const blocks = (run?.metrics?.kv_blocks ?? 0) * (series.replicas ?? 1);
  const share = (values) => list(values).map((value) => (blocks > 0 ? value / blocks : value));
  const perSecond = (values) => list(values).map((value) => value / series.bin_s);
  const kv = blocks > 0 ? { unit: "of the blocks", format: percent, most: 1 } : { unit: "blocks" };
  const zero = (value) => percent(value) || "0 %";
  return { id: "time", title: "The run over time",
    lead: `Bins of ${number(series.bin_s)} s: ${series.rule}.`,
    body: [element("div", { class: "charts" },
      timeChart({ title: "Requests running and waiting", about: "Means over each bin, all replicas together.", series, unit: "requests", lines: [
        { name: "running", colour: "var(--c1)", values: list(series.running_mean), area: true }, { name: "waiting", colour: "var(--c2)", values: list(series.waiting_mean), area: true }] }),
      timeChart({ title: "KV cache in use", about: "Mean and peak of each bin.", series, ...kv, format: kv.format ? zero : number, lines: [
        { name: "mean", colour: "var(--c3)", values: share(series.kv_blocks_mean), area: true }, { name: "peak", colour: "var(--c4)", values: share(series.kv_blocks_peak) }] }),
      timeChart({ title: "Requests arriving and leaving", about: "Per second.", series, unit: "requests/s", lines: [
        { name: "arriving", colour: "var(--c2)", values: perSecond(series.arrived) }, { name: "finished", colour: "var(--c1)", values: perSecond(series.finished) }] }),
      timeChart({ title: "Time to first token", about: "Mean of the requests whose first token came in the bin.", series, unit: "ms", lines: [
        { name: "mean TTFT (ms)", colour: "var(--c5)", values: list(series.mean_ttft_ms) }] }),
      element("div", { class: "wide" }, stageBusy(series)))] };
}

function percentiles(run) {
  const rows = ["ttft", "tpot", "itl", "e2el"].map((quantity) => ({ quantity: quantity.toUpperCase(),
    ...Object.fromEntries(["mean", "median", "p90", "p99"].map((of) => [of, run.metrics?.[`${of}_${quantity}_ms`]])) })).filter((row) => row.median > 0);
  if (rows.length === 0) return null;
  const marks = [["median", "var(--c1)"], ["p90", "var(--c3)"], ["p99", "var(--c2)"]];
  const points = rows.flatMap((row) => marks.map(([of]) => ({ quantity: row.quantity, of, ms: row[of] }))).filter((point) => point.ms > 0);
  return chart({
    title: "Percentiles", about: "Milliseconds, each step of the axis ten times the one before.",
    key: marks.map(([name, colour]) => ({ name, colour })), says: rows.map((row) => `${row.quantity} median ${number(row.median)} ms, P99 ${number(row.p99)} ms`).join("; "),
    draw: () => ({
      height: 210, marginLeft: 52, marginBottom: 42, marginRight: 24, x: { type: "log", label: "ms", grid: true, ticks: decades(points.map((p) => p.ms)), tickFormat: number }, y: { label: null, domain: rows.map((row) => row.quantity) },
      color: { domain: marks.map(([name]) => name), range: marks.map(([, colour]) => colour) },
      marks: [Plot.link(rows, { x1: "median", x2: "p99", y1: "quantity", y2: "quantity", stroke: "var(--idle)", strokeWidth: 5, strokeLinecap: "round" }),
        Plot.dot(points, { x: "ms", y: "quantity", fill: "of", r: 6, stroke: "var(--card)", tip, title: (d) => `${d.quantity} ${d.of}: ${duration(d.ms).slice(0, 2).join(" ")}` })],
    }),
    data: { rows, columns: [{ name: "latency", of: (r) => r.quantity }, ...["mean", "median", "p90", "p99"].map((of) => ({ name: `${of} (ms)`, number: true, of: (r) => r[of] ?? "\u2013" }))] },
  });
}

function histogram(result, quantity, title, colour) {
  const bins = list(result.series?.latency_ms?.[quantity]);
  if (bins.length === 0) return null;
  const all = bins.reduce((sum, bin) => sum + bin.count, 0);
  let below = 0;
  const rows = bins.map((bin) => ({ ...bin, share: bin.count / all, below: (below += bin.count) / all }));
  return chart({
    title, about: `${number(all)} requests; ${result.series.latency_rule}.`,
    says: `most between ${number(rows.reduce((a, b) => (b.count > a.count ? b : a)).from_ms)} and ${number(rows.reduce((a, b) => (b.count > a.count ? b : a)).to_ms)} ms`,
    draw: () => ({
      height: 200, marginLeft: 48, marginBottom: 42, x: { type: "log", label: "ms", ticks: decades(rows.flatMap((r) => [r.from_ms, r.to_ms])), tickFormat: number }, y: { label: "of the requests", grid: true, nice: true, tickFormat: (v) => percent(v) || "0 %" },
      marks: [Plot.rect(rows, { x1: "from_ms", x2: "to_ms", y1: 0, y2: "share", fill: colour, insetLeft: 0.5, insetRight: 0.5, tip, title: (d) => `${number(d.from_ms)}\u2013${number(d.to_ms)} ms\n${percent(d.share)} of the requests\n${percent(d.below)} are as fast` }), Plot.ruleY([0], { stroke: "var(--line)" })],
    }),
    data: { rows, columns: [{ name: "from ms", number: true, of: (r) => r.from_ms }, { name: "to ms", number: true, of: (r) => r.to_ms },
      { name: "requests", number: true, of: (r) => r.count }, { name: "up to here", number: true, of: (r) => percent(r.below) }] },
  });
}

export function latencySection(result) {
  const run = headline(result);
  if (!run) return null;
  const made = [percentiles(run), histogram(result, "ttft", "Time to first token", "var(--c5)"), histogram(result, "tpot", "Time per output token", "var(--c1)"),
    histogram(result, "e2el", "End-to-end latency", "var(--c3)")].filter(Boolean);
  if (made.length === 0) return null;
  if (made.length === 1) made[0].classList.add("wide");
  return { id: "latency", title: "Latency", body: [element("div", { class: "charts" }, made)] };
}

export function spreadSection(result) {
  const runs = list(result.replications);
  if (runs.length < 2) return null;
  return { id: "spread", title: `${number(runs.length)} replications`, lead: "Independent repetitions of the workload: what another seed gives.",
    body: [table("Spread over replications", [{ name: "metric", of: ([name]) => metricName(name) }, { name: "mean", number: true, of: ([, s]) => s.mean },
      { name: "\u00b1 (95 %)", number: true, of: ([, s]) => s.margin_95 }, { name: "deviation", number: true, of: ([, s]) => s.deviation },
      { name: "least", number: true, of: ([, s]) => s.low }, { name: "most", number: true, of: ([, s]) => s.high }], Object.entries(result.spread ?? {}))] };
}
