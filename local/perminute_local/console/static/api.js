// Reports of the server that served this page.

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get isRefused() {
    return this.status === 401 || this.status === 403;
  }
}

// The token came in the fragment of the address. It stays in this tab, and leaves the address.
let headers = {};

export function useToken(stated) {
  headers = { "Perminute-Token": stated || sessionStorage.getItem("token") || "" };
  if (stated) sessionStorage.setItem("token", stated);
}

export function useBearer(token) {
  headers = { Authorization: `Bearer ${token}` };
}

async function get(path, signal) {
  let response;
  try {
    response = await fetch(path, { headers: { ...headers, Accept: "application/json" }, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server does not answer.");
  }
  // Over HTTP the API answers CSV as it is.
  if (response.ok && response.headers.get("Content-Type")?.startsWith("text/csv")) return { csv: await response.text() };
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Failure(response.status, document.message ?? `The server answers ${response.status}.`);
  }
  return document;
}

export const about = () => get("/console.json");

export async function file(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Failure(response.status, `${path} is missing`);
  return response.text();
}

export function report(organization, name, parameters = {}, signal = undefined) {
  const stated = Object.entries(parameters).filter(([, value]) => value);
  const query = new URLSearchParams(stated);
  return get(`/reports/organizations/${encodeURIComponent(organization)}/${name}?${query}`, signal);
}
