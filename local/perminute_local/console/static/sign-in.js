// Signs in by OpenID Connect: the code flow with PKCE (RFC 7636), whose client has no secret. The
// token is kept in memory alone, so a page that is loaded again signs in again.

const VERIFIER_BYTES = 32, PLACE = "sign-in";

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const random = () => base64url(crypto.getRandomValues(new Uint8Array(VERIFIER_BYTES)));

async function json(response, what) {
  if (!response.ok) throw new Error(`${what} answers ${response.status}`);
  return response.json();
}

async function leave({ clientId, scope }, endpoint, redirectUri) {
  const verifier = random(), state = random();
  const challenge = base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
  sessionStorage.setItem(PLACE, JSON.stringify({ verifier, state, fragment: location.hash }));
  location.assign(`${endpoint}?${new URLSearchParams({ response_type: "code", client_id: clientId, redirect_uri: redirectUri,
    scope, state, code_challenge: challenge, code_challenge_method: "S256" })}`);
  return new Promise(() => {}); // the page is being left
}

// Returns the access token; leaves the page to sign in if it comes without a code.
export async function signIn(settings) {
  const known = `${settings.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  const provider = await json(await fetch(known), "the identity provider");
  const answer = new URLSearchParams(location.search), redirectUri = `${location.origin}/`;
  if (answer.has("error")) throw new Error(`signing in failed: ${answer.get("error_description") ?? answer.get("error")}`);
  if (!answer.has("code")) return leave(settings, provider.authorization_endpoint, redirectUri);
  const { verifier, state, fragment } = JSON.parse(sessionStorage.getItem(PLACE) ?? "{}");
  sessionStorage.removeItem(PLACE);
  history.replaceState(null, "", `/${fragment ?? ""}`);
  // A code that this tab did not ask for may be somebody else's.
  if (!state || answer.get("state") !== state) return leave(settings, provider.authorization_endpoint, redirectUri);
  const body = new URLSearchParams({ grant_type: "authorization_code", client_id: settings.clientId,
    code: answer.get("code"), redirect_uri: redirectUri, code_verifier: verifier });
  const token = await json(await fetch(provider.token_endpoint, { method: "POST", body }), "the identity provider");
  return token.access_token;
}

// The organizations of a token, as the API reads them; the API checks its signature.
export function organizationsOf(token, claim) {
  const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
  const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(payload), (one) => one.charCodeAt(0))));
  return [claims[claim] ?? []].flat().map(String);
}
