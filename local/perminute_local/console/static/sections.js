// What each section shows of the answers.

import { balanceChart, daysChart, rankingChart } from "./charts.js";
import { byId, el, show, table } from "./dom.js";
import { LEG_TYPES, amount, decimal, grouped, micros, minutes, money, plural, rounded, time } from "./format.js";

const TOP = 10;
const STOPPED_BY = { monthlyLimit: "its monthly limit is reached", dailyLimit: "its limit of requests a day is reached",
  threeFailures: "it failed three times; update the payment method" };

function sum(text, currency) {
  return el("span", {}, amount(text), currency ? el("small", {}, ` ${currency}`) : null);
}

function card(title, figure, kind, ...lines) {
  return el("div", { class: "card" }, el("h2", {}, title),
    el("p", { class: `figure ${kind}` }, figure),
    ...lines.filter(Boolean).map((line) => typeof line === "string" ? el("p", {}, line) : line));
}

export function isSetUp(overview) {
  return overview.currency !== null;
}

// What is not read yet is missing; it is never a zero.
export function cards({ overview, usage, forecast }, month) {
  const { currency } = overview, isNow = overview.pool.month === month, shown = [];
  if (isSetUp(overview)) {
    const debt = micros(overview.debt) > 0n, isGone = micros(overview.available) <= 0n;
    shown.push(card("Available credit", sum(overview.available, currency), debt || isGone ? "bad" : "",
      `balance ${amount(overview.balance)}, reserved ${amount(overview.reserved)}`,
      debt ? `debt ${amount(overview.debt)}, which the next purchase pays` : null));
    if (isNow) shown.push(forecast ? runsOut(forecast) : waiting("Runs out"));
    const next = [...overview.lots].sort((one, other) => one.expiresAt < other.expiresAt ? -1 : 1)[0];
    if (next) shown.push(card("Expires next", sum(next.remaining, currency), "",
      `${next.purchaseId}, on ${next.expiresAt.slice(0, 10)}`));
  }
  if (!usage) shown.push(waiting(`Cost of ${month}`));
  else if (usage.currency || usage.total.calls) shown.push(...costs(usage, isNow ? forecast : null, month));
  if (isNow && overview.pool.minutes) shown.push(pool(overview.pool));
  byId("cards").replaceChildren(...shown);
}

const waiting = (title) => card(title, "…", "quiet", "is being read");

function costs({ total, currency }, forecast, month) {
  const band = forecast?.status === "ok" ? forecast.month : null;
  const shown = [card(`Cost of ${month}`, sum(total.charge, currency), "", plural(total.calls, "call"),
    band && `likely ${rounded(band.low)} to ${rounded(band.high)} in all (${forecast.confidence} confidence)`)];
  if (total.billedSeconds) {
    const each = micros(total.charge) * 60n / BigInt(total.billedSeconds);
    shown.push(card("Cost per minute", sum(decimal(each), currency), "", `of all ${minutes(total.billedSeconds)} min:s, also of calls that cost nothing`));
  }
  return shown;
}

function pool({ month, minutes: all, used, reserved }) {
  const left = all - used - reserved;
  return card("Minute pool", el("span", {}, `${grouped(used)} of ${grouped(all)}`, el("small", {}, " min")), left > 0 ? "" : "warn",
    `${month}: ${left > 0 ? `${grouped(left)} left` : "used up, so dial-outs are charged"}`,
    el("progress", { max: all, value: used, "aria-label": "minutes used" }));
}

function runsOut({ status, runsOut: days, recharges, unansweredRecharge, basis }) {
  if (status !== "ok") {
    return card("Runs out", "not known yet", "",
      `A forecast needs 7 complete days, 3 of them with cost; there are ${basis.days} so far, ${basis.activeDays} with cost.`);
  }
  const paid = unansweredRecharge ? "without a recharge: the last one is not answered"
    : recharges.high ? "if each recharge is paid" : null;
  if (!days.expected && !days.earliest) return card("Runs out", "not within 90 days", "", "at the present pace", paid);
  return card("Runs out", days.expected ? `about ${days.expected}` : "after 90 days", "warn",
    `between ${days.earliest ?? "then"} and ${days.latest ?? "90 days from now"}, in 8 cases of 10`, paid);
}

export function notices(overview, usage) {
  const found = [];
  const notice = (kind, ...lines) => found.push(
    el("div", { class: `notice ${kind}` }, ...lines.map((line) => el("p", {}, line))));
  if (!isSetUp(overview)) {
    notice("", "Credit is not set up for this organization.",
      "Set it up by an event Credits Configured, or by perminute credit configure. Until then pay-per-minute calls are not entitled.");
  } else if (micros(overview.available) <= 0n) {
    notice("bad", "No credit is left. If your bridge asks perminute before each call, nobody can join meetings of pay-per-minute organizers by phone, or be called from them. If it does not ask, calls continue and the debt grows.",
      "Buy credit in your billing system, or by perminute credit buy. Debt is paid first.");
  }
  if (overview.autoRecharge?.stoppedBy) {
    const { stoppedBy } = overview.autoRecharge;
    notice("bad", `Auto-recharge requests nothing at present: ${STOPPED_BY[stoppedBy] ?? stoppedBy}.`);
  }
  for (const request of overview.autoRecharge?.waiting ?? []) {
    notice("", `A recharge of ${money(request.amount, overview.currency)} is requested since ${time(request.requestedAt)} and not answered yet.`);
  }
  const { reratings, unsettledFrom } = overview.pending, open = usage?.mayChange ?? [];
  if (reratings || unsettledFrom || open.length) {
    notice("", ["What may still change:",
      reratings ? `${plural(reratings, "change")} of licenses, by which calls are rated again;` : "",
      unsettledFrom ? `pool minutes of calls since ${time(unsettledFrom)};` : "",
      open.length ? `the figures of ${open.join(", ")}.` : ""].filter(Boolean).join(" "));
  }
  return found;
}

// `moved`: entries in the order in which they were booked, or the last of each day only.
export function balance({ overview, forecast }, moved, month) {
  const { currency, asOf } = overview, isNow = asOf.at.startsWith(month), section = byId("balance");
  section.hidden = !isSetUp(overview);
  if (section.hidden) return;
  const points = balances(moved, overview, isNow ? month : null), recharge = overview.autoRecharge;
  const lots = table("Lots of credit, in the order in which they pay", [["Lot"], ["Expires (UTC)"], ["Left", "number"]],
    overview.lots.map((lot) => [lot.purchaseId, time(lot.expiresAt), money(lot.remaining, currency)]));
  const words = [`${money(overview.balance, currency)} now.`,
    recharge && `When it falls below ${amount(recharge.triggerAmount)}, a recharge of ${amount(recharge.rechargeAmount)} is requested.`,
    isNow && forecast?.status === "ok" && "In 8 cases of 10 the balance stays in the shaded band.",
    !moved.isWhole && "There are many entries: the line has the balance at the end of each day."];
  show(section, el("p", { class: "quiet" }, words.filter(Boolean).join(" ")),
    ...points.length ? balanceChart({ month, points, forecast, overview, isNow }) : [el("p", {}, `Nothing moved the balance in ${month}.`)],
    overview.lots.length ? el("details", {}, el("summary", {}, "Lots of credit"), lots) : null);
}

function balances({ entries, isWhole }, overview, currentMonth) {
  if (!entries.length) return currentMonth ? [[`${currentMonth}-01T00:00:00Z`, overview.balance]] : [];
  const points = [], [first] = entries;
  if (isWhole) points.push([`${first.at.slice(0, 7)}-01T00:00:00Z`, decimal(micros(first.balanceAfter) - micros(first.amount))]);
  // What came late belongs to an earlier time: the line goes on to the right all the same.
  let latest = first.at;
  for (const entry of entries) {
    latest = entry.at > latest ? entry.at : latest;
    points.push([latest, entry.balanceAfter]);
  }
  return points;
}

export function days(usage, month) {
  const { rows, total, currency } = usage, section = byId("days");
  if (!total.calls) {
    const isNow = usage.asOf.at.startsWith(month);
    show(section, el("p", {}, `No calls in ${month}${isNow ? " yet" : ""}.`));
    return;
  }
  const written = table(`Cost by day and type of call, ${month}`,
    [["Day"], ["Type"], ["Calls", "number"], ["Billed min:s", "number"], ["Charged", "number"], ["Retail", "number"]],
    rows.map((row) => [row.day, LEG_TYPES[row.legType] ?? row.legType, grouped(row.calls),
      minutes(row.billedSeconds), money(row.charge, currency), money(row.retailCost, currency)]));
  show(section, el("p", { class: "quiet" }, `${plural(total.calls, "call")} cost ${money(total.charge, currency)}; by the rate card ${money(total.retailCost, currency)}.`),
    ...daysChart({ month, rows, currency }, written));
}

export function ranking(id, name, usage, key) {
  const section = byId(id), { currency } = usage;
  section.hidden = !usage.rows.length;
  if (section.hidden) return;
  const sorted = usage.rows.map((row) => ({ name: row[key] ?? "not known", calls: row.calls, charge: micros(row.charge) }))
    .sort((one, other) => one.charge === other.charge ? 0 : one.charge < other.charge ? 1 : -1);
  const shown = sorted.slice(0, TOP), rest = sorted.slice(TOP);
  if (rest.length) shown.push({
    name: `${rest.length} more`, calls: rest.reduce((sum, one) => sum + one.calls, 0),
    charge: rest.reduce((sum, one) => sum + one.charge, 0n),
  });
  const label = `Cost by ${name}, the highest first`;
  const written = table(label, [[name[0].toUpperCase() + name.slice(1)], ["Calls", "number"], ["Charged", "number"]],
    shown.map((one) => [one.name, grouped(one.calls), money(decimal(one.charge), currency)]));
  show(section, ...rankingChart({ label, rows: shown, currency }, written));
}
