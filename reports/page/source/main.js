// Reads the result out of the page and builds the page from it.
import { answerSection, headline, layoutOf } from "./answer.js";
import { candidatesSection, limitsSection, rejectionsSection, variantsSection } from "./choices.js";
import { clusterFigure } from "./cluster.js";
import { drawAll } from "./chart.js";
import { element, folded, gradeBadge, list, number, shown, table } from "./dom.js";
import { explorerSection } from "./explorer.js";
import { mixSections } from "./mix.js";
import { comparisonSections, furtherSections, sweepSections, validationSections } from "./others.js";
import { latencySection, spreadSection, timeSection } from "./run.js";
import { purchaseSections } from "./purchase.js";
import { stagesSection } from "./stages.js";
import { whatifSections } from "./whatif.js";

const kinds = {
  "sextant plan": "Plan", "sextant metrics": "Simulation", "sextant validation": "Validation", "sextant sweep": "Sweep", "sextant comparison": "Comparison",
  "sextant whatif": "What if", "sextant purchase": "Purchase", "sextant mix": "Mix",
};

function clusterSection(result) {
  const figure = clusterFigure(result.cluster, layoutOf(result));
  return figure ? { id: "cluster", title: "The cluster and the layout on it", body: [figure] } : null;
}

function sourcesSection(result) {
  const sources = list(result.provenance), notes = list(result.page_notes), run = headline(result) ?? result.base ?? list(result.best?.models)[0];
  const facts = [["format", `${result.format}, version ${result.version}`], ["seed", result.seed], ["fingerprint", run?.fingerprint ?? run?.metrics?.fingerprint], ["events simulated", run?.metrics?.events ? number(run.metrics.events) : null],
    ["engine", result.engine?.profile], ["files", list(result.files).join(", ")]].filter(([, value]) => value !== undefined && value !== null && value !== "");
  const count = {};
  for (const source of sources) count[source.grade] = (count[source.grade] ?? 0) + 1;
  return { id: "sources", title: "Where the numbers come from",
    lead: run ? "Every predicted figure on this page is a result of the event simulation of the command below, at the grade of the weakest figure it used. These are the figures it rests on." : null,
    body: [
      result.command ? element("pre", {}, element("code", {}, result.command)) : null,
      run ? element("p", { class: "lead" }, "The answer's grade: ", gradeBadge(run.grade), ...Object.entries(count).flatMap(([grade, n]) => ["  ", gradeBadge(grade), ` ${n}`])) : null,
      sources.length ? folded(`Table: ${number(sources.length)} figures with grade and source`, table("Figures with grade and source", [{ name: "of", of: (s) => s.of, text: true }, { name: "figure", of: (s) => s.figure },
        { name: "value", of: (s) => s.value }, { name: "grade", of: (s) => gradeBadge(s.grade) }, { name: "source", of: (s) => s.source, text: true }], sources)) : null,
      folded("This result", table("This result", [{ name: "what", of: ([name]) => name }, { name: "value", of: ([, value]) => value, text: true }], facts),
        result.engine ? table("Engine options", [{ name: "engine option", of: ([name]) => name }, { name: "value", of: ([, value]) => (typeof value === "object" ? JSON.stringify(value) : String(value)), text: true }], Object.entries(result.engine)) : null),
      result.scenario_document ? folded("The scenario as read", element("pre", {}, element("code", {}, JSON.stringify(result.scenario_document, null, 2)))) : null,
      notes.length ? [element("h3", {}, "Left out of this page"), element("ul", { class: "facts" }, notes.map((note) => element("li", {}, note)))] : null,
    ] };
}

function sectionsOf(result) {
  const own = { "sextant validation": validationSections, "sextant sweep": sweepSections, "sextant comparison": comparisonSections, "sextant whatif": whatifSections, "sextant purchase": purchaseSections, "sextant mix": mixSections }[result.format];
  const made = own ? own(result) : [answerSection(result), clusterSection(result), limitsSection(result), stagesSection(result), latencySection(result), timeSection(result),
    spreadSection(result), variantsSection(result), candidatesSection(result), rejectionsSection(result)];
  return [...made, explorerSection(result), ...furtherSections(result), sourcesSection(result)].filter(Boolean);
}

function themeButton() {
  const root = document.documentElement;
  const button = element("button", { type: "button", id: "theme" });
  const show = (theme) => {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light colours" : "Dark colours";
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  show(system.matches ? "dark" : "light");
  system.addEventListener("change", () => show(system.matches ? "dark" : "light"));
  button.addEventListener("click", () => show(root.dataset.theme === "dark" ? "light" : "dark"));
  return button;
}

function build() {
  // Cleaned here once: charts write their labels without element().
  const result = JSON.parse(document.getElementById("result").textContent, (_, value) => (typeof value === "string" ? shown(value) : value));
  const sections = sectionsOf(result);
  const kind = kinds[result.format] ?? "Result";
  document.getElementById("top").append(
    element("div", { class: "title" }, element("div", {}, element("p", { class: "kind" }, `Sextant \u00b7 ${kind}`),
      element("h1", { dir: "auto" }, result.scenario ?? kind)), themeButton()),
    result.description ? element("p", { class: "lead", dir: "auto" }, shown(result.description)) : "",
    element("nav", { "aria-label": "Sections" }, element("ul", {}, sections.map((section) => element("li", {}, element("a", { href: `#${section.id}` }, section.title))))));
  const main = document.getElementById("content");
  main.replaceChildren(...sections.map((section) => element("section", { id: section.id, "aria-labelledby": `${section.id}-title` },
    element("h2", { id: `${section.id}-title` }, section.title), section.lead ? element("p", { class: "lead" }, section.lead) : null, section.body)));
  document.body.append(element("footer", {}, "Made by sextant. This file needs no network: data, style and script are in it. Charts use Observable Plot (ISC)."));
  drawAll();
  document.documentElement.dataset.ready = "yes";
}

build();
