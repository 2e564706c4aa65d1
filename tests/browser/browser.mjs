// A page in headless Chromium, watched: every console message, error and request is kept.
import { chromium } from "playwright-core";

export const widths = [390, 820, 1440];

export async function launch(program) {
  return chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
}

/** Opens a file from disk: {page, complaints}. */
export async function open(browser, file, { width = 1440, dark = false, offline = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 1000 }, colorScheme: dark ? "dark" : "light", offline, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(120000);  // a busy machine takes its time
  const complaints = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) complaints.push(`console: ${message.text()}`); });
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("request", (request) => { if (request.url() !== `file://${file}` && !request.url().startsWith("data:")) complaints.push(`request: ${request.url()}`); });
  page.on("dialog", (dialog) => { complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  await page.goto(`file://${file}`, { timeout: 90000 });
  await page.waitForSelector("html[data-ready=yes]", { timeout: 120000 });
  await page.waitForTimeout(150);
  return { page, complaints };
}
