// Takes the pictures that a person looks at: the grid and the trigger form of daily_settlement, and what Slack shows.
// node look.mjs AIRFLOW_URL USER PASSWORD SLACK_URL FOLDER; needs playwright-core and a chromium (CHROMIUM names it).
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { chromium } = require("playwright-core");
const [airflow, user, password, slack, folder] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: "en-US" });
const page = await context.newPage();
page.setDefaultTimeout(120_000);

async function picture(name, ready) {
  await ready();
  await page.waitForTimeout(1500);
  await page.screenshot({ path: `${folder}/${name}.png` });
  console.log(name);
}

await page.goto(`${airflow}/auth/login`);
await page.locator("input[name=username]").fill(user);
await page.locator("input[name=password]").fill(password);
await page.locator("button[type=submit]").click();
await page.waitForURL((url) => !url.pathname.startsWith("/auth"));

await picture("dags", async () => {
  await page.goto(`${airflow}/dags`);
  await page.getByText("daily_settlement").first().waitFor();
});
await picture("grid", async () => {
  await page.goto(`${airflow}/dags/daily_settlement`);
  await page.getByText("transfer").first().waitFor();
});
await picture("trigger", async () => {
  await page.getByRole("button", { name: /trigger/i }).first().click();
  await page.getByText("Settlement date").first().waitFor();
});
await picture("slack", async () => {
  await page.goto(slack);
  await page.getByText("C0SETTLE").first().waitFor();
});
await browser.close();
