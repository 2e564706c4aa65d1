// What else there is: candidates, what limits the answer, variants, layouts that cannot be.
import { Plot, chart, tip } from "./chart.js";
import { headline } from "./answer.js";
import { change, element, folded, layoutName, list, number, percent, table } from "./dom.js";

/** Whom nobody beats in both: shorter time per token and more tokens per second. */
function front(points) {
  const best = [];
  for (const point of [...points].sort((a, b) => a.tpot - b.tpot || b.throughput - a.throughput))
    if (best.length === 0 || point.throughput > best[best.length - 1].throughput) best.push(point);
  return best;
}

/** A domain with room at both ends, never so narrow that a difference of a percent looks large. */
function around(values) {
  const low = Math.min(...values), high = Math.max(...values), room = Math.max(0.08 * (high - low), 0.05 * high);
  return [Math.max(0, low - room), high + room];
}

export function candidatesSection(result) {
  const all = list(result.candidates);
  if (all.length < 2) return null;
  const points = all.map((c, i) => ({ rank: i + 1, c, name: layoutName(c.layout), throughput: c.metrics?.output_throughput, tpot: c.metrics?.mean_tpot_ms,
    ttft: c.metrics?.mean_ttft_ms, kind: i === 0 ? "the answer" : list(result.slo).length && !c.meets_slo ? "misses the SLO" : "candidate" }))
    .filter((p) => Number.isFinite(p.throughput));
  const seen = points.filter((p) => p.tpot > 0), edge = front(seen);
  const onEdge = new Set(edge.map((p) => p.rank));
  const kinds = [["the answer", "var(--c2)"], ["candidate", "var(--c1)"], ["misses the SLO", "var(--c6)"]].filter(([kind]) => points.some((p) => p.kind === kind));
  const made = seen.length > 1 ? chart({
    title: "Throughput against time per token", about: "Up and to the left is better. The line joins the candidates that no other beats in both.",
    key: [...kinds.map(([name, colour]) => ({ name, colour })), { name: "front", colour: "var(--ink)", stroke: true }],
    says: `${edge.length} of ${seen.length} candidates are on the front`,
    draw: () => ({
      height: 340, marginLeft: 58, marginBottom: 44, grid: true, x: { label: "mean time per output token (ms)", domain: around(seen.map((p) => p.tpot)) }, y: { label: "output tokens/s", domain: around(seen.map((p) => p.throughput)) },
      color: { domain: kinds.map(([kind]) => kind), range: kinds.map(([, colour]) => colour) },
      marks: [Plot.line(edge, { x: "tpot", y: "throughput", stroke: "var(--ink)", strokeWidth: 1.2, strokeDasharray: "4 3" }),
        Plot.dot(seen, { x: "tpot", y: "throughput", fill: "kind", r: (d) => (d.rank === 1 ? 8 : 5), stroke: "var(--card)", sort: (d) => -d.rank, tip,
          title: (d) => `#${d.rank} ${d.name}\n${number(d.throughput)} output tok/s\nTPOT ${number(d.tpot)} ms, TTFT ${number(d.ttft)} ms` })],
    }),
  }) : null;
  const costs = points.some((p) => Number.isFinite(p.c.usd_per_million_output_tokens));
  const columns = [{ name: "rank", number: true, of: (p) => p.rank }, { name: "layout", of: (p) => p.name, text: true }, { name: "output tok/s", number: true, of: (p) => p.throughput },
    { name: "mean TTFT ms", number: true, of: (p) => p.ttft }, { name: "mean TPOT ms", number: true, of: (p) => p.tpot }, { name: "KV tokens", number: true, of: (p) => p.c.kv_tokens },
    { name: "estimate tok/s", number: true, of: (p) => p.c.estimate }, { name: "front", of: (p) => (onEdge.has(p.rank) ? "yes" : "") }];
  if (costs) columns.push({ name: "USD / M tokens", number: true, of: (p) => p.c.usd_per_million_output_tokens });
  if (list(result.slo).length) columns.push({ name: "SLO", of: (p) => element("span", { class: p.c.meets_slo ? "good" : "bad" }, p.c.meets_slo ? "met" : "missed") });
  columns.push({ name: "grade", of: (p) => p.c.grade });
  return { id: "candidates", title: "Candidates", lead: `${number(result.considered)} layouts fit and were estimated; ${all.length} were simulated. Several of one name differ in their placement.`,
    body: [made, table("Candidates", columns, points)] };
}

export function limitsSection(result) {
  const run = headline(result);
  if (!run) return null;
  const metrics = run.metrics ?? {}, limits = metrics.limits ?? {};
  const waited = Object.values(limits).reduce((sum, share) => sum + (share ?? 0), 0);
  const facts = [...list(result.reasons),
    `${number(metrics.arrived)} requests: ${number(metrics.finished)} finished, ${number(metrics.rejected)} rejected, ${number(metrics.truncated)} truncated, ${number(metrics.preemptions)} preemptions`,
    `${number(metrics.mean_running)} running and ${number(metrics.mean_waiting)} waiting on average; ${number(metrics.mean_batch_decodes)} decodes in a step; KV occupancy ${percent(metrics.kv_occupancy_mean)} on average, ${percent(metrics.kv_occupancy_peak)} at its peak`];
  if (waited > 0) facts.push(`Of the time anything waited, it waited for: ${Object.entries(limits).filter(([, share]) => share > 0).map(([name, share]) => `${name.replaceAll("_", " ")} ${percent(share)}`).join(", ")}`);
  return { id: "why", title: "Why, and what limits it", body: [element("ul", { class: "facts" }, facts.map((text) => element("li", {}, text)))] };
}

const compared = [["output throughput", "output_throughput", "var(--c1)"], ["mean TTFT", "mean_ttft_ms", "var(--c2)"], ["mean TPOT", "mean_tpot_ms", "var(--c3)"]];

export function variantsSection(result) {
  const variants = list(result.variants), base = headline(result)?.metrics;
  if (variants.length === 0 || !base) return null;
  const rows = variants.map((variant) => ({ variant, run: list(variant.plan?.candidates)[0] }));
  const bars = rows.filter((row) => row.run).flatMap((row) => compared.map(([label, metric]) => ({ name: row.variant.name, label, percent: 100 * (row.run.metrics?.[metric] / base[metric] - 1) })))
    .filter((entry) => Number.isFinite(entry.percent));
  const most = 25, clipped = bars.some((entry) => Math.abs(entry.percent) > 4 * most);
  const edge = clipped ? 4 * most : null;
  const names = [...new Set(bars.map((entry) => entry.name))];
  const short = (name) => (name.length > 22 ? `${name.slice(0, 21)}\u2026` : name);
  const made = bars.length ? chart({
    title: "Change against the base", about: `Percent; more throughput and shorter times are better.${clipped ? ` Bars end at ${edge} %: the table has the rest.` : ""}`,
    key: compared.map(([name, , colour]) => ({ name, colour })), says: rows.map((row) => `${row.variant.name}: throughput ${change(base.output_throughput, row.run?.metrics?.output_throughput)}`).join("; "),
    draw: (width) => ({
      height: names.length * 66 + 60, marginBottom: 42, marginLeft: width < 560 ? 96 : 160, x: { label: "%", grid: true, ...(edge ? { domain: [-edge, edge] } : { nice: true }) }, y: { axis: null, domain: compared.map(([label]) => label) },
      fy: { label: null, domain: names, tickFormat: (name) => (width < 560 ? (name.length > 13 ? `${name.slice(0, 12)}\u2026` : name) : short(name)), axis: "left" },
      color: { domain: compared.map(([label]) => label), range: compared.map(([, , colour]) => colour) },
      marks: [Plot.axisFy({ anchor: "left", textAnchor: "end", fontSize: 12, tickFormat: (name) => (width < 560 ? (name.length > 13 ? `${name.slice(0, 12)}\u2026` : name) : short(name)) }),
        Plot.barX(bars, { x1: 0, x2: (d) => (edge ? Math.max(-edge, Math.min(edge, d.percent)) : d.percent), fy: "name", y: "label", fill: "label", insetTop: 1, insetBottom: 1, tip, title: (d) => `${d.name}\n${d.label} ${d.percent >= 0 ? "+" : "\u2212"}${number(Math.abs(d.percent))} %` }),
        Plot.ruleX([0], { stroke: "var(--ink)" })],
    }),
  }) : null;
  return { id: "variants", title: "What if", lead: "The scenario's variants, each planned as the base was.", body: [made, table("Variants", [
    { name: "variant", of: (r) => r.variant.name, text: true }, { name: "changes", of: (r) => list(r.variant.changes).join("; "), text: true },
    { name: "layout", of: (r) => (r.run ? layoutName(r.run.layout) : r.variant.infeasible || "none fits"), text: true },
    ...compared.flatMap(([label, metric]) => [{ name: label.startsWith("mean") ? `${label} ms` : `${label} tok/s`, number: true, of: (r) => r.run?.metrics?.[metric] },
      { name: "change", number: true, of: (r) => change(base[metric], r.run?.metrics?.[metric]) }]),
    { name: "verdict", of: (r) => r.variant.verdict, text: true }], rows)] };
}

export function rejectionsSection(result) {
  const rows = list(result.rejections);
  if (rows.length === 0) return null;
  return { id: "rejected", title: "Layouts that cannot be", body: [folded(`${number(rows.length)} layouts and why`, table("Layouts that cannot be", [
    { name: "layout", of: (r) => r.layout }, { name: "reason", of: (r) => r.reason, text: true },
    { name: "short by GB", number: true, of: (r) => (r.shortfall_bytes > 0 ? r.shortfall_bytes / 1e9 : "") }], rows))] };
}
