// Charts by Vega-Lite. A chart is a picture with a label; its table is what a screen reader reads.
// Amounts are numbers in a chart only, where they say the place of a mark; its texts are exact.

import { file } from "./api.js";
import { el, table } from "./dom.js";
import { addDays, addMonths, dayName, decimal, micros, money, rounded } from "./format.js";

const DAY = 86_400_000, FORECAST_DAYS = 35, BAR = 24;

// Colors are variables of the style sheet, which has others in the dark and on paper; types of
// calls have those of the specification, which are the same everywhere.
const CONFIG = {
  background: "transparent", padding: { left: 2, right: 4, top: 6, bottom: 2 },
  font: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
  view: { stroke: null },
  axis: { labelColor: "var(--quiet)", titleColor: "var(--quiet)", gridColor: "var(--line)", domainColor: "var(--quiet)",
    tickColor: "var(--quiet)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelPadding: 6 },
  axisY: { domain: false, ticks: false },
  legend: { labelColor: "var(--quiet)", labelFontSize: 12, padding: 0, offset: 12 },
  bar: { color: "var(--accent)" }, line: { color: "var(--accent)" }, area: { color: "var(--accent)" },
  text: { fontSize: 12 },
};
// Neither writes styles into the page, which its policy forbids; nor is an expression compiled.
const OPTIONS = { mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
  tooltip: { disableDefaultStyle: true, theme: "page" }, config: CONFIG };

const specifications = {};
const library = new Promise((resolve, reject) => {
  const src = document.querySelector("meta[name=charts]")?.content;
  if (!src) reject(new Error("the library of charts is not installed"));
  else document.head.append(el("script", { src, load: () => resolve(window.vegaEmbed),
    error: () => reject(new Error("the library of charts could not be loaded")) }));
});
library.catch(() => {});

async function draw(element, name, complete) {
  specifications[name] ??= file(`/${name}.json`);
  try {
    const [embed, text] = await Promise.all([library, specifications[name]]);
    const specification = JSON.parse(text);
    complete(specification);
    if (element.isConnected) await embed(element, specification, OPTIONS);
  } catch (error) {
    delete specifications[name];
    element.parentElement?.replaceWith(el("p", { class: "quiet" }, `There is no chart: ${error.message}.`));
    throw error;
  }
}

// The chart, and its table below. Without the library there is the table alone.
function chart(label, name, complete, written) {
  const drawn = el("div", { "aria-hidden": "true" }), element = el("div", { class: "chart", role: "img", "aria-label": label }, drawn);
  const details = el("details", {}, el("summary", {}, "As a table"), written);
  draw(drawn, name, complete).catch(() => { details.open = true; });
  return [element, details];
}

export function balanceChart({ month, points, forecast, overview, isNow }) {
  const { currency, asOf } = overview, trigger = overview.autoRecharge?.triggerAmount;
  const now = Date.parse(asOf.at), first = Date.parse(`${month}-01`);
  const path = isNow && forecast?.status === "ok" ? forecast.path.slice(0, FORECAST_DAYS) : [];
  const end = Math.max(Date.parse(`${addMonths(month, 1)}-01`), path.length ? Date.parse(path.at(-1).day) + DAY : 0);
  const known = points.map(([at, balance]) => ({ at: Date.parse(at), balance: Number(balance) }));
  const until = Math.min(end, isNow ? Math.max(now, known.at(-1).at) : Infinity);
  const last = points.at(-1)[1], floor = micros(last) < 0n ? micros(last) : 0n;
  // A forecast goes on below zero as if no call were refused there.
  const clamped = (text) => decimal(micros(text) < floor ? floor : micros(text));
  const estimate = (text) => `${rounded(text)}\u00a0${currency}`;
  const bands = path.map(({ day, low, expected, high }) => ({ day, low: clamped(low), expected: clamped(expected), high: clamped(high) }));
  const data = {
    period: [{ at: first }, { at: end }],
    balance: [...known, { at: until, balance: Number(last) }],
    path: bands.length ? [{ at: until, low: Number(last), expected: Number(last), high: Number(last) },
      ...bands.map((one) => ({ at: Date.parse(one.day) + DAY, low: Number(one.low), expected: Number(one.expected), high: Number(one.high) }))] : [],
    trigger: trigger ? [{ amount: Number(trigger), name: `recharge below ${money(trigger, currency)}` }] : [],
    expiries: expiries(overview.lots, first, end),
    days: [...closings(points, month, until, currency), ...bands.map((one) => ({ at: Date.parse(one.day) + DAY / 2, day: dayName(one.day),
      balance: `about ${estimate(one.expected)}`, band: `${estimate(one.low)} to ${estimate(one.high)}` }))],
  };
  return chart(`Balance of ${month}, in ${currency}`, "balance", (specification) => {
    specification.datasets = data;
    specification.encoding.y.title = currency;
    // One without data warns of an axis without an end.
    specification.layer = specification.layer.filter((layer) => data[layer.data.name].length);
  }, table(`Balance at the end of each day, ${month}`, [["Day"], ["Balance", "number"], ["8 cases of 10", "number"]],
    data.days.map((one) => [one.day, one.balance, one.band])));
}

function expiries(lots, first, end) {
  const days = new Map();
  for (const { purchaseId, expiresAt } of lots) {
    const at = Date.parse(expiresAt);
    if (at >= first && at < end) days.set(expiresAt.slice(0, 10), [...days.get(expiresAt.slice(0, 10)) ?? [], { at, purchaseId }]);
  }
  return [...days.values()].map((found) => ({ at: found[0].at,
    name: found.length === 1 ? `${found[0].purchaseId} expires` : `${found.length} lots expire` }));
}

// The balance at the end of each day, for the tooltips.
function closings(points, month, until, currency) {
  const found = [];
  let place = 0;
  for (let day = `${month}-01`; Date.parse(day) < until && day.startsWith(month); day = addDays(day, 1)) {
    const end = Date.parse(day) + DAY;
    while (place + 1 < points.length && Date.parse(points[place + 1][0]) < end) place += 1;
    if (Date.parse(points[place][0]) < end) {
      found.push({ at: Date.parse(day) + DAY / 2, day: dayName(day), balance: money(points[place][1], currency), band: "–" });
    }
  }
  return found;
}

export function daysChart({ month, rows, currency }, written) {
  const days = [];
  for (let day = `${month}-01`; day.startsWith(month); day = addDays(day, 1)) days.push(day);
  return chart(`Cost by day and type of call of ${month}, in ${currency}`, "cost_by_day", (specification) => {
    specification.datasets = { days: rows.filter((row) => row.charge !== "0") };
    specification.height = 220;
    specification.autosize = { type: "fit-x", contains: "padding" };
    specification.encoding.x.scale.domain = days;
    specification.encoding.x.axis.labelOverlap = true;
    specification.encoding.y.title = currency;
  }, written);
}

export function rankingChart({ label, rows, currency }, written) {
  const shown = rows.map(({ name, charge, calls }) => ({ name, calls, cost: Number(decimal(charge)), charged: money(decimal(charge), currency), amount: money(decimal(charge)) }));
  const most = Math.max(...shown.map((one) => one.cost), 1);
  return chart(label, "ranking", (specification) => {
    specification.datasets = { rows: shown };
    specification.height = BAR * shown.length;
    // Room for the amounts, which stand at the right edge.
    specification.layer[0].encoding.x.scale = { domain: [0, most * 1.5], nice: false };
  }, written);
}
