// The page: which organization and month it shows, what it reads, and what it says if it cannot.

import { asked, goTo, withoutToken } from "./address.js";
import { advice } from "./advice.js";
import { about, report, useBearer, useToken } from "./api.js";
import { byId, el } from "./dom.js";
import { addMonths, isMonth, time } from "./format.js";
import { calls, ledger, movements } from "./listings.js";
import { organizationsOf, signIn } from "./sign-in.js";
import { balance, cards, days, notices, ranking } from "./sections.js";
import { whatIf } from "./what-if.js";

const MONTHS = 13;
const page = { organization: "", organizations: [], month: "", shown: "", reading: new AbortController(), listing: null };
let known = {};

function say(text, ...more) {
  byId("problem").replaceChildren(el("div", { class: "notice bad", role: "alert" }, el("p", {}, text), ...more));
}

function tell(text, ...more) {
  byId("problem").replaceChildren(el("div", { class: "notice", role: "status" }, el("p", {}, text, ...more)));
}

function setButtons(disabled) {
  for (const id of ["csv", "pdf", "print"]) byId(id).disabled = disabled;
}

function hide() {
  byId("figures").hidden = true;
  for (const section of byId("figures").querySelectorAll("section")) {
    section.replaceChildren(...section.querySelectorAll(":scope > h2"));
  }
  byId("notices").replaceChildren();
  byId("subject").textContent = "";
  setButtons(true);
  known = {};
  page.shown = "";
}

function failed(error) {
  if (error.name === "AbortError") return;
  if (error.isRefused) {
    page.reading.abort();
    hide();
    byId("content").setAttribute("aria-busy", "false");
    byId("as-of").textContent = "";
    say(`You may not see this organization: ${error.message}`);
    return;
  }
  if (!page.shown) byId("as-of").textContent = "";
  const old = page.shown ? " The figures below are as of the time that is named above." : "";
  const again = el("button", { type: "button", click: load }, "Try again");
  say(`This could not be read; nothing is lost. ${error.message}${old}`, again);
}

async function load() {
  page.reading.abort();
  page.reading = new AbortController();
  const { organization } = page, { signal } = page.reading;
  if (page.shown && page.shown !== `${organization} ${page.month}`) hide();
  byId("content").setAttribute("aria-busy", "true");
  if (!page.shown) byId("as-of").textContent = "Loading …";
  try {
    const overview = await report(organization, "overview", {}, signal);
    if (!page.month) chooseMonths(overview.asOf.at.slice(0, 7));
    begin(overview);
    await readSections({ organization, month: page.month, signal, failed }, overview);
  } catch (error) {
    failed(error);
  }
  if (!signal.aborted) byId("content").setAttribute("aria-busy", "false");
}

// Nothing is shown in the place of what the address asks for.
function cannotShow(organization) {
  page.reading.abort();
  page.organization = "";
  hide();
  byId("content").setAttribute("aria-busy", "false");
  byId("as-of").textContent = "";
  const [first] = byId("organization").options;
  if (first.value) first.before(el("option", { value: "", disabled: true }, "choose one"));
  byId("organization").value = "";
  say(`The address of this page names the organization ${organization}, which is not among those that it can show. Choose one above.`);
}

// The credit is shown at once; each section follows when it has been read.
function begin(overview) {
  const { organization, month } = page;
  known = { ...known, overview };
  byId("problem").replaceChildren();
  byId("notices").replaceChildren(...notices(overview, known.usage));
  cards(known, month);
  byId("as-of").textContent = `As of ${time(overview.asOf.at)} UTC`;
  byId("figures").hidden = false;
  setButtons(false);
  byId("subject").textContent = `${organization}, ${month}`;
  document.title = `${organization} ${month} – perminute`;
  page.shown = `${organization} ${month}`;
}

async function readSections(question, overview) {
  const { organization, month, signal } = question, isNow = overview.asOf.at.startsWith(month);
  const period = { from: `${month}-01`, to: `${addMonths(month, 1)}-01` };
  const by = (groupBy) => report(organization, "usage", { ...period, groupBy }, signal);
  const knows = (answer) => {
    known = { ...known, ...answer };
    cards(known, month);
  };
  page.listing = calls({ ...question, period });
  ledger(question);
  if (!byId("advice").hidden) advice(question);
  if (!byId("what-if").hidden) whatIf(question);
  const forecast = isNow && overview.currency ? report(organization, "forecast", {}, signal) : Promise.resolve(null);
  await Promise.all([
    by("day,legType").then((usage) => {
      knows({ usage });
      byId("notices").replaceChildren(...notices(overview, usage));
      days(usage, month);
      page.listing.offer("day", usage);
    }),
    by("country").then((usage) => {
      ranking("countries", "country", usage, "country");
      page.listing.offer("country", usage);
    }),
    by("organizerId").then((usage) => {
      ranking("organizers", "organizer", usage, "organizerId");
      page.listing.offer("organizerId", usage);
    }),
    Promise.all([forecast, movements(question)]).then(([found, moved]) => {
      knows({ forecast: found });
      balance(known, moved, month);
    }),
  ]);
}

// Those of a year, and an earlier one if the address names it.
function chooseMonths(latest) {
  const names = Array.from({ length: MONTHS }, (_, back) => addMonths(latest, -back));
  byId("month").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  page.month = latest;
  chooseMonth(asked().month);
  byId("month").value = page.month;
}

function chooseMonth(name) {
  const offered = [...byId("month").options].map((option) => option.value), [latest] = offered;
  if (!isMonth(name) || name > latest) return;
  if (!offered.includes(name)) byId("month").append(el("option", { value: name }, name));
  byId("month").value = page.month = name;
}

async function saveStatement() {
  const { organization, month } = page;
  try {
    const { csv } = await report(organization, "statement", { month, format: "csv" });
    const link = el("a", { href: URL.createObjectURL(new Blob([csv], { type: "text/csv" })),
      download: `statement-${organization.replace(/[^\w.-]/g, "_")}-${month}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    failed(error);
  }
}

// A stack makes the file and answers with a link to it, which lasts for some minutes.
async function linkStatement(basis = "") {
  const { organization, month } = page;
  byId("pdf").disabled = true;
  tell(`The statement of ${month} is being made …`);
  try {
    const { location: href, expiresAt } = await report(organization, "statement", { month, basis, format: "pdf" });
    const link = el("a", { href, target: "_blank", rel: "noopener" }, `Open the statement of ${month} (PDF)`);
    tell("", link, `, until ${time(expiresAt)} UTC.`);
    link.focus();
  } catch (error) {
    if (error.status === 400) tell(`There is no PDF: ${error.message}`);
    else failed(error);
  }
  byId("pdf").disabled = byId("figures").hidden;
}

async function choose(name) {
  page.organization = name;
  await load();
}

function chooseOrganizations(names) {
  byId("organization").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  byId("organization").closest("label").hidden = !names.length;
  byId("asked").hidden = names.length > 0;
  page.organizations = names;
}

// Where the address leads, if the page can show that; it may be followed while another is shown.
async function go() {
  const { organization = page.organization || page.organizations[0], month } = asked();
  if (!organization) {
    byId("as-of").textContent = "Enter the id of an organization.";
    return;
  }
  if (page.organizations.length && !page.organizations.includes(organization)) {
    cannotShow(organization);
    return;
  }
  byId("organization").value = byId("asked-organization").value = organization;
  if (page.month) chooseMonth(month);
  if (page.shown !== `${organization} ${page.month}`) await choose(organization);
  if (!byId("figures").hidden) follow();
}

// What the address asks for: a section, the statement as it was told of, or why a call cost what it did.
function follow() {
  const stated = asked();
  const isOther = stated.month && stated.month !== page.month;
  if (isOther) tell(`There is no month ${stated.month} to show: this is ${page.month}.`);
  if ("statement" in stated) {
    if (!isOther) linkStatement("stated");
  } else if (stated.call) page.listing.explain(stated.call, goTo({ calls: "" }));
  else goTo(stated);
}

async function start() {
  hide();
  useToken(asked().token);
  withoutToken();
  byId("month").addEventListener("change", (event) => { page.month = event.target.value; load(); });
  byId("organization").addEventListener("change", (event) => choose(event.target.value));
  byId("asked").addEventListener("submit", (event) => { event.preventDefault(); choose(byId("asked-organization").value); });
  byId("csv").addEventListener("click", saveStatement);
  byId("pdf").addEventListener("click", () => linkStatement());
  byId("print").addEventListener("click", () => window.print());
  window.addEventListener("hashchange", go);
  try {
    const { source, organizations: offered, reports, signIn: provider } = await about();
    const token = provider && await signIn(provider);
    if (token) useBearer(token);
    const organizations = token ? organizationsOf(token, provider.organizationClaim) : offered;
    byId("advice").hidden = !reports.includes("license-advice");
    byId("what-if").hidden = !reports.includes("what-if");
    byId("source").textContent = `Figures of the ${source}.`;
    chooseOrganizations(organizations);
    await go();
  } catch (error) {
    failed(error);
  }
}

start();
