// Several models on one cluster: which GPUs each gets, how far all loads can grow, the other divisions.
import { clusterFigure } from "./cluster.js";
import { element, folded, gradeBadge, layoutName, list, number, table } from "./dom.js";

const badge = (of) => element("span", { class: of.meets_slo ? "good" : "bad" }, of.meets_slo ? "met" : "missed");
const times = (value) => (Number.isFinite(value) && value > 0 ? value.toFixed(2) : "");
const bullets = (texts) => element("ul", { class: "facts" }, list(texts).map((text) => element("li", {}, text)));

function modelsTable(caption, division) {
  return table(caption, [{ name: "model", of: (m) => m.name, text: true }, { name: "on", of: (m) => m.kinds, text: true },
    { name: "runs as", of: (m) => (m.layout ? layoutName(m.layout) : ""), text: true }, { name: "output tok/s", of: (m) => number(m.metrics?.output_throughput) },
    { name: "P99 TTFT ms", of: (m) => number(m.metrics?.p99_ttft_ms) }, { name: "P99 TPOT ms", of: (m) => number(m.metrics?.p99_tpot_ms) },
    { name: "SLO", of: badge }, { name: "load can grow x", of: (m) => times(m.factor) }, { name: "grade", of: (m) => (m.grade ? gradeBadge(m.grade) : "") }], list(division?.models));
}

function othersTable(result) {
  const rows = list(result.others).map((other, i) => ({ rank: i + 2, other }));
  return table("Other divisions that were simulated", [{ name: "rank", of: (r) => r.rank },
    { name: "division", of: (r) => list(r.other.models).map((m) => `${m.name} on ${m.kinds}${m.layout ? ` (${layoutName(m.layout)})` : ""}`).join(", "), text: true },
    { name: "SLO", of: (r) => badge(r.other) }, { name: "all loads can grow x", of: (r) => times(r.other.factor) }, { name: "tightest", of: (r) => r.other.tightest, text: true }], rows);
}

function modelSection(plan, model, index) {
  const best = list(plan.candidates)[0], figure = best ? clusterFigure(plan.cluster, best.layout) : null;
  return { id: `model-${index + 1}`, title: model?.name ?? plan.scenario,
    body: [element("p", { class: "lead" }, list(plan.question).join("; ")), figure,
      model ? element("p", {}, `On ${list(model.gpus).join(", ")}. Beyond ${times(model.factor)} times its load: ${model.held_back_by}`) : null,
      bullets(plan.reasons)] };
}

export function mixSections(result) {
  const best = result.best ?? {}, plans = list(result.plans);
  return [
    { id: "answer", title: "Answer", lead: `All loads can grow ${times(best.factor)} times before the first SLO breaks; ${best.tightest ?? ""} is the tightest.`,
      body: [modelsTable("Each model on its GPUs", best), folded("What was asked", bullets(result.question)), bullets(result.reasons)] },
    list(result.others).length ? { id: "others", title: "Other divisions", body: [othersTable(result)] } : null,
    ...plans.map((plan, i) => modelSection(plan, list(best.models).find((m) => m.name === plan.scenario_document?.model?.name), i)),
  ];
}
