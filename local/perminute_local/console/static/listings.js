// Listings that are read page by page: calls with their explanation, and the ledger.

import { report } from "./api.js";
import { byId, el, rowOf, show, table } from "./dom.js";
import { LEG_TYPES, addDays, grouped, inWords, minutes, money, time } from "./format.js";

const CALLS = [["Ended (UTC)"], ["Organizer"], ["Type"], ["Number"], ["Country"], ["Billed min:s", "number"], ["Charge", "number"], ["Outcome"]];
const LEDGER = [["Entry"], ["At (UTC)"], ["Type"], ["What"], ["Calls", "number"], ["Amount", "number"], ["Balance", "number"]];
const PAGE = "25", LONGEST_PAGE = "200", MOST_PAGES = 5;
const OUTCOMES = ["charged", "pooled", "included", "notEntitled", "unrated"];

// Pages of one listing: each cursor leads to the next page, and those read lead back.
function pager(read, failed) {
  const cursors = [null];
  const before = el("button", { type: "button", click: () => { cursors.splice(-2); go(); } }, "Earlier page");
  const after = el("button", { type: "button", click: () => go() }, "Next page");
  const words = el("span", { role: "status" });
  async function go() {
    before.disabled = after.disabled = true;
    try {
      const next = await read(cursors.at(-1));
      words.textContent = `page ${cursors.length}`;
      cursors.push(next);
      before.disabled = cursors.length < 3;
      after.disabled = next === null;
      element.hidden = before.disabled && after.disabled; // one page is no choice
    } catch (error) {
      before.disabled = cursors.length < 2;
      after.disabled = false;
      failed(error);
    }
  }
  const element = el("div", { class: "pages", hidden: true }, before, words, after);
  return { go, element };
}

// Returns what offers further choices of a filter, and what explains a call by its id.
export function calls({ organization, period, signal, failed }) {
  const section = byId("calls"), list = el("div"), aside = el("div", { class: "explanation", hidden: true, tabindex: "-1" });
  const beside = el("div", { class: "beside" }, list, aside);
  const choice = (name, values = [], words = (value) => value) => el("label", {}, `${name} `,
    el("select", { change: begin }, el("option", { value: "" }, "all"),
      ...values.map((value) => el("option", { value }, words(value)))));
  const filters = {
    day: choice("Day"), outcome: choice("Outcome", OUTCOMES, inWords), organizerId: choice("Organizer"),
    legType: choice("Type", Object.keys(LEG_TYPES), (value) => LEG_TYPES[value]), country: choice("Country"),
  };
  const holder = el("div");
  let asked = null; // the call whose explanation is waited for
  show(section, el("div", { class: "filters" }, ...Object.values(filters)), beside, holder);
  begin();
  return { offer, explain };

  function offer(key, usage) {
    const values = [...new Set(usage.rows.map((row) => row[key]).filter(Boolean))];
    filters[key].querySelector("select").append(...values.map((value) => el("option", { value }, value)));
  }

  function chosen() {
    const { day, ...stated } = Object.fromEntries(
      Object.entries(filters).map(([name, label]) => [name, label.querySelector("select").value]));
    if (!day) return { ...period, ...stated };
    const to = new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);
    return { from: day, to, ...stated };
  }

  function begin() {
    close();
    const parameters = chosen();
    const pages = pager(async (cursor) => {
      const answer = await report(organization, "calls", { ...parameters, limit: PAGE, cursor }, signal);
      if (holder.firstChild === pages.element) write(answer.calls);
      return answer.next;
    }, failed);
    holder.replaceChildren(pages.element);
    pages.go();
  }

  function write(found) {
    // A source may have masked some; without the role all are.
    const isMasked = found.length > 0 && found.every((call) => call.number?.includes("*") ?? true);
    list.replaceChildren(
      found.length ? table("Calls, the last first", CALLS, found.map(row)) : el("p", {}, "No calls."),
      isMasked ? el("p", { class: "quiet" }, "Ends of phone numbers are masked: you do not have the role numbers, or they are kept for some days only.") : "");
  }

  function row(call) {
    const open = el("button", { class: "link", type: "button", "aria-label": `Explain call ${call.callId}, ended ${time(call.endedAt)}`,
      click: () => { mark(open); explain(call.callId, open); } }, time(call.endedAt));
    const result = el("span", {}, inWords(call.outcome), call.reason ? ` (${inWords(call.reason)})` : "",
      ...call.flags.map((flag) => el("span", { class: "tag" }, inWords(flag))));
    return rowOf(CALLS, [open, call.organizerId, LEG_TYPES[call.legType] ?? call.legType, call.number ?? "–",
      call.country ?? "–", minutes(call.billedSeconds), money(call.charge, call.currency), result]);
  }

  function close() {
    asked = null;
    aside.hidden = true;
    beside.classList.remove("open");
    for (const one of list.querySelectorAll(".chosen")) one.classList.remove("chosen");
  }

  function mark(button) {
    close();
    button.closest("tr").classList.add("chosen");
  }

  // When it is closed, the focus goes back to where it came from.
  async function explain(callId, from) {
    asked = from;
    const write = (...parts) => {
      if (asked !== from) return; // another call was chosen meanwhile
      const shut = () => { close(); from.focus(); };
      aside.replaceChildren(el("h3", {}, `Call ${callId}`), ...parts, el("button", { type: "button", click: shut }, "Close"));
      aside.hidden = false;
      beside.classList.add("open");
      aside.focus();
    };
    try {
      const found = await report(organization, "explanation", { callId }, signal);
      write(el("ol", {}, ...found.sentences.map((sentence) => el("li", {}, sentence))),
        found.agrees ? "" : el("p", { class: "bad" }, "Rating it again differs from its record."),
        el("details", {}, el("summary", {}, "As JSON"), el("pre", { tabindex: "0" }, JSON.stringify(found, null, 2))));
    } catch (error) {
      if (error.status === 404) write(el("p", {}, "There is no record of this call. It may not have ended yet, or its id may be mistyped."));
      else failed(error);
    }
  }
}

export function ledger({ organization, month, signal, failed }) {
  const section = byId("ledger"), list = el("div");
  const pages = pager(async (cursor) => {
    const { entries, currency, next } = await report(organization, "ledger", { month, limit: PAGE, cursor }, signal);
    const rows = entries.map((entry) => [entry.entryId.replace(/^0+(?=.)/, ""), time(entry.at), entry.type, entry.description,
      entry.calls.length ? grouped(entry.calls.length) : "–", money(entry.amount, currency), money(entry.balanceAfter, currency)]);
    list.replaceChildren(rows.length ? table("Entries that moved the balance, the last first", LEDGER, rows)
      : el("p", {}, `Nothing moved the balance in ${month}.`));
    return next;
  }, failed);
  show(section, list, pages.element);
  pages.go();
}

// What the chart of the balance is drawn from: all entries in the order in which they were booked,
// or, if there are more than a thousand, the last of each day.
export async function movements({ organization, month, signal }) {
  const entries = [];
  let cursor = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await report(organization, "ledger", { month, limit: LONGEST_PAGE, cursor }, signal);
    entries.push(...answer.entries);
    cursor = answer.next;
    if (cursor === null) return { entries: asBooked(entries), isWhole: true };
  }
  const days = [];
  for (let day = `${month}-01`; day.startsWith(month); day = addDays(day, 1)) days.push(day);
  const answers = await Promise.all(days.map((day) =>
    report(organization, "ledger", { from: day, to: addDays(day, 1), limit: "1" }, signal)));
  return { entries: asBooked(answers.flatMap((answer) => answer.entries)), isWhole: false };
}

const asBooked = (entries) => entries.sort((one, other) => one.entryId < other.entryId ? -1 : 1);
