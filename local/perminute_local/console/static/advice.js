// Which licenses would cost less. A subscription's price is asked for: nobody else knows it.

import { report } from "./api.js";
import { byId, el, show, table } from "./dom.js";
import { amount, grouped, money, plural } from "./format.js";

const HOLDINGS = { payPerMinute: "pay-per-minute", subscription: "subscription", bundle: "part of a suite",
  both: "both licenses", none: "no license" };
const REMARKS = {
  removePayPerMinute: "holds both licenses: pay-per-minute may go",
  subscriptionTwice: "has the subscription in a suite and alone: the latter may go",
  needsCreditsLicense: "needs the communications credits license beside the subscription",
  idle: "subscribes, and had no call in these months",
  noLicense: "has calls without a license; they count at the price of the rate card",
  unratedCalls: "calls have no price, and count nothing",
  atRenewal: "would cost less with pay-per-minute, once the subscription is up for renewal",
  payPerMinuteNotAvailable: "cannot have pay-per-minute",
  spareLicenses: "subscriptions that nobody has",
  moreMinutes: "One more subscription, for nobody, would pay for itself by its minutes",
};

let stated = "";

// What was asked and answered stays when the page is read again.
export function advice({ organization, signal, failed }) {
  const section = byId("advice");
  const price = el("input", { id: "price", inputmode: "decimal", size: "6", required: true, autocomplete: "off",
    pattern: "[0-9]+(\\.[0-9]{1,6})?", title: "such as 4 or 3.50", value: stated });
  const answer = section.querySelector("[role=status]") ?? el("div", { role: "status" });
  const ask = async (event) => {
    event.preventDefault();
    stated = price.value;
    answer.replaceChildren(el("p", { class: "quiet" }, "Calls of three months are being compared …"));
    try {
      answer.replaceChildren(...said(await report(organization, "license-advice", { price: price.value, months: "3" }, signal)));
    } catch (error) {
      answer.replaceChildren(...error.status === 400 ? [el("p", { class: "bad" }, error.message)] : []);
      if (error.status !== 400) failed(error);
    }
  };
  show(section, el("p", { class: "quiet" }, "Compares what calls of the last three complete months would have cost with other licenses, with all minutes of the pool."),
    el("form", { class: "filters", submit: ask }, el("label", {}, "Price of a subscription, per user and month ", price),
      el("button", { type: "submit" }, "Compare")), answer);
}

function said({ status, currency, months, current, best, saving, recommendations, subscribers, pool, confidence, remarks }) {
  if (status !== "ok") return [el("p", {}, "No complete month has calls yet: there is nothing to compare.")];
  const each = (text) => money(text, currency);
  const summary = recommendations.length
    ? `${plural(recommendations.length, "change")} would save ${each(saving)} a month: ${each(best)} instead of ${each(current)} (${confidence} confidence, by ${months.join(", ")}).`
    : `Nothing to change: the licenses cost ${each(current)} a month, and no others cost less.`;
  const changes = table("Recommended changes", [["User"], ["From"], ["To"], ["Saves a month", "number"], ["Months that agree", "number"]],
    recommendations.map((one) => [one.user, HOLDINGS[one.from] ?? one.from, HOLDINGS[one.to] ?? one.to, amount(one.saves), grouped(one.monthsAgreeing)]));
  const minutes = table("Pool of minutes with these licenses", [["Month"], ["Minutes", "number"], ["Wanted", "number"]],
    pool.map((one) => [one.month, grouped(one.minutes), grouped(one.wanted)]));
  return [el("p", { class: "answer" }, summary), recommendations.length ? changes : null,
    el("details", {}, el("summary", {}, `${plural(subscribers.length, "subscriber")}, and their pool`),
      el("p", {}, subscribers.join(", ") || "Nobody."), pool.length ? minutes : null),
    remarks.length ? el("ul", {}, ...remarks.map((one) => el("li", {}, words(one)))) : null].filter(Boolean);
}

function words({ remark, user, number, saves, renewal }) {
  const parts = [user, number, REMARKS[remark] ?? remark, renewal && `on ${renewal.slice(0, 10)}`, saves && `(${amount(saves)} a month)`];
  return parts.filter((part) => part !== null && part !== undefined).join(" ");
}
