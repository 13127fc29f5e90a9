// Do in one language whatever the pages let a person do, as two people, and print what is wrong: one line each.
// node acts.mjs AIRFLOW LANGUAGE MESSAGE MAKER CHECKER VIEWER, the last three their passwords
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { browser, listen, logIn, wrong } from "./browser.mjs";

const [airflow, language, message, ...passwords] = process.argv.slice(2);
const more = language === "en" ? 1 : 0;
const [maker, checker, viewer] = await Promise.all(
  ["maker", "checker", "viewer"].map((user, place) => logIn(airflow, user, passwords[place])));
for (const page of [maker, checker]) {
  listen(page);
  await open(page, `/language/${language}?back=/`);
}

function open(page, path) {
  return page.goto(`${airflow}/settlement${path}`);
}

/** Fill in a form of the page that is open and send it; return what it says was done, or null where it was refused. */
async function send(page, form, fields = {}, click = "click") {
  const shown = page.locator(`form[action*="/settlement${form}"]`).first();
  for (const [name, value] of Object.entries(fields))
    if (name === "statement") await shown.locator('[name="statement"]').setInputFiles(value);
    else await shown.locator(`[name="${name}"]`).fill(value);
  await Promise.all([page.waitForNavigation(), shown.locator("button")[click]()]);
  if (click === "dblclick") await page.waitForLoadState("networkidle");
  const done = new URL(page.url()).searchParams.get("done");
  if (done && !(await page.locator('[role="status"]').count())) wrong(`${form}: [${done}] is not said`);
  return done;
}

async function act(page, path, form, fields, done) {
  await open(page, path);
  const found = await send(page, form, fields);
  if (found !== done) wrong(`${form}: ${page.url()} says ${await page.locator("main").innerText()}`);
}

/** Return the page of the open break of a cause whose row says this; the bank is asked in the background. */
async function breakOf(cause, said) {
  for (let look = 0; look < 60; look++) {
    await open(maker, `/breaks?cause=${cause}`);
    const row = maker.locator("tr", { hasText: said }).locator('a[href*="/breaks/"]');
    if (await row.count()) return (await row.first().getAttribute("href")).replace("/settlement", "");
    await maker.waitForTimeout(3000);
  }
  throw new Error(`no break ${cause} of ${said}`);
}

const won = (amount) => new RegExp(`(^|[^\\d,])${amount}([^\\d,]|$)`);
const reason = `전화 <b onclick="x">phone</b> ${language}`;

await act(maker, "/bank", "/bank/uploads", { statement: message, reason }, "uploaded");
let asked = null; // while a scheduled run asks the bank, nobody else does
maker.removeAllListeners("console");
for (let look = 0; asked !== "asked" && look < 60; look++) {
  await open(maker, "/payouts");
  asked = await send(maker, "/bank/ask");
  if (!asked) await maker.waitForTimeout(5000);
}
listen(maker);
if (asked !== "asked") wrong("the bank is not asked");
const runs = `${airflow}/api/v2/dags/bank_reconciliation/dagRuns?order_by=-run_after&limit=5`;
const { dag_runs } = await (await maker.request.get(runs)).json();
if (!dag_runs.some((run) => run.triggering_user_name === "maker")) wrong("no run of bank_reconciliation was started");

const target = `receipt:P-${language}`;
const matched = await breakOf("unknown_at_bank", won(900 + more));
await open(maker, matched);
await open(checker, matched);
if ((await send(maker, `${matched}/end/match`, { target, reason })) !== "decided") wrong(`${matched} is not matched`);
checker.removeAllListeners("console"); // a refusal is an error to its console
if (await send(checker, `${matched}/end/match`, { target, reason })) wrong(`${matched} is matched twice`);
if (!(await checker.locator("main .said").innerText()).includes(matched.split("/").at(-1))) wrong(`${matched}: why not is not said`);

const booked = await breakOf("unknown_at_bank", won(700 + more));
await act(maker, booked, `${booked}/end/book`, { target: "bank_interest", reason }, "decided");

const writtenOff = await breakOf("unknown_at_bank", won(600 + more));
await open(checker, writtenOff);
await send(checker, `${writtenOff}/end/write_off`, { reason }, "dblclick");
listen(checker);

const ofTwo = await breakOf("unknown_at_bank", won(`6,00${more}`));
await act(maker, ofTwo, `${ofTwo}/assign`, { owner: "checker", due_on: "2026-03-02" }, "assigned");
await act(checker, ofTwo, `${ofTwo}/comment`, { text: reason }, "commented");
await act(maker, ofTwo, `${ofTwo}/end/book`, { target: "bank_interest", reason }, "decided");
if (await maker.locator(`form[action*="/approve"]`).count()) wrong(`${ofTwo}: the first person could approve it`);
await act(checker, ofTwo, `${ofTwo}/approve`, {}, "approved");

const refused = await breakOf("statement_chain", createHash("sha256").update(readFileSync(message)).digest("hex").slice(0, 16));
await act(maker, refused, `${refused}/end/answer`, { reason }, "decided");
await act(maker, "/payouts", `/refunds/F-${language}/undo`, { reason }, "undone");

await open(maker, "/payouts?state=unknown");
await maker.locator('#rows a[href*="/payouts/"]').first().click();
const file = (await maker.locator('a[href*="/bank/files/"]').first().getAttribute("href")).replace("/settlement", "");
await act(maker, file, `${file}/absent`, { reason }, "absent");
await act(checker, "/gate", "/gate/2026-02-24/override", { reason }, "answered");
await act(checker, "/", "/alerts/resend", {}, "resent");
await open(maker, "/");
const problem = await maker.locator('form[action$="/acknowledge"]').first().getAttribute("action");
await act(maker, "/", problem.replace("/settlement", ""), {}, "acknowledged");

// Whoever may only look, nobody, and whoever forges a form.
const FORMS = [
  `${ofTwo}/assign`, `${ofTwo}/comment`, `${ofTwo}/end/book`, `${ofTwo}/approve`, `${file}/absent`, "/gate/2026-02-24/override",
  "/bank/ask?back=bank", `/refunds/F-${language}/undo`, "/bank/uploads", "/alerts/resend", "/alerts/1/acknowledge",
];
await open(maker, "/bank");
const token = await maker.locator('[name="token"]').first().inputValue();
const fields = { seen: "1", text: "x", owner: "x", reason: "x", target: "x" };
const statement = { name: "s.xml", mimeType: "application/xml", buffer: Buffer.from("x") };
const nobody = (await browser.newContext()).request;
for (const path of FORMS)
  for (const [who, of, carried, expected] of [
    ["a viewer", viewer.request, token, 403], ["nobody", nobody, token, 401], ["a forged form", maker.request, "forged", 403],
  ]) {
    const multipart = path === "/bank/uploads" ? { ...fields, token: carried, statement } : { ...fields, token: carried };
    const sent = path === "/bank/uploads" ? { multipart } : { form: multipart };
    const answer = await of.post(`${airflow}/settlement${path}`, { ...sent, maxRedirects: 0 });
    if (answer.status() !== expected) wrong(`${path}: ${who} gets ${answer.status()}`);
  }
await browser.close();
