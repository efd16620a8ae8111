// Reports of the server that served this page. The token is in the fragment of the address.

export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get isRefused() {
    return this.status === 401 || this.status === 403;
  }
}

async function get(path, signal) {
  const headers = { "Perminute-Token": location.hash.slice(1) };
  let response;
  try {
    response = await fetch(path, { headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(0, "The server does not answer.");
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Failure(response.status, document.message ?? `The server answers ${response.status}.`);
  }
  return document;
}

export const about = () => get("/console.json");

export function report(organization, name, parameters = {}, signal = undefined) {
  const stated = Object.entries(parameters).filter(([, value]) => value);
  const query = new URLSearchParams(stated);
  return get(`/reports/organizations/${encodeURIComponent(organization)}/${name}?${query}`, signal);
}
