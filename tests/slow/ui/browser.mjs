// A browser, and people who log in to Airflow with it. What is wrong is printed: one line each.
import { createRequire } from "node:module";

const { chromium } = createRequire(process.cwd() + "/")("playwright-core");

export const wrong = (said) => console.log(said);
export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** Return the page of somebody who has logged in, in a window of their own; what its console calls an error is wrong. */
export async function logIn(airflow, user, password) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 1000 } })).newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(`${airflow}/auth/login`);
  await page.fill('input[name="username"]', user);
  await page.fill('input[name="password"]', password);
  await page.click('button[type="submit"]');
  await page.waitForURL((url) => !url.pathname.includes("/auth/login"));
  return page;
}

/** From now on, what a page's console calls an error is wrong. */
export const listen = (page) =>
  page.on("console", (message) => message.type() === "error" && wrong(`${page.url()}: ${message.text()}`));
