// The page: which organization and month it shows, what it reads, and what it says if it cannot.

import { about, report } from "./api.js";
import { byId, el } from "./dom.js";
import { addMonths, time } from "./format.js";
import { calls, ledger } from "./listings.js";
import { balance, cards, days, notices, ranking } from "./sections.js";

const MONTHS = 13, LONGEST_PAGE = "200", MOST_PAGES = 25;
let organization = "", month = "", shown = "", reading = new AbortController();

function say(kind, text, ...more) {
  byId("notices").replaceChildren(el("div", { class: `notice ${kind}`, role: "alert" }, el("p", {}, text), ...more));
}

function hide() {
  byId("figures").hidden = true;
  for (const section of byId("figures").querySelectorAll("section")) {
    section.replaceChildren(...section.querySelectorAll(":scope > h2"));
  }
  byId("csv").disabled = byId("print").disabled = true;
  shown = "";
}

function failed(error) {
  if (error.name === "AbortError") return;
  byId("content").setAttribute("aria-busy", "false");
  if (error.isRefused) {
    hide();
    byId("as-of").textContent = "";
    say("bad", `You may not see this organization: ${error.message}`);
    return;
  }
  if (!shown) byId("as-of").textContent = "";
  const old = shown ? " The figures below are as of the time that is named above." : "";
  const again = el("button", { type: "button", click: load }, "Try again");
  say("bad", `This could not be read; nothing is lost. ${error.message}${old}`, again);
}

async function allEntries(signal) {
  const entries = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await report(organization, "ledger", { month, limit: LONGEST_PAGE, cursor }, signal);
    entries.push(...answer.entries);
    cursor = answer.next;
    if (cursor === null) break;
  }
  return entries;
}

async function load() {
  reading.abort();
  reading = new AbortController();
  const { signal } = reading, wanted = `${organization} ${month}`;
  if (shown && shown !== wanted) hide();
  byId("content").setAttribute("aria-busy", "true");
  if (!shown) byId("as-of").textContent = "Loading …";
  try {
    const overview = await report(organization, "overview", {}, signal);
    if (!month) chooseMonths(overview.asOf.at.slice(0, 7));
    const period = { from: `${month}-01`, to: `${addMonths(month, 1)}-01` };
    const by = (groupBy) => report(organization, "usage", { ...period, groupBy }, signal);
    const isNow = overview.asOf.at.startsWith(month);
    const [usage, countries, organizers, forecast, entries] = await Promise.all([
      by("day,legType"), by("country"), by("organizerId"),
      isNow && overview.currency ? report(organization, "forecast", {}, signal) : null, allEntries(signal)]);
    byId("notices").replaceChildren(...notices(overview, usage));
    cards(overview, usage, forecast, month);
    balance(overview, entries, forecast, month);
    days(usage, month);
    ranking("countries", "country", countries, "country");
    ranking("organizers", "organizer", organizers, "organizerId");
    const keys = (answer, key) => [...new Set(answer.rows.map((row) => row[key]).filter(Boolean))];
    calls(organization, period, keys(usage, "day"), keys(organizers, "organizerId"), keys(countries, "country"), signal, failed);
    ledger(organization, month, signal, failed);
    byId("as-of").textContent = `As of ${time(overview.asOf.at)} UTC`;
    byId("figures").hidden = false;
    byId("csv").disabled = byId("print").disabled = false;
    byId("content").setAttribute("aria-busy", "false");
    document.title = `${organization} ${month} – perminute`;
    shown = `${organization} ${month}`;
  } catch (error) {
    failed(error);
  }
}

function chooseMonths(latest) {
  const names = Array.from({ length: MONTHS }, (_, back) => addMonths(latest, -back));
  byId("month").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  month = latest;
}

async function saveStatement() {
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

function choose(name) {
  organization = name;
  load();
}

async function start() {
  hide();
  byId("month").addEventListener("change", (event) => { month = event.target.value; load(); });
  byId("organization").addEventListener("change", (event) => choose(event.target.value));
  byId("asked").addEventListener("submit", (event) => { event.preventDefault(); choose(byId("asked-organization").value); });
  byId("csv").addEventListener("click", saveStatement);
  byId("print").addEventListener("click", () => window.print());
  try {
    const { source, organizations } = await about();
    byId("source").textContent = `Figures of the ${source}.`;
    byId("organization").replaceChildren(...organizations.map((name) => el("option", { value: name }, name)));
    byId("organization").closest("label").hidden = !organizations.length;
    byId("asked").hidden = organizations.length > 0;
    if (organizations.length) choose(organizations[0]);
    else byId("as-of").textContent = "Name an organization.";
  } catch (error) {
    failed(error);
  }
}

start();
