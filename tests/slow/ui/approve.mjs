// From the pages to Airflow's own required action, and approve there: node approve.mjs AIRFLOW USER PASSWORD
import { browser, logIn, wrong } from "./browser.mjs";

const [airflow, user, password] = process.argv.slice(2);
const page = await logIn(airflow, user, password);
await page.goto(`${airflow}/plugin/settlement/settlement/gate`);
await page.frameLocator("iframe").locator("a[data-parent]").first().click();
await page.waitForURL("**/required_actions");
const [answer] = await Promise.all([
  page.waitForResponse((response) => response.url().includes("hitlDetails") && response.request().method() === "PATCH"),
  page.getByRole("button", { name: "Approve", exact: true }).click(),
]);
if (answer.status() !== 200) wrong(`the approval gets ${answer.status()}`);
await browser.close();
