// Pictures of a page to look at: node screenshots.mjs CHROMIUM PAGE.html FOLDER
import { basename } from "node:path";
import { launch, open, widths } from "./browser.mjs";

const [program, file, folder] = process.argv.slice(2);
const browser = await launch(program);
for (const width of widths)
  for (const dark of [false, true]) {
    const { page, complaints } = await open(browser, file, { width, dark });
    await page.screenshot({ path: `${folder}/${basename(file, ".html")}-${width}-${dark ? "dark" : "light"}.png`, fullPage: true });
    for (const complaint of complaints) console.log(`${width} ${complaint}`);
    await page.context().close();
  }
await browser.close();
