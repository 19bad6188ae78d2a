// A CDN function in the style of Cloudflare Workers: verifies a signed URL, and serves the object from the CDN's own
// cache, under a name without the token, or from the origin.
//
// env: SIGNING_KEYS `id:secret,id:secret`, the installation's EDGE_SIGNING_KEY;
//      ORIGIN base URL under which the objects lie at their keys, reachable for this function only.

import token from './token.mjs';

const LEEWAY = 5; // seconds

const PREFLIGHT = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, HEAD',
  'access-control-allow-headers': 'range, if-none-match, if-range',
  'access-control-max-age': '86400',
};

const encoder = new TextEncoder();

// Returns the claims of a token that allows the request {now, method, key, client}; throws an Error with a `code`.
export async function verify(text, request, ring, leeway = LEEWAY) {
  const parts = token.open(text);
  const secret = Object.hasOwn(ring, parts.kid) ? ring[parts.kid] : null;
  if (!secret) throw token.refused('signing.unknown_key');
  const key = await crypto.subtle.importKey('raw', secret, {name: 'HMAC', hash: 'SHA-256'}, false, ['sign']);
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(parts.signed));
  if (!token.same(token.toBase64url(new Uint8Array(mac)), parts.signature)) throw token.refused('signing.invalid');
  return token.check(parts.claims, request, leeway);
}

export default {
  async fetch(request, env, context) {
    if (request.method === 'OPTIONS') return new Response(null, {status: 204, headers: PREFLIGHT});
    const url = new URL(request.url);
    let key;
    try {
      const found = token.locate(url.pathname, url.search.slice(1));
      key = found.key;
      const claims = await verify(found.token, {
        now: Date.now() / 1000,
        method: request.method,
        key,
        client: request.headers.get('cf-connecting-ip'),
      }, token.keyRing(env.SIGNING_KEYS));
      if (!token.onlyDelivers(claims)) throw token.refused('signing.method');
    } catch (error) {
      if (!error.code) throw error;
      const body = JSON.stringify({type: 'about:blank', title: 'Forbidden', status: 403, code: error.code});
      return new Response(body, {
        status: 403,
        headers: {'content-type': 'application/problem+json', 'access-control-allow-origin': '*', 'cache-control': 'no-store'},
      });
    }
    const path = key.split('/').map(encodeURIComponent).join('/');
    const wanted = new Request(`${env.ORIGIN}/${path}`, {method: request.method, headers: request.headers});
    const cache = globalThis.caches?.default; // there is none under Node
    const hit = cache && await cache.match(wanted);
    if (hit) return hit;
    const answer = await fetch(wanted);
    const response = new Response(answer.body, answer);
    response.headers.set('access-control-allow-origin', '*');
    if (cache && request.method === 'GET' && answer.status === 200) context.waitUntil(cache.put(wanted, response.clone()));
    return response;
  },
};
