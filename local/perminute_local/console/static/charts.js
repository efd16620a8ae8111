// Charts as SVG, drawn from the same texts as the tables below them. A chart is a picture with a
// label; its table is what a screen reader reads.

import { svg, el } from "./dom.js";
import { LEG_TYPES, addMonths, amount } from "./format.js";

const WIDTH = 1000, HEIGHT = 260, LEFT = 62, RIGHT = 12, TOP = 12, BOTTOM = 26;
const DAY = 86_400_000;

function ticks(low, high, wanted = 4) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + step / 1e6; at += 1) found.push(at * step);
  return found;
}

function scale(from, to, start, end) {
  return (value) => start + (value - from) / (to - from || 1) * (end - start);
}

function framed(label, low, high, children, x, days) {
  const y = scale(low, high, HEIGHT - BOTTOM, TOP);
  const lines = ticks(low, high).flatMap((value) => [
    svg("line", { class: value === 0 ? "zero" : "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString("en-US")),
  ]);
  const names = days.map(([at, text]) =>
    svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" }, text));
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label },
    ...lines, ...names, ...children(y));
}

const dayName = (at) => new Date(at).toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });

export function balanceChart({ month, points, path, trigger, lots, now, currency }) {
  const start = Date.parse(`${month}-01T00:00:00Z`);
  const monthEnd = Date.parse(`${addMonths(month, 1)}-01T00:00:00Z`);
  const last = path.length ? Date.parse(path.at(-1).day) + DAY : 0;
  const end = Math.max(monthEnd, last);
  const x = scale(start, end, LEFT, WIDTH - RIGHT);
  const clamp = (text) => Math.max(0, Number(text));
  const known = points.map(([at, text]) => [Date.parse(at), Number(text)]);
  if (!known.length) return null;
  const values = [0, ...known.map(([, value]) => value), ...path.map((day) => clamp(day.high)),
    ...(trigger ? [Number(trigger)] : [])];
  const low = Math.min(...values), high = Math.max(...values, 1) * 1.05;
  const until = Math.min(end, Math.max(now, known.at(-1)[0]));
  const named = [];
  for (let at = start; at < end; at += 7 * DAY) named.push([at, dayName(at)]);
  return framed(`Balance of ${month}, in ${currency}`, low, high, (y) => {
    let drawn = `M${x(known[0][0])},${y(known[0][1])}`;
    for (const [at, value] of known.slice(1)) drawn += `H${x(at)}V${y(value)}`;
    drawn += `H${x(until)}`;
    const marks = [svg("path", { class: "line", d: drawn })];
    if (path.length) {
      const at = (day) => x(Date.parse(day.day) + DAY), begin = `${x(until)},${y(known.at(-1)[1])}`;
      const upper = path.map((day) => `L${at(day)},${y(clamp(day.high))}`).join("");
      const lower = [...path].reverse().map((day) => `L${at(day)},${y(clamp(day.low))}`).join("");
      const middle = path.map((day) => `L${at(day)},${y(clamp(day.expected))}`).join("");
      marks.push(svg("path", { class: "band", d: `M${begin}${upper}${lower}Z` }),
        svg("path", { class: "line expected", d: `M${begin}${middle}` }));
    }
    if (trigger) {
      const level = y(Number(trigger));
      marks.push(svg("line", { class: "trigger", x1: LEFT, x2: WIDTH - RIGHT, y1: level, y2: level },
        svg("title", {}, `Recharge below ${amount(trigger)} ${currency}`)));
    }
    for (const lot of lots.filter((one) => Date.parse(one.expiresAt) < end)) {
      const place = x(Date.parse(lot.expiresAt));
      marks.push(svg("line", { class: "expiry", x1: place, x2: place, y1: TOP, y2: HEIGHT - BOTTOM },
        svg("title", {}, `${lot.purchaseId} expires ${lot.expiresAt.slice(0, 10)}`)));
    }
    return marks;
  }, x, named);
}

export function daysChart({ month, rows, currency }) {
  const count = Math.round((Date.parse(`${addMonths(month, 1)}-01`) - Date.parse(`${month}-01`)) / DAY);
  const sums = Array(count).fill(0);
  const x = scale(1, count + 1, LEFT, WIDTH - RIGHT), width = (WIDTH - LEFT - RIGHT) / count - 5;
  const placed = rows.map((row) => ({ row, day: Number(row.day.slice(8)), value: Number(row.charge) }))
    .filter((one) => one.value > 0);
  const total = {};
  for (const one of placed) total[one.day] = (total[one.day] ?? 0) + one.value;
  const high = Math.max(...Object.values(total), 0.01) * 1.05;
  const named = sums.map((_, place) => [place + 1.5, String(place + 1)]);
  const chart = framed(`Cost by day and type of call of ${month}, in ${currency}`, 0, high, (y) =>
    placed.map(({ row, day, value }) => {
      const from = sums[day - 1];
      sums[day - 1] += value;
      const kind = row.legType in LEG_TYPES ? row.legType : "otherType";
      return svg("rect", { class: kind, x: x(day) + 2.5, width, y: y(from + value), height: y(from) - y(from + value) },
        svg("title", {}, `${row.day}, ${LEG_TYPES[row.legType] ?? row.legType}: ${amount(row.charge)} ${currency}, ${row.calls} calls`));
    }), x, named);
  const kinds = Object.keys(LEG_TYPES).filter((kind) => placed.some(({ row }) => row.legType === kind));
  const legend = el("ul", { class: "legend" }, ...kinds.map((kind) => el("li", {},
    svg("svg", { class: "chart", viewBox: "0 0 10 10", "aria-hidden": "true" },
      svg("rect", { class: kind, width: 10, height: 10, rx: 2 })), LEG_TYPES[kind])));
  return [chart, legend];
}

export function bar(share) {
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { width: Math.max(share * 100, share ? 0.5 : 0), height: 10, rx: 1 }));
}
