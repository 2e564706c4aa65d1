// The answer: what to run, what it gives, how sure.
import { duration, element, finite, gradeBadge, layoutName, list, metricName, number, svg, table } from "./dom.js";

const grades = {
  measured: "measured on this hardware", fitted: "fitted to measurements of this hardware",
  scaled: "scaled from another part by a stated rule", datasheet: "the maker's number, not a measurement",
  assumed: "a stated rule that nobody has measured here",
};

export const headline = (result) => list(result.candidates)[0] ?? list(result.replications)[0] ?? null;
export const layoutOf = (result) => result.layout ?? headline(result)?.layout ?? null;

/** The interval of a metric: the model's error, or the spread of replications. */
export function intervalOf(result, run, metric) {
  const own = run?.intervals?.[metric];
  if (own) return { low: own.low, high: own.high };
  const spread = result.spread?.[metric];
  if (list(result.replications).length > 1 && spread) return { low: spread.mean - spread.margin_95, high: spread.mean + spread.margin_95 };
  return null;
}

function tile(name, value, unit, range) {
  return element("div", { class: "tile" }, element("dt", {}, name),
    element("dd", {}, value, unit ? element("small", {}, ` ${unit}`) : null), range ? element("dd", { class: "range" }, range) : null);
}

function tiles(result, run) {
  const metrics = run.metrics ?? {};
  const range = (metric, show) => {
    const interval = intervalOf(result, run, metric);
    return interval && Number.isFinite(interval.low) ? `${show(interval.low)} to ${show(interval.high)}` : null;
  };
  const rate = (name, metric, unit) => Number.isFinite(metrics[metric]) ? tile(name, number(metrics[metric]), unit, range(metric, number)) : null;
  const time = (name, metric) => {
    if (!Number.isFinite(metrics[metric])) return null;
    const [value, unit, by] = duration(metrics[metric]);
    const ends = range(metric, (ms) => number(ms / by));
    return tile(name, value, unit, ends && `${ends} ${unit}`);
  };
  const made = [rate("Output throughput", "output_throughput", "tok/s"), rate("Requests served", "request_throughput", "req/s"),
    time("Mean time to first token", "mean_ttft_ms"), time("P99 time to first token", "p99_ttft_ms"),
    time("Mean time per output token", "mean_tpot_ms"), time("Mean request latency", "mean_e2el_ms")];
  if (Number.isFinite(run.usd_per_million_output_tokens)) made.push(tile("Cost", number(run.usd_per_million_output_tokens), "USD / M tokens"));
  if (Number.isFinite(run.energy?.gpu_watts))
    made.push(tile("GPU power", number(run.energy.gpu_watts), "W", `${number(run.energy.joules_per_output_token)} J per output token${run.energy.upper_bound ? ", at most" : ""}`));
  return element("dl", { class: "tiles" }, made);
}

const meets = (level, value) => (level.at_most ? value <= level.bound : value >= level.bound);

/** Whether both ends of the interval lie on the value's side of the bound. */
function isCertain(level, value, interval) {
  const met = meets(level, value);
  return !interval || !Number.isFinite(interval.low) || (meets(level, interval.low) === met && meets(level, interval.high) === met);
}

function verdictOf(level, value, interval) {
  const met = meets(level, value), certain = isCertain(level, value, interval);
  return element("span", { class: certain ? (met ? "good" : "bad") : "warn" }, `${met ? "yes" : "no"}${certain ? "" : ", not certain"}`);
}

/** An interval as a bar from 0 with the value as a mark and the bound as a line. */
function bar(value, interval, bound) {
  const most = Math.max(value, interval?.high ?? 0, bound ?? 0) * 1.05;
  if (!(most > 0)) return "";
  const x = (v) => (150 * Math.max(0, v)) / most;
  return svg("svg", { class: "bar", viewBox: "0 0 150 16", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 6, width: 150, height: 4, rx: 2, fill: "var(--faint)" }),
    interval && Number.isFinite(interval.low) ? svg("rect", { x: x(interval.low), y: 4, width: Math.max(2, x(interval.high) - x(interval.low)), height: 8, rx: 3, fill: "var(--c1)", opacity: 0.4 }) : null,
    svg("rect", { x: x(value) - 1.5, y: 1, width: 3, height: 14, rx: 1, fill: "var(--c1)" }),
    bound !== undefined ? svg("line", { x1: x(bound), x2: x(bound), y1: 0, y2: 16, stroke: "var(--bad)", "stroke-width": 2, "stroke-dasharray": "3 2" }) : null);
}

function metricRows(result, run) {
  const names = ["output_throughput", "request_throughput", "mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_tpot_ms",
    "mean_itl_ms", "p99_itl_ms", "mean_e2el_ms", "p99_e2el_ms"];
  for (const level of list(result.slo)) if (!names.includes(level.metric)) names.push(level.metric);
  return names.filter((name) => run.metrics && name in run.metrics).flatMap((name) => {
    const levels = list(result.slo).filter((level) => level.metric === name);
    return (levels.length ? levels : [null]).map((level) => ({ name, level, value: run.metrics[name], interval: intervalOf(result, run, name) }));
  });
}

export function answerSection(result) {
  const run = headline(result);
  const plan = result.format === "sextant plan";
  if (!run) return { id: "answer", title: "Answer", body: [element("p", { class: "run" }, "No layout was simulated")] };
  const slo = list(result.slo), repeated = list(result.replications).length > 1;
  const rows = metricRows(result, run), withIntervals = rows.some((row) => row.interval);
  const columns = [{ name: "metric", of: (row) => metricName(row.name) }, { name: "predicted", number: true, of: (row) => finite(row.value) ?? "\u2013" }];
  if (withIntervals) columns.push(
    { name: repeated ? "95 % of the mean" : "model error (90 %)", number: true, of: (row) => row.interval ? `${number(row.interval.low)} to ${number(row.interval.high)}` : "" });
  if (withIntervals || slo.length) columns.push({ name: withIntervals ? "value and interval" : "value and bound", of: (row) => bar(row.value, row.interval, row.level?.bound) });
  if (slo.length) columns.push({ name: "bound", number: true, of: (row) => row.level ? `${row.level.at_most ? "\u2264" : "\u2265"} ${number(row.level.bound)}` : "" },
    { name: "met", of: (row) => row.level ? verdictOf(row.level, row.value, row.interval) : "" });
  const certain = rows.every((row) => !row.level || isCertain(row.level, row.value, row.interval));
  const [tone, words] = !run.meets_slo ? ["bad", "SLO not met"] : certain ? ["good", "SLO met"] : ["warn", "SLO met as predicted, not for certain"];
  const verdict = slo.length === 0 ? null : element("span", { class: `verdict ${tone}` }, words);
  const warnings = [];
  if (run.startable === false) warnings.push(`It does not start: max_model_len exceeds the ${number(run.kv_tokens)} tokens that a replica caches.`);
  if (run.metrics?.rejected > 0) warnings.push(`${number(run.metrics.rejected)} of ${number(run.metrics.arrived)} requests are rejected.`);
  const overload = run.metrics?.overload;
  if (overload) warnings.push(`Overloaded: ${number(overload.arrival_rate)} requests/s arrive and ${number(overload.capacity)} are served since ${number(overload.from_s)} s; ${number(overload.waiting)} waited when the last came.`);
  warnings.push(...list(run.missed));
  return { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, `${plan ? "Run" : "Simulated:"} ${layoutName(layoutOf(result))}`), verdict,
    warnings.length ? element("ul", { class: "facts bad" }, warnings.map((text) => element("li", {}, text))) : null,
    tiles(result, run),
    element("p", { class: "lead" }, "How sure: the weakest figure used is ", gradeBadge(run.grade), ` (${grades[run.grade] ?? ""})`,
      run.extrapolated ? "; some passes lie outside the range that was fitted. " : ". ",
      withIntervals ? (repeated ? "Ranges are the 95 % confidence interval of the mean over the replications." : "Ranges are the 90 % interval of the model's error alone, with the same requests.") : ""),
    table("Headline metrics", columns, rows, true),
    element("ul", { class: "facts" }, list(result.question).map((line) => element("li", {}, line))),
  ] };
}
