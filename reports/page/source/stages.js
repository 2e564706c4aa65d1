// What the stages of the answer do: shares, families, memory, hops.
import { Plot, chart, palette, tip } from "./chart.js";
import { headline } from "./answer.js";
import { element, list, number, percent, table } from "./dom.js";

const shareParts = [["compute", "var(--c1)"], ["communication", "var(--c2)"], ["bubble", "var(--idle)"]];
const memoryParts = [["weights", "var(--c1)"], ["for_kv", "var(--c3)", "KV cache"], ["activations", "var(--c2)"], ["states", "var(--c5)"],
  ["context", "var(--c6)"], ["communication", "var(--c4)"], ["engine", "var(--c8)"], ["left", "var(--idle)", "left free"]];
const giga = 1e9;

const stageName = (i) => `stage ${i}`;
const rowsHigh = (count) => Math.max(90, count * 38 + 62);

function shares(stages) {
  const rows = stages.flatMap((stage, i) => shareParts.map(([part]) => ({ stage: stageName(i), part, share: stage.shares?.[part] ?? 0 })));
  return chart({
    title: "Busy, communicating, idle", about: "Shares of the run's duration. A bubble is a stage that waits for work.",
    key: shareParts.map(([name, colour]) => ({ name, colour })),
    says: stages.map((stage, i) => `${stageName(i)}: ${percent(stage.shares?.compute)} compute`).join(", "),
    draw: () => ({
      height: rowsHigh(stages.length), marginLeft: 62, marginBottom: 42, x: { label: null, domain: [0, 1], tickFormat: (v) => `${Math.round(100 * v)} %` }, y: { label: null },
      color: { domain: shareParts.map(([name]) => name), range: shareParts.map(([, colour]) => colour) },
      marks: [Plot.barX(rows, { x: "share", y: "stage", fill: "part", insetTop: 1, insetBottom: 1, tip, title: (d) => `${d.stage}\n${d.part}: ${percent(d.share)}` })],
    }),
    data: { rows: stages.map((stage, i) => ({ stage, i })), columns: [
      { name: "stage", number: true, of: (r) => r.i }, { name: "layers", of: (r) => r.stage.layers ? `${r.stage.layers.begin}\u2013${r.stage.layers.end - 1}` : "" },
      { name: "GPUs", of: (r) => list(r.stage.gpus).join(", "), text: true }, { name: "compute", number: true, of: (r) => percent(r.stage.shares?.compute) },
      { name: "communication", number: true, of: (r) => percent(r.stage.shares?.communication) }, { name: "bubble", number: true, of: (r) => percent(r.stage.shares?.bubble) },
      { name: "hop busy", number: true, of: (r) => percent(r.stage.shares?.hop_busy) }] },
  });
}

function families(stages, run) {
  const names = [...new Set(stages.flatMap((stage) => Object.entries(stage.decode_families_ms ?? {}).filter(([, ms]) => ms > 0).map(([name]) => name)))];
  if (names.length === 0) return null;
  const rows = stages.flatMap((stage, i) => names.map((name) => ({ stage: stageName(i), name: name.replaceAll("_", " "), ms: stage.decode_families_ms?.[name] ?? 0 })));
  const labels = names.map((name) => name.replaceAll("_", " "));
  return chart({
    title: "Where a decode pass's time goes", about: `A pass of ${number(run.decode_batch)} requests at ${number(run.decode_context)} cached tokens each, in milliseconds.`,
    key: labels.map((name, i) => ({ name, colour: palette[i % palette.length] })),
    says: stages.map((stage, i) => `${stageName(i)}: ${number(stage.decode_pass_ms)} ms`).join(", "),
    draw: () => ({
      height: rowsHigh(stages.length), marginLeft: 62, marginBottom: 42, x: { label: "ms", grid: true }, y: { label: null },
      color: { domain: labels, range: labels.map((_, i) => palette[i % palette.length]) },
      marks: [Plot.barX(rows, { x: "ms", y: "stage", fill: "name", insetTop: 1, insetBottom: 1, order: labels, tip, title: (d) => `${d.stage}\n${d.name}: ${number(d.ms)} ms` })],
    }),
    data: { rows: stages.map((stage, i) => ({ stage, i })), columns: [{ name: "stage", number: true, of: (r) => r.i },
      ...names.map((name) => ({ name: `${name.replaceAll("_", " ")} ms`, number: true, of: (r) => r.stage.decode_families_ms?.[name] })),
      { name: "decode pass ms", number: true, of: (r) => r.stage.decode_pass_ms }, { name: "chunk pass ms", number: true, of: (r) => r.stage.chunk_pass_ms }] },
  });
}

/** Bytes of each part; what is left of the device closes the bar. */
function budgetOf(stage) {
  const budget = { ...(stage.memory?.budget_bytes ?? {}) };
  const named = memoryParts.slice(0, -1).reduce((sum, [part]) => sum + Math.max(0, budget[part] ?? 0), 0);
  budget.left = Math.max(0, (budget.device ?? 0) - named);
  return budget;
}

function memory(stages) {
  const budgets = stages.map(budgetOf);
  if (!budgets.some((budget) => budget.device > 0)) return null;
  const parts = memoryParts.filter(([part]) => budgets.some((budget) => budget[part] > 0));
  const name = ([part, , shown]) => shown ?? part;
  const rows = budgets.flatMap((budget, i) => parts.map((part) => ({ stage: stageName(i), part: name(part), gb: Math.max(0, budget[part[0]] ?? 0) / giga })));
  const limits = budgets.map((budget, i) => ({ stage: stageName(i), gb: (budget.usable ?? 0) / giga }));
  return chart({
    title: "Memory per GPU", about: "The tightest GPU of each stage, in GB of 10\u2079 bytes. The dark mark is what the engine may use.",
    key: parts.map((part) => ({ name: name(part), colour: part[1] })), wide: true,
    says: budgets.map((budget, i) => `${stageName(i)}: ${number((budget.weights ?? 0) / giga)} GB weights, ${number((budget.for_kv ?? 0) / giga)} GB for KV`).join("; "),
    draw: () => ({
      height: rowsHigh(stages.length), marginLeft: 62, marginBottom: 42, x: { label: "GB", grid: true }, y: { label: null },
      color: { domain: parts.map(name), range: parts.map((part) => part[1]) },
      marks: [Plot.barX(rows, { x: "gb", y: "stage", fill: "part", insetTop: 1, insetBottom: 1, order: parts.map(name), tip, title: (d) => `${d.stage}\n${d.part}: ${number(d.gb)} GB` }),
        Plot.tickX(limits, { x: "gb", y: "stage", stroke: "var(--ink)", strokeWidth: 2.5, insetTop: -3, insetBottom: -3 })],
    }),
    data: { rows: budgets.map((budget, i) => ({ budget, i })), columns: [{ name: "stage", number: true, of: (r) => r.i },
      { name: "GPU", of: (r) => stages[r.i].memory?.device ?? "", text: true },
      { name: "device GB", number: true, of: (r) => r.budget.device / giga }, { name: "usable GB", number: true, of: (r) => r.budget.usable / giga },
      ...parts.map((part) => ({ name: `${name(part)} GB`, number: true, of: (r) => (r.budget[part[0]] ?? 0) / giga })),
      { name: "KV tokens", number: true, of: (r) => r.budget.kv_tokens }] },
  });
}

function hops(stages) {
  const rows = stages.map((stage, i) => ({ stage, i })).filter((row) => row.stage.hop);
  if (rows.length === 0) return null;
  return element("div", { class: "wide" }, element("h3", {}, "Hops between stages"), table("Hops between stages", [
    { name: "hop", of: (r) => `${r.i} \u2192 ${r.i + 1}` }, { name: "route", of: (r) => r.stage.hop, text: true },
    { name: "decode ms", number: true, of: (r) => r.stage.decode_hop_ms }, { name: "decode message kB", number: true, of: (r) => r.stage.decode_hop_bytes / 1e3 },
    { name: "chunk ms", number: true, of: (r) => r.stage.chunk_hop_ms }, { name: "chunk message MB", number: true, of: (r) => r.stage.chunk_hop_bytes / 1e6 },
    { name: "busy", number: true, of: (r) => percent(r.stage.shares?.hop_busy) }], rows));
}

export function stagesSection(result) {
  const run = headline(result), stages = list(run?.stages);
  if (stages.length === 0) return null;
  const first = result.candidates && run.layout?.dp > 1 ? " Of the first of several replicas." : "";
  return { id: "stages", title: "Stages and memory", lead: first || null,
    body: [element("div", { class: "charts" }, shares(stages), families(stages, run), memory(stages), hops(stages))] };
}
