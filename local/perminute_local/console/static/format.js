// Amounts stay the decimal texts of the API: they are never numbers here, but for the place of a
// mark in a chart. Sums are of whole millionths.

const DIGITS = 6;

export function micros(text) {
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  const size = BigInt(whole + fraction.padEnd(DIGITS, "0").slice(0, DIGITS));
  return text.startsWith("-") ? -size : size;
}

export function decimal(amount) {
  const digits = String(amount < 0n ? -amount : amount).padStart(DIGITS + 1, "0");
  const fraction = digits.slice(-DIGITS).replace(/0+$/, "");
  return (amount < 0n ? "-" : "") + digits.slice(0, -DIGITS) + (fraction && `.${fraction}`);
}

export function grouped(whole) {
  return String(whole).replace(/\B(?=(\d{3})+$)/g, ",");
}

// Two decimals at least, as many as there are at most.
export function amount(text) {
  if (text === null || text === undefined) return "–";
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  return `${text.startsWith("-") ? "−" : ""}${grouped(whole)}.${fraction.padEnd(2, "0")}`;
}

export function money(text, currency) {
  return `${amount(text)}${currency ? `\u00a0${currency}` : ""}`;
}

// An estimate, to whole cents: more digits would say more than is known.
export function rounded(text) {
  const cents = (micros(text) + (text.startsWith("-") ? -5_000n : 5_000n)) / 10_000n;
  return amount(decimal(cents * 10_000n));
}

export function time(instant) {
  return instant === null ? "–" : instant.slice(0, 19).replace("T", " ");
}

export function minutes(seconds) {
  return `${grouped(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, "0")}`;
}

export function plural(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

export function isMonth(text) {
  return /^[0-9]{4}-(0[1-9]|1[0-2])$/.test(text ?? "");
}

export function addMonths(month, count) {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year, number - 1 + count, 1)).toISOString().slice(0, 7);
}

export function addDays(day, count) {
  return new Date(Date.parse(day) + count * 86_400_000).toISOString().slice(0, 10);
}

export function dayName(day) {
  return new Date(day).toLocaleDateString("en-US", { month: "short", day: "numeric", timeZone: "UTC" });
}

export const LEG_TYPES = {
  tollDialIn: "toll dial-in", tollFreeDialIn: "toll-free dial-in", dialOut: "dial-out",
};

// Codes of answers as words: noCreditsLicense as "no credits license".
export function inWords(code) {
  return code.replace(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);
}
