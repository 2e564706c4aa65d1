// HTML reports in a real browser. Usage: node page_test.mjs SEXTANT ROOT CHROMIUM. Prints what fails; exit 1 if anything does.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, open, widths } from "./browser.mjs";

const [sextant, root, program] = process.argv.slice(2);
const largest = 1_500_000;
const scratch = mkdtempSync(join(tmpdir(), "sextant-page-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let checks = 0, failures = 0;

function expect(holds, what) {
  checks += 1;
  if (holds) return;
  failures += 1;
  console.log(`FAILED: ${what}`);
}

/** Runs sextant with the test-only profiles; what it computes is not what is tested here. */
function run(...words) {
  execFileSync(sextant, words, { cwd: root, stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, SEXTANT_PROFILES: join(root, "tests/fixtures/profiles") } });
}

const evil = [`</script><img src=x onerror="alert(1)">`, "\u202Eright to left\u202C \u05D0\u05D1\u05D2", "n".repeat(10_000), "<!--<script>", "\u0000\u0007\u001b[2J", "{{script}}"];

/** A saved result whose every text is hostile and whose numbers are missing where they can be. */
function hostile(path, from) {
  const result = JSON.parse(readFileSync(from, "utf8"));
  let turn = 0;
  const spoil = (value, key) => {
    if (typeof value === "string" && !["format", "kind", "grade"].includes(key)) return `${value.slice(0, 20)} ${evil[turn++ % evil.length]}`;
    if (Array.isArray(value)) return value.map((entry) => spoil(entry, key));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, spoil(entry, name)]));
    return value;
  };
  const spoilt = spoil(result, "");
  const run = spoilt.candidates?.[0] ?? spoilt.base ?? spoilt.best.models[0];
  run.metrics.p99_itl_ms = null;
  run.metrics.mean_ttft_ms = null;
  run.intervals = { output_throughput: { low: null, nominal: null, high: null } };
  spoilt[`x"><script>alert(2)</script>`] = [{ "<b>": evil[0] }];
  writeFileSync(path, JSON.stringify(spoilt));
}

/** Two thousand variants of a what-if, and a purchase of as many simulated ones. */
function many(whatif, purchase, fromWhatif, fromPurchase) {
  const base = JSON.parse(readFileSync(fromWhatif, "utf8"));
  base.variants = Array.from({ length: 2000 }, (_, i) => ({ ...base.variants[0], name: `variant ${i}` }));
  writeFileSync(whatif, JSON.stringify(base));
  const bought = JSON.parse(readFileSync(fromPurchase, "utf8"));
  bought.simulated = Array.from({ length: 2000 }, (_, i) => ({ ...bought.simulated[0], description: `purchase ${i}`, usd: 50000 + 31 * i, output_throughput: 100 + (i % 97) }));
  writeFileSync(purchase, JSON.stringify(bought));
}

/** A sweep of 100,000 points and a cluster of 4,000 GPUs: more than any page can hold. */
function huge(sweep, plan, from) {
  const row = (i) => ({ point: i, values: [i % 500, `policy ${i % 200} ${"x".repeat(40)}`], status: "ok", tp: 1, pp: 1, dp: 1, split: "32", output_throughput: i, mean_ttft_ms: i, p99_ttft_ms: i, mean_tpot_ms: 1 + i, meets_slo: true, grade: "fitted" });
  writeFileSync(sweep, JSON.stringify({ format: "sextant sweep", version: 1, scenario: "huge", axes: [{ path: "workload.request_rate", values: "0..499" }, { path: "router.policy", values: [] }], points: 100000, rows: Array.from({ length: 100000 }, (_, i) => row(i)) }));
  const result = JSON.parse(readFileSync(from, "utf8"));
  const gpus = Array.from({ length: 4000 }, (_, i) => `node-${Math.floor(i / 8)}/gpu${i % 8}`);
  result.cluster.nodes = Array.from({ length: 500 }, (_, i) => ({ name: `node-${i}`, type: "hgx", rack: "" }));
  result.cluster.devices = gpus.map((name, i) => ({ name, kind: "gpu", node: Math.floor(i / 8), model: "toy" }));
  result.cluster.links = gpus.map((_, i) => ({ from: i, to: (i + 1) % 4000, kind: "nvlink", gbps: 450, use: 0.3, carries: ["collectives of stage 0"] }));
  result.candidates = Array.from({ length: 60 }, () => ({ ...result.candidates[0], layout: { tp: 8, pp: 1, dp: 500, split: "32", replicas: Array.from({ length: 500 }, (_, r) => [{ layers: { begin: 0, end: 32 }, gpus: gpus.slice(8 * r, 8 * r + 8) }]) } }));
  writeFileSync(plan, JSON.stringify(result));
}

async function checkDrawn(page, name, width, charts) {
  const seen = await page.evaluate(() => ({
    charts: [...document.querySelectorAll("figure > .drawing svg[role=img]")].map((svg) => ({ width: svg.getBoundingClientRect().width, marks: svg.querySelectorAll("rect,path,circle,line").length })),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    headings: document.querySelectorAll("main h2").length,
  }));
  expect(seen.charts.length >= charts, `${name} at ${width}: ${seen.charts.length} charts, expected ${charts} or more`);
  expect(seen.charts.every((chart) => chart.marks > 3 && chart.width > 200 && chart.width <= width), `${name} at ${width}: a chart is empty or does not fit: ${JSON.stringify(seen.charts)}`);
  expect(seen.overflow <= 0, `${name} at ${width}: the page is ${seen.overflow} pixels wider than the window`);
  expect(seen.headings >= 2, `${name} at ${width}: ${seen.headings} sections`);
}

async function checkAxe(page, name) {
  await page.evaluate(() => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  expect(found.violations.length === 0, `${name}: axe: ${found.violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary.slice(0, 200)}`).join("\n  ")}`);
}

/** What is huge is drawn once: axe takes minutes over thousands of rows. What is hostile is drawn narrow and wide. */
async function checkPage(browser, name, file, charts) {
  const large = name.startsWith("huge");
  expect(statSync(file).size < largest, `${name}: ${statSync(file).size} bytes, expected less than ${largest}`);
  const second = name.startsWith("hostile-");
  for (const width of large ? [1440] : second ? [390, 1440] : widths)
    for (const dark of width === 1440 && !large && !second ? [false, true] : [false]) {
      const { page, complaints } = await open(browser, file, { width, dark });
      await checkDrawn(page, name, width, charts);
      const theme = await page.evaluate(() => document.documentElement.dataset.theme);
      expect(theme === (dark ? "dark" : "light"), `${name}: found the ${theme} theme`);
      if (!large && (width === 1440 || (width === 390 && name === "plan"))) await checkAxe(page, `${name} at ${width}${dark ? " dark" : ""}`);
      expect(complaints.length === 0, `${name} at ${width}: ${complaints.join("; ").slice(0, 500)}`);
      await page.context().close();
    }
}

async function checkUse(browser, file) {
  const { page, complaints } = await open(browser, file, { width: 1440 });
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement.className) === "skip", "the first key stop is the link past the header");
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => location.hash) === "#content", "the skip link leads to the answer");
  const colour = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await colour();
  await page.focus("#theme");
  await page.keyboard.press("Enter");
  expect(await colour() !== light, "the switch changes the colours by keyboard");
  // A bar wide enough to hit: what does not change has none.
  const bars = page.locator("figure > .drawing svg[role=img] rect");
  const wide = await bars.evaluateAll((all) => all.findIndex((one) => one.getBoundingClientRect().width > 10));
  const bar = bars.nth(wide);
  await bar.scrollIntoViewIfNeeded();
  const box = await bar.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForTimeout(200);
  expect(await page.evaluate(() => [...document.querySelectorAll("[aria-label=tip] text, .tip text")].some((text) => text.textContent.length > 3)), `${file}: hovering a bar shows its value`);
  const summaries = await page.evaluate(() => [...document.querySelectorAll("figure")].filter((figure) => figure.querySelector(".drawing") && !figure.querySelector("details table") && !figure.parentElement.querySelector("table")).length);
  expect(summaries === 0, `${file}: ${summaries} charts have no table`);
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  expect(await colour() === "rgb(255, 255, 255)", "paper is white, in dark mode as well");
  const pdf = await page.pdf({ format: "A4" });
  expect(pdf.subarray(0, 5).toString() === "%PDF-" && pdf.length > 20_000, `the page prints: ${pdf.length} bytes`);
  expect(complaints.length === 0, complaints.join("; "));
  await page.context().close();
}

async function checkHostile(browser, file) {
  const { page } = await open(browser, file);
  const seen = await page.evaluate(() => ({ images: document.images.length, scripts: document.scripts.length, text: document.body.innerText }));
  expect(seen.images === 0 && seen.scripts === 2, `hostile: ${seen.images} images, ${seen.scripts} scripts, expected 0 and 2`);
  expect(seen.text.includes("</script>"), "hostile: the name is shown as text");
  expect(!/[\u202a-\u202e\u2066-\u2069]/.test(seen.text), "hostile: no direction override is shown");
  await page.context().close();
}

/** What a reader looks for is on the page. */
async function checkAnswer(browser, file, texts) {
  const { page } = await open(browser, file);
  const seen = await page.evaluate(() => document.body.innerText);
  for (const text of texts) expect(seen.includes(text), `${file}: the page does not say '${text}'`);
  await page.context().close();
}

async function checkNoScript(browser, file, answer) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`file://${file}`);
  expect(answer.test(await page.content()), "without scripts the answer is there as text");
  await context.close();
}

const at = (name) => join(scratch, name);
const browser = await launch(program);
try {
  const fixed = ["--set", 'deployment={"tp":1,"pp":3}', "--set", "workload.num_prompts=60"];
  run("plan", "scenarios/part1-405b.json", "--quiet", "--set", "workload.num_prompts=60", "--set", 'slo={"p99_ttft_ms":"<=30000"}', "--json", at("plan.json"), "--html", at("plan.html"));
  run("plan", "scenarios/part1-405b.json", "--quiet", "--no-intervals", "--set", "workload.num_prompts=60", "--set", "workload.seed=5", "--json", at("other.json"));
  run("simulate", "scenarios/part1-405b.json", "--quiet", ...fixed, "--html", at("simulate.html"));
  run("sweep", "scenarios/part1-405b.json", "--quiet", ...fixed, "--axis", "workload.max_concurrency=2,8,32", "--axis", "workload.seed=1,2", "--html", at("sweep.html"));
  run("validate", "tests/validation/links.jsonl", "--quiet", "--html", at("validate.html"));
  run("report", at("plan.json"), at("other.json"), "--html", at("comparison.html"));
  run("whatif", "scenarios/part1-405b.json", "--quiet", "--base", "workload.num_prompts=60", "--base", 'slo={"p99_ttft_ms":"<=30000"}', "--set", "cluster.nodes[*].nic=connectx-7-400",
    "--variant", "half as many at once", "--set", "workload.max_concurrency=48", "--variant", "a GPU lost", "--set", 'cluster.lost=["node-a/gpu1"]', "--json", at("whatif.json"), "--html", at("whatif.html"));
  run("plan", "scenarios/buy-405b.json", "--quiet", "--set", "workload.num_prompts=8", "--json", at("purchase.json"), "--html", at("purchase.html"));
  for (const [name, from] of [["hostile", "plan"], ["hostile-whatif", "whatif"], ["hostile-purchase", "purchase"]]) {
    hostile(at(`${name}.json`), at(`${from}.json`));
    run("report", at(`${name}.json`), "--html", at(`${name}.html`));
  }
  many(at("huge-whatif.json"), at("huge-purchase.json"), at("whatif.json"), at("purchase.json"));
  for (const name of ["huge-whatif", "huge-purchase"]) run("report", at(`${name}.json`), "--html", at(`${name}.html`));
  huge(at("huge-sweep.json"), at("huge-plan.json"), at("plan.json"));
  run("report", at("huge-sweep.json"), "--html", at("huge-sweep.html"));
  run("report", at("huge-plan.json"), "--html", at("huge-plan.html"));

  const pages = { plan: 5, simulate: 11, sweep: 4, validate: 2, comparison: 1, hostile: 4, "huge-sweep": 4, "huge-plan": 4,
    whatif: 3, purchase: 2, "hostile-whatif": 3, "hostile-purchase": 2, "huge-whatif": 3, "huge-purchase": 2 };
  for (const [name, charts] of Object.entries(pages)) await checkPage(browser, name, at(`${name}.html`), charts);
  for (const name of ["plan", "whatif", "purchase"]) await checkUse(browser, at(`${name}.html`));
  for (const name of ["hostile", "hostile-whatif", "hostile-purchase"]) await checkHostile(browser, at(`${name}.html`));
  await checkNoScript(browser, at("plan.html"), /Run tp/);
  await checkNoScript(browser, at("whatif.html"), /What if: part1-405b/);
  await checkNoScript(browser, at("purchase.html"), /Buy 1 x/);
  await checkAnswer(browser, at("whatif.html"), ["SLO", "half as many at once", "Stage by stage", "cannot be"]);
  await checkAnswer(browser, at("purchase.html"), ["Buy ", "USD", "Rack units", "Alternatives that differ in kind", "Prices that nobody has quoted you", "Purchases left out"]);
  for (const name of Object.keys(pages)) console.log(`${name}.html: ${statSync(at(`${name}.html`)).size} bytes`);
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true });
}
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
