// Log in as somebody, walk every page in both languages, themes and widths, and print what is wrong: one line each.
// node pages.mjs AIRFLOW USER PASSWORD AXE [FOLDER for pictures]
import { readFileSync } from "node:fs";

import { browser, listen, logIn, wrong } from "./browser.mjs";

const [airflow, user, password, axe, folder] = process.argv.slice(2);
const WIDTHS = { 1440: null, 1280: null, 390: ["today", "day"] };
const LOOKS = [["ko", "light"], ["en", "dark"], ["ko", "dark"], ["en", "light"]];
const PATHS = {
  today: "/", calendar: "/calendar", day: "/day/2026-02-23", rows: "/day/2026-02-23/rows/distributed?currency=KRW",
  payouts: "/payouts", breaks: "/breaks", break: "/breaks/1", trace: "/trace", loan: "/trace/loan/L014",
  gate: "/gate", bank: "/bank", certificate: "/certificate/1", changes: "/day/2026-02-23/changes/1",
};
const LINKS = {
  payout: ["/payouts?state=booked", "/payouts/"], file: ["/bank", "/bank/files/"], statement: ["/bank", "/bank/statements/"],
  investor: ["/payouts?state=booked", "/trace/investor/"], repayment: ["rows", "/trace/repayment/"], line: ["statement", "/trace/line/"],
};
const FILES = 'main a:is([href*="kept="], [href*=".xlsx"], [href*="/bytes"], [href*="evidence"])';
const page = await logIn(airflow, user, password);

const nobody = (await browser.newContext()).request;
for (const path of Object.values(PATHS)) {
  const status = (await nobody.get(`${airflow}/settlement${path}`)).status();
  if (status !== 401) wrong(`${path}: nobody gets ${status}`);
}
const { import_errors } = await (await page.request.get(`${airflow}/api/v2/plugins/importErrors`)).json();
for (const error of import_errors) wrong(JSON.stringify(error));
const { plugins } = await (await page.request.get(`${airflow}/api/v2/plugins`)).json();
const views = plugins.find((plugin) => plugin.name === "settlement_pages")?.external_views.map((view) => view.destination);
if (`${views}` !== "nav,dag,dag_run") wrong(`views are ${views}`);

for (const [name, [from, to]] of Object.entries(LINKS)) {
  await page.goto(`${airflow}/settlement${PATHS[from] ?? from}`);
  PATHS[name] = (await page.locator(`main a[href*="${to}"]`).first().getAttribute("href")).replace("/settlement", "");
}
PATHS.why = `${PATHS.investor}?on=2026-02-23`;

listen(page);
const files = new Set();
for (const [language, theme] of LOOKS.slice(0, user === "maker" ? 4 : 2)) {
  await page.evaluate((kept) => localStorage.setItem("theme", kept), theme);
  await page.goto(`${airflow}/settlement/language/${language}?back=/`);
  for (const [width, only] of Object.entries(WIDTHS)) {
    await page.setViewportSize({ width: Number(width), height: 1000 });
    for (const name of only ?? Object.keys(PATHS)) {
      const at = `${name} ${language} ${theme} ${width}`;
      const answer = await page.goto(`${airflow}/settlement${PATHS[name]}`);
      if (answer.status() !== 200) wrong(`${at}: ${answer.status()}`);
      const shown = await page.evaluate(() => ({ ...document.documentElement.dataset, lang: document.documentElement.lang }));
      if (shown.theme !== theme || shown.lang !== language) wrong(`${at}: shown in ${JSON.stringify(shown)}`);
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) wrong(`${at}: wider than the window`);
      if (user === "viewer" && (await page.locator('form[method="post"]').count())) wrong(`${at}: a form for a viewer`);
      for (const link of await page.locator(FILES).all()) files.add(await link.getAttribute("href"));
      await page.evaluate(readFileSync(axe, "utf8"));
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      for (const { id, impact, nodes } of violations)
        if (["serious", "critical"].includes(impact)) wrong(`${at}: ${id} at ${nodes[0].target}`);
      if (folder) await page.screenshot({ path: `${folder}/${name}-${language}-${theme}-${width}.png`, fullPage: true });
    }
  }
}

for (const file of files) {
  const answer = await page.request.get(new URL(file, `${airflow}/settlement/`).href);
  if (answer.status() !== 200 || !(await answer.body()).length) wrong(`${file}: ${answer.status()}`);
}

await page.setViewportSize({ width: 1440, height: 1000 });
await page.goto(`${airflow}/plugin/settlement/settlement/gate`);
const frame = page.frameLocator("iframe");
await frame.locator("a[data-parent]").first().click();
await page.waitForURL("**/required_actions");
await browser.close();
