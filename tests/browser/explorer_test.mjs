// The explorer of a plan's page in a real browser. Usage: node explorer_test.mjs SEXTANT ROOT CHROMIUM. Prints what fails; exit 1 if anything does.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, open, widths } from "./browser.mjs";

const [sextant, root, program] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), "sextant-explorer-"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let checks = 0, failures = 0;

function expect(holds, what) {
  checks += 1;
  if (holds) return;
  failures += 1;
  console.log(`FAILED: ${what}`);
}

/** A page of the shipped profiles, and the plan it is made of. */
function plan(name, ...changes) {
  const page = join(scratch, `${name}.html`), json = join(scratch, `${name}.json`);
  execFileSync(sextant, ["plan", `scenarios/${name}.json`, "--quiet", "--no-intervals", "--set", "variants=[]", ...changes.flatMap((change) => ["--set", change]), "--json", json, "--html", page],
    { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
  expect(statSync(page).size < 1_500_000, `${name}: ${statSync(page).size} bytes`);
  console.log(`${name}.html: ${statSync(page).size} bytes`);
  return { name, page, result: JSON.parse(readFileSync(json, "utf8")) };
}

const ready = (page) => page.waitForSelector("#what-if .answers[data-program]", { timeout: 120000 });
const settled = (page) => page.waitForSelector("#what-if .answers[data-state=done]", { timeout: 120000 });
const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.abs(b);

/** The answer to the point that the sliders are at, at full precision. */
const answerOf = (page) => page.evaluate(() => JSON.parse(document.querySelector("#what-if .answers").dataset.answer));
const tiles = (page) => page.evaluate(() => [...document.querySelectorAll("#what-if .tile")].map((tile) => tile.textContent));

/** Moves a slider by its keys. */
async function press(page, id, key, times = 1) {
  await page.focus(id);
  for (let i = 0; i < times; i += 1) {
    await page.keyboard.press(key);
    await settled(page);
  }
}

/** Every slider moves the numbers and comes back; the plan's point is the plan's estimate. */
async function checkEstimates(browser, { name, page: file, result }) {
  const { page, complaints } = await open(browser, file);
  await ready(page);
  expect(await page.getAttribute("#what-if .answers", "data-program") === "ready", `${name}: the program runs`);
  const ids = await page.evaluate(() => [...document.querySelectorAll("#what-if input[type=range]")].map((input) => `#${input.id}`));
  expect(ids.length >= 2, `${name}: ${ids.length} sliders`);
  const planned = result.candidates[0], shownAtFirst = await tiles(page);
  await press(page, ids[0], "Home");
  expect((await tiles(page)).join() !== shownAtFirst.join(), `${name}: what is shown follows ${ids[0]}`);
  await page.click("#what-if button");
  await settled(page);
  for (const id of ids) {
    // A full pipeline hides its hops: one request alone does not.
    if (id.endsWith("network")) await press(page, "#explore-load", "Home");
    const before = JSON.stringify((await answerOf(page)).best);
    const start = await page.inputValue(id);
    const began = Date.now();
    await press(page, id, Number(start) > 0 ? "Home" : "End");
    console.log(`${name} ${id}: ${Date.now() - began} ms`);
    expect(JSON.stringify((await answerOf(page)).best) !== before, `${name}: ${id} moves the numbers`);
    await page.click("#what-if button");
    await settled(page);
    expect(await page.inputValue(id) === start, `${name}: the button brings ${id} back`);
    const base = await answerOf(page);
    expect(near(base.planned.output_throughput, planned.estimate), `${name}: the browser estimates ${base.planned.output_throughput}, the plan ${planned.estimate}`);
    expect(base.planned.kv_tokens === planned.kv_tokens, `${name}: the browser finds room for ${base.planned.kv_tokens} tokens, the plan for ${planned.kv_tokens}`);
  }
  const native = JSON.parse(await page.evaluate(() => document.getElementById("result").textContent)).explorer.base, here = await answerOf(page);
  for (const of of ["best", "planned"])
    for (const key of ["output_throughput", "mean_tpot_ms", "mean_ttft_ms", "kv_tokens"])
      expect(native[of][key] === here[of][key] || near(here[of][key], native[of][key]), `${name}: ${of} ${key}: ${here[of][key]} in the browser, ${native[of][key]} in sextant`);
  expect(here.best.layout === native.best.layout, `${name}: ${here.best.layout} in the browser, ${native.best.layout} in sextant`);
  expect(complaints.length === 0, `${name}: ${complaints.join("; ").slice(0, 500)}`);
  await page.context().close();
}

async function checkLooks(browser, { name, page: file }) {
  for (const width of widths)
    for (const dark of [false, true]) {
      const { page, complaints } = await open(browser, file, { width, dark });
      await ready(page);
      await press(page, "#explore-load", "ArrowLeft", 2);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow <= 0, `${name} at ${width}: ${overflow} pixels wider than the window`);
      await page.evaluate(axe);
      const found = await page.evaluate(() => window.axe.run(document.getElementById("what-if"), { resultTypes: ["violations"] }));
      expect(found.violations.length === 0, `${name} at ${width}${dark ? " dark" : ""}: axe: ${found.violations.map((v) => `${v.id}: ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary.slice(0, 200)}`).join("\n  ")}`);
      expect(complaints.length === 0, `${name} at ${width}: ${complaints.join("; ").slice(0, 500)}`);
      await page.context().close();
    }
}

/** What a reader must be told: estimates, and where memory ends. */
async function checkWords(browser, { page: file }) {
  const { page } = await open(browser, file);
  await ready(page);
  const text = () => page.evaluate(() => document.getElementById("what-if").innerText);
  expect(/Estimates only: the event simulation was not rerun/.test(await text()), "the page says that these are estimates");
  expect(/Simulated, as planned/.test(await text()), "the simulated figure stands beside the estimate");
  const cards = await page.evaluate(() => `#${document.querySelector("#what-if input[id*=cards]").id}`);
  await press(page, cards, "Home");
  expect(/Does not fit in memory/.test(await text()), "one card does not hold 405 B weights");
  expect(/1 card\b/.test(await page.getAttribute(cards, "aria-valuetext")), "a slider says its value in words");
  expect(/Does not fit/.test(await page.innerText("#what-if [role=status]")), "a screen reader hears of it");
  await page.context().close();
}

async function checkUnavailable(browser, { page: file }) {
  const { page, complaints } = await open(browser, file);
  const text = await page.evaluate(() => document.getElementById("what-if").innerText);
  expect(/No estimates at other points on this page: prefill and decode run apart/.test(text), `pools: ${text}`);
  expect(await page.locator("#what-if input").count() === 0 && await page.locator("#explorer-program").count() === 0, "pools: no sliders, no program");
  expect(complaints.length === 0, `pools: ${complaints.join("; ")}`);
  await page.context().close();
}

const browser = await launch(program);
try {
  const few = "workload.num_prompts=40";
  const cards = plan("part1-405b", few), mixed = plan("part4-max-q", few), node = plan("h200-node-70b", few), experts = plan("spark-and-workstation-experts", few);
  for (const one of [cards, mixed, node, experts]) await checkEstimates(browser, one);
  await checkLooks(browser, mixed);
  await checkWords(browser, cards);
  await checkUnavailable(browser, plan("disaggregated-70b", few));
} finally {
  await browser.close();
  rmSync(scratch, { recursive: true });
}
console.log(`${checks} checks, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
