// What the calls of the month would have cost with another pool, or with other licenses.

import { report } from "./api.js";
import { byId, el, show, table } from "./dom.js";
import { amount, grouped, money, plural } from "./format.js";

const stated = { pool: "", licenses: "" };

// What was asked and answered stays when the page is read again.
export function whatIf({ organization, month, signal, failed }) {
  const section = byId("what-if"), answer = section.querySelector("[role=status]") ?? el("div", { role: "status" });
  const pool = el("input", { inputmode: "numeric", size: "7", pattern: "[0-9]{1,9}", autocomplete: "off", title: "whole minutes", value: stated.pool });
  const licenses = el("input", { size: "36", autocomplete: "off", placeholder: "subscription:adele, none:grady", value: stated.licenses });
  const ask = async (event) => {
    event.preventDefault();
    Object.assign(stated, { pool: pool.value.trim(), licenses: licenses.value.trim() });
    if (!stated.pool && !stated.licenses) {
      answer.replaceChildren(el("p", {}, "State another pool, or other licenses."));
      return;
    }
    answer.replaceChildren(el("p", { class: "quiet" }, `The calls of ${month} are being rated again …`));
    try {
      const parameters = { month, pool: stated.pool, licenses: stated.licenses.split(/\s*,\s*/).filter(Boolean).join(",") };
      answer.replaceChildren(...said(await report(organization, "what-if", parameters, signal)));
    } catch (error) {
      answer.replaceChildren(...error.status === 400 ? [el("p", { class: "bad" }, error.message)] : []);
      if (error.status !== 400) failed(error);
    }
  };
  show(section, el("p", { class: "quiet" }, `Rates the calls of ${month} again, by the code that charges. Nothing is changed. Another rate card: perminute what-if --rates.`),
    el("form", { class: "filters", submit: ask }, el("label", {}, "Pool of minutes ", pool), el("label", {}, "Licenses of users ", licenses),
      el("button", { type: "submit" }, "Compute")), answer);
}

function said({ month, currency, calls, changedCalls, recorded, whatIf: other, difference, pool, byOrganizer, byCountry, usersWithoutCalls, unknownUsers }) {
  const isLess = difference.startsWith("-"), size = difference.replace("-", "");
  const summary = difference === "0" ? `The calls of ${month} would cost the same, ${money(recorded.charge, currency)}.`
    : `The calls of ${month} would cost ${money(size, currency)} ${isLess ? "less" : "more"}: ${money(other.charge, currency)} instead of ${money(recorded.charge, currency)}.`;
  const changed = `${grouped(changedCalls)} of ${plural(calls, "call")} would differ; the pool would give ${grouped(pool.whatIf.used)} of ${grouped(pool.whatIf.minutes)} minutes instead of ${grouped(pool.recorded.used)} of ${grouped(pool.recorded.minutes)}.`;
  const lacking = other.notEntitled === recorded.notEntitled ? null
    : el("p", {}, `${plural(other.notEntitled, "call")} would not be entitled, instead of ${grouped(recorded.notEntitled)}.`);
  const remarks = [["No call that counts in this month, so their licenses change at most the pool", usersWithoutCalls],
    ["Nothing is recorded of these users, check their ids", unknownUsers]]
    .filter(([, users]) => users.length).map(([words, users]) => el("p", {}, `${words}: ${users.join(", ")}.`));
  const rows = (name, found) => table(`Difference by ${name}`, [[name[0].toUpperCase() + name.slice(1)], ["Calls", "number"], ["Recorded", "number"], ["What if", "number"], ["Difference", "number"]],
    found.filter((row) => row.difference !== "0").map((row) => [row.organizerId ?? row.country ?? "not known", grouped(row.calls), amount(row.recorded), amount(row.whatIf), amount(row.difference)]));
  return [el("p", { class: "answer" }, summary), el("p", {}, changed), lacking, ...remarks,
    ...difference === "0" && !byOrganizer.some((row) => row.difference !== "0") ? []
      : [el("div", { class: "pair" }, rows("organizer", byOrganizer), rows("country", byCountry))]].filter(Boolean);
}
