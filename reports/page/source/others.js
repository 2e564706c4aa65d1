// Sweeps, validations, comparisons, and what this page does not know by name.
import { Plot, chart, decades, palette, tip } from "./chart.js";
import { element, finite, gradeBadge, layoutName, list, metricName, number, percent, shown, table } from "./dom.js";

const json = (value) => (typeof value === "string" ? value : JSON.stringify(value));

/** The axis to draw along: the first whose values are numbers that differ. */
function loadAxis(axes, rows) {
  const index = axes.findIndex((_, a) => rows.every((row) => typeof row.values?.[a] === "number") && new Set(rows.map((row) => row.values[a])).size > 1);
  return index;
}

const sweepLines = [["output_throughput", "Output throughput", "tok/s"], ["p99_ttft_ms", "P99 time to first token", "ms"], ["mean_tpot_ms", "Mean time per output token", "ms"]];

export function sweepSections(result) {
  const axes = list(result.axes), rows = list(result.rows), planned = rows.filter((row) => row.status === "ok");
  const along = loadAxis(axes, planned);
  const best = planned.reduce((a, b) => (!a || (b.meets_slo ?? false) > (a.meets_slo ?? false) || ((b.meets_slo ?? false) === (a.meets_slo ?? false) && b.output_throughput > a.output_throughput) ? b : a), null);
  const point = (row) => axes.map((axis, a) => `${axis.path} = ${json(row.values?.[a])}`).join(", ");
  const someMiss = best?.meets_slo && planned.some((row) => !row.meets_slo);
  const answer = { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, best ? `Highest output throughput${someMiss ? " that meets the SLO" : ""}: ${number(best.output_throughput)} tok/s` : "No point has a plan"),
    best ? element("p", { class: "lead" }, `${layoutName(best)} at ${point(best)}${best.meets_slo ? "" : "; it misses the SLO"}. ${number(planned.length)} of ${number(rows.length)} points have a plan.`) : null] };
  const sections = [answer];
  if (along >= 0) {
    const names = planned.map((row) => axes.map((axis, a) => (a === along ? null : `${axis.path.split(".").pop()} ${json(row.values[a])}`)).filter(Boolean).join(", ") || "all");
    const domain = [...new Set(names)].slice(0, palette.length);
    const range = domain.map((_, i) => palette[i]);
    const points = planned.map((row, i) => ({ row, x: row.values[along], name: names[i] })).filter((p) => domain.includes(p.name)).sort((a, b) => a.x - b.x);
    const key = domain.length > 1 ? domain.map((name, i) => ({ name, colour: range[i], stroke: true })) : null;
    const lines = sweepLines.filter(([metric]) => points.some((p) => Number.isFinite(p.row[metric]))).map(([metric, title, unit]) => chart({
      title, key, about: `${unit} against ${axes[along].path}`, says: `${points.length} points`,
      draw: () => ({ height: 230, marginLeft: 58, marginBottom: 42, color: { domain, range }, grid: true, x: { label: axes[along].path }, y: { label: unit, zero: true, nice: true, tickFormat: number },
        marks: [Plot.lineY(points, { x: "x", y: (p) => finite(p.row[metric]), stroke: "name", marker: "dot", tip, title: (p) => `${point(p.row)}\n${title}: ${number(p.row[metric])} ${unit}` })] }),
    }));
    lines.push(chart({ title: "Latency against load", key, about: "Mean time per output token (ms) against the output throughput reached (tok/s). Down and to the right is better.", says: `${points.length} points`,
      draw: () => ({ height: 230, marginLeft: 58, marginBottom: 42, color: { domain, range }, grid: true, x: { label: "output tok/s", nice: true }, y: { label: "ms", zero: true, nice: true, tickFormat: number },
        marks: [Plot.line(points, { x: (p) => finite(p.row.output_throughput), y: (p) => finite(p.row.mean_tpot_ms), stroke: "name", marker: "dot", tip, title: (p) => `${point(p.row)}\n${number(p.row.output_throughput)} tok/s\n${number(p.row.mean_tpot_ms)} ms` })] }) }));
    sections.push({ id: "curves", title: `Along ${axes[along].path}`, lead: new Set(names).size > domain.length ? `The first ${domain.length} of ${new Set(names).size} curves.` : null, body: [element("div", { class: "charts" }, lines)] });
  }
  sections.push({ id: "points", title: "Points", body: [table("Points", [{ name: "point", number: true, of: (r) => r.point },
    ...axes.map((axis, a) => ({ name: axis.path, of: (r) => json(r.values?.[a]), text: true })),
    { name: "layout", of: (r) => (r.status === "ok" ? layoutName(r) : r.reason || r.status), text: true },
    ...sweepLines.map(([metric, title, unit]) => ({ name: `${title} (${unit})`, number: true, of: (r) => r[metric] })),
    { name: "SLO", of: (r) => (r.status !== "ok" ? "" : element("span", { class: r.meets_slo ? "good" : "bad" }, r.meets_slo ? "met" : "missed")) },
    { name: "grade", of: (r) => r.grade }], rows)] });
  return sections;
}

export function validationSections(result) {
  const groups = list(result.groups), whole = groups.filter((group) => !group.part && group.median_error_percent !== null);
  const values = list(result.values).filter((value) => Number.isFinite(value.error_percent));
  const missed = list(result.bounds?.missed), given = list(result.bounds?.given);
  const within = whole.reduce((sum, g) => sum + g.within_interval, 0), of = whole.reduce((sum, g) => sum + g.with_interval, 0);
  const count = whole.reduce((sum, g) => sum + g.values, 0);
  const middle = values.map((v) => Math.abs(v.error_percent)).sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const answer = { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, `${number(count)} measured values predicted, half of all errors within ${number(middle)} %`),
    given.length ? element("span", { class: `verdict ${missed.length ? "bad" : "good"}` }, missed.length ? `${missed.length} of ${given.length} bounds do not hold` : "all bounds hold") : null,
    element("p", { class: "lead" }, `error = predicted / measured \u2212 1. ${of > 0 ? `${number(within)} of ${number(of)} measured values (${percent(within / of)}) lie in their prediction's 90 % interval.` : ""}`),
    missed.length ? element("ul", { class: "facts bad" }, missed.map((text) => element("li", {}, text))) : null] };
  const name = (group) => `${group.kind} on ${group.gpu}`;
  const label = (text) => (text.length > 34 ? `${text.slice(0, 33)}\u2026` : text);
  const shownGroups = whole.slice(0, 40);
  const errors = chart({ title: "Error by kind and GPU", about: "Median (dot), 90th percentile (end of the bar) of the error's size, in percent.", wide: true,
    says: shownGroups.map((g) => `${name(g)} median ${number(g.median_error_percent)} %`).join(", "),
    draw: (width) => ({ height: Math.max(120, shownGroups.length * 24 + 50), marginLeft: width < 560 ? 150 : 250, x: { label: "% off", grid: true, zero: true }, y: { label: null, domain: shownGroups.map(name), tickFormat: (text) => (width < 560 ? (text.length > 22 ? `${text.slice(0, 21)}\u2026` : text) : label(text)) },
      marks: [Plot.ruleY(shownGroups, { y: name, x1: 0, x2: "p90_error_percent", stroke: "var(--idle)", strokeWidth: 8 }),
        Plot.dot(shownGroups, { y: name, x: "median_error_percent", fill: "var(--c1)", r: 5, tip, title: (g) => `${name(g)}\nmedian ${number(g.median_error_percent)} %, P90 ${number(g.p90_error_percent)} %, worst ${number(g.worst_error_percent)} %\nbias ${number(g.bias_percent)} %, ${number(g.values)} values` })] }) });
  const kinds = [...new Set(values.map((v) => v.kind))].slice(0, palette.length);
  const dots = values.filter((v) => kinds.includes(v.kind) && v.measured > 0), edge = 100;
  const residuals = dots.length ? chart({ title: "Residuals", about: `Each predicted value: its error against what was measured (in the row's own unit).${dots.some((v) => Math.abs(v.error_percent) > edge) ? ` Errors beyond ${edge} % are drawn at the edge.` : ""}`, wide: true,
    key: kinds.map((kind, i) => ({ name: kind, colour: palette[i] })), says: `${dots.length} values`,
    draw: () => ({ height: 350, marginLeft: 52, marginBottom: 42, x: { type: "log", label: "measured", ticks: decades(dots.map((v) => v.measured)), tickFormat: number }, y: { label: "error (%)", grid: true, domain: [-edge, edge] }, color: { domain: kinds, range: palette.slice(0, kinds.length) },
      marks: [Plot.ruleY([0], { stroke: "var(--ink)" }), Plot.dot(dots, { x: "measured", y: (v) => Math.max(-edge, Math.min(edge, v.error_percent)), fill: "kind", fillOpacity: 0.65, r: 3.5, tip, title: (v) => `${shown(v.shape).slice(0, 90)}\n${v.gpu}, ${v.quantity}\nmeasured ${number(v.measured)}, predicted ${number(v.predicted)}\n${number(v.error_percent)} %` })] }) }) : null;
  const worst = [...values].sort((a, b) => Math.abs(b.error_percent) - Math.abs(a.error_percent)).slice(0, 40);
  return [answer, { id: "errors", title: "Errors", body: [element("div", { class: "charts" }, errors, residuals), table("Errors by group", [
    { name: "kind", of: (g) => g.kind }, { name: "GPU", of: (g) => g.gpu }, { name: "part", of: (g) => g.part ?? "" }, { name: "values", number: true, of: (g) => g.values },
    { name: "median %", number: true, of: (g) => g.median_error_percent }, { name: "P90 %", number: true, of: (g) => g.p90_error_percent }, { name: "worst %", number: true, of: (g) => g.worst_error_percent },
    { name: "bias %", number: true, of: (g) => g.bias_percent }, { name: "in 90 % interval", number: true, of: (g) => (g.with_interval > 0 ? `${g.within_interval} of ${g.with_interval}` : "") },
    { name: "not predicted", number: true, of: (g) => g.not_predicted }, { name: "grade", of: (g) => (g.grade ? gradeBadge(g.grade) : "") }], groups)] },
  { id: "furthest", title: "Furthest off", body: [table("Values furthest off", [{ name: "row", of: (v) => v.shape, text: true }, { name: "GPU", of: (v) => v.gpu }, { name: "quantity", of: (v) => v.quantity },
    { name: "measured", number: true, of: (v) => v.measured }, { name: "predicted", number: true, of: (v) => v.predicted }, { name: "error %", number: true, of: (v) => v.error_percent },
    { name: "90 %", number: true, of: (v) => (Number.isFinite(v.lo90) ? `${number(v.lo90)} to ${number(v.hi90)}` : "") }, { name: "from", of: (v) => `${v.file}:${v.line}`, text: true }], worst)] }];
}

const verdictClass = { "outside": "bad", "differs": "warn", "within intervals": "good", "same": "" };

export function comparisonSections(result) {
  const rows = list(result.rows), counts = result.verdicts ?? {};
  const changed = rows.filter((row) => row.verdict !== "same" && Number.isFinite(row.change_percent)).sort((a, b) => Math.abs(b.change_percent) - Math.abs(a.change_percent)).slice(0, 30);
  const name = (row) => `${row.of}: ${metricName(row.figure)}`;
  const colours = [["outside", "var(--bad)"], ["differs", "var(--c2)"], ["within intervals", "var(--c3)"]];
  const edge = 100, cutOff = changed.some((row) => Math.abs(row.change_percent) > edge);
  const answer = { id: "answer", title: "Answer", body: [
    element("p", { class: "run" }, counts.outside > 0 ? `${number(counts.outside)} figures lie outside the intervals` : changed.length === 0 ? "The two agree in every figure" : "No figure lies outside the other's interval"),
    element("ul", { class: "facts" }, element("li", {}, `A: ${shown(result.a)}`), element("li", {}, `B: ${shown(result.b)}`),
      element("li", {}, `${number(counts.same)} figures the same, ${number(counts["within intervals"])} within the intervals, ${number(counts.outside)} outside, ${number(counts.differs)} without an interval to judge by; ${list(result.only_in_a).length + list(result.only_in_b).length} in one result only`))] };
  const made = changed.length ? chart({ title: "Change from A to B", about: `The largest changes, in percent.${cutOff ? ` Bars end at ${edge} %.` : ""}`, key: colours.map(([label, colour]) => ({ name: label, colour })), says: changed.slice(0, 5).map((row) => `${name(row)} ${number(row.change_percent)} %`).join(", "),
    draw: (width) => { const most = width < 560 ? 20 : 44; return { height: changed.length * 22 + 50, marginLeft: width < 560 ? 140 : 290, x: { label: "%", grid: true, nice: true, ...(cutOff ? { domain: [-edge, edge] } : {}) }, y: { label: null, domain: changed.map(name), tickFormat: (text) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text) }, color: { domain: colours.map(([label]) => label), range: colours.map(([, colour]) => colour) },
      marks: [Plot.barX(changed, { y: name, x1: 0, x2: (row) => Math.max(-edge, Math.min(edge, row.change_percent)), fill: "verdict", insetTop: 2, insetBottom: 2, tip, title: (row) => `${name(row)}\nA ${number(row.a)}, B ${number(row.b)}\n${number(row.change_percent)} %, ${row.verdict}` }), Plot.ruleX([0], { stroke: "var(--ink)" })] }; } }) : null;
  const range = (low, high) => (Number.isFinite(low) ? `${number(low)} to ${number(high)}` : "");
  const sections = [answer, { id: "figures", title: "Figures", body: [made, table("Figures", [{ name: "of", of: (r) => r.of, text: true }, { name: "figure", of: (r) => metricName(r.figure) },
    { name: "A", number: true, of: (r) => r.a }, { name: "B", number: true, of: (r) => r.b }, { name: "change", number: true, of: (r) => (Number.isFinite(r.change_percent) ? `${r.change_percent >= 0 ? "+" : "\u2212"}${Math.abs(r.change_percent).toFixed(1)} %` : "") },
    { name: "A's interval", number: true, of: (r) => range(r.a_low, r.a_high) }, { name: "B's interval", number: true, of: (r) => range(r.b_low, r.b_high) },
    { name: "verdict", of: (r) => element("span", { class: verdictClass[r.verdict] ?? "" }, r.verdict) }], rows)] }];
  if (list(result.settings).length) sections.push({ id: "asked", title: "Asked differently", body: [table("Asked differently", [{ name: "what", of: (s) => s.what }, { name: "A", of: (s) => s.a, text: true }, { name: "B", of: (s) => s.b, text: true }], result.settings)] });
  return sections;
}

const knownKeys = new Set(["format", "version", "model", "engine", "seed", "scenario", "candidates", "considered", "rejections", "reasons", "variants", "command", "question",
  "description", "slo", "has_economics", "cluster", "provenance", "scenario_document", "mean_load", "explorer", "page_notes", "layout", "replications", "spread", "series", "files", "profiles", "groups", "bounds",
  "values", "axes", "points", "rows", "of", "a", "b", "settings", "verdicts", "only_in_a", "only_in_b",
  "base", "answer", "best", "alternatives", "simulated", "possible", "left_out", "offers", "budget", "economics", "prefer", "others", "plans"]);

const flat = (value) => (value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : value);

/** What another command added to the document, as tables. */
export function furtherSections(result) {
  return Object.entries(result).filter(([key, value]) => !knownKeys.has(key) && value !== null && typeof value === "object" && Object.keys(value).length > 0).map(([key, value]) => {
    const title = key.replaceAll("_", " ").replace(/^./, (c) => c.toUpperCase());
    const rows = Array.isArray(value) ? value : Object.entries(value).map(([name, of]) => ({ name, value: of }));
    const objects = rows.every((row) => row !== null && typeof row === "object" && !Array.isArray(row));
    const keys = objects ? [...new Set(rows.flatMap((row) => Object.keys(row)))].slice(0, 24) : [];
    const body = objects ? table(title, keys.map((name) => ({ name: name.replaceAll("_", " "), number: rows.some((row) => typeof row[name] === "number"), text: rows.some((row) => typeof flat(row[name]) === "string" && flat(row[name]).length > 30), of: (row) => flat(row[name]) })), rows)
      : element("ul", { class: "facts" }, rows.map((row) => element("li", {}, flat(row))));
    return { id: `key-${key.replace(/[^a-z0-9]+/gi, "-").slice(0, 40)}`, title, body: [body] };
  });
}
