// What the fragment of the address asks for: `#calls`, `#call=ID`, `#ledger`, and the like, which
// notifications link to. Parts are separated by `&`; `organization=ID` and `month=2026-11` choose.

import { byId } from "./dom.js";

const SECTIONS = { overview: "cards", forecast: "balance", calls: "calls", ledger: "ledger", "license-advice": "advice", "what-if": "what-if" };

export function asked() {
  const found = {};
  for (const part of location.hash.slice(1).split("&")) {
    const [name, ...value] = part.split("=");
    found[name] = decoded(value.join("="));
  }
  return found;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Others who see the address, or find it in the history, are not to find the token.
export function withoutToken() {
  if (!("token" in asked())) return;
  const parts = location.hash.slice(1).split("&").filter((part) => !part.startsWith("token="));
  history.replaceState(null, "", parts.join("&") ? `#${parts.join("&")}` : location.pathname);
}

// Returns the section that was asked for, which then has the focus.
export function goTo(stated) {
  const name = Object.keys(SECTIONS).find((one) => one in stated);
  const section = name && byId(SECTIONS[name]);
  if (!section || section.hidden) return null;
  section.tabIndex = -1;
  section.focus({ preventScroll: true });
  section.scrollIntoView();
  return section;
}
