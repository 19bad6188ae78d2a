// nginx with its JavaScript module (njs 0.7 or newer): verifies a signed URL and hands the object to nginx's own
// file or proxy handling. nginx.conf beside this file shows where it is called.

import crypto from 'crypto';
import fs from 'fs';
import token from 'token.mjs';

const LEEWAY = 5; // seconds

function verify(text, request, ring, leeway) {
  const parts = token.open(text);
  const secret = ring[parts.kid];
  if (!secret) throw token.refused('signing.unknown_key');
  const mac = crypto.createHmac('sha256', secret).update(parts.signed).digest('base64url');
  if (!token.same(mac, parts.signature)) throw token.refused('signing.invalid');
  return token.check(parts.claims, request, leeway);
}

function deliver(r) {
  let key;
  try {
    const target = r.variables.request_uri.split('?');
    const found = token.locate(target[0], target[1]);
    const ring = token.keyRing(fs.readFileSync(r.variables.mamkit_keys_file, 'utf8'));
    const request = {now: Date.now() / 1000, method: r.method, key: found.key, client: r.remoteAddress};
    // nginx takes what follows a question mark for arguments
    if (!token.onlyDelivers(verify(found.token, request, ring, LEEWAY)) || found.key.indexOf('?') >= 0) {
      throw token.refused('signing.scope');
    }
    key = found.key;
  } catch (error) {
    if (!error.code) throw error;
    r.headersOut['Content-Type'] = 'application/problem+json';
    r.headersOut['Cache-Control'] = 'no-store';
    r.return(403, JSON.stringify({type: 'about:blank', title: 'Forbidden', status: 403, code: error.code}));
    return;
  }
  r.internalRedirect('/_objects/' + key);
}

export default {deliver};
