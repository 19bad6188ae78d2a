// Reads and checks the tokens that docs/reference/signed-urls.md describes, without computing the HMAC: `open` takes a
// token apart, the host compares the signature with its own crypto, and `check` holds the claims against a request.
// Written for small JavaScript engines too (njs 0.7), hence no classes, no destructuring and no for-of.

const MAX_TOKEN = 3072;
const MAX_CLAIMS = 2048;
const MAX_KEY = 1024;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function refused(code) {
  const error = new Error(code);
  error.code = code;
  return error;
}

function toBase64url(bytes) {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const n = (bytes[i] << 16) | ((bytes[i + 1] || 0) << 8) | (bytes[i + 2] || 0);
    text += ALPHABET[n >> 18] + ALPHABET[(n >> 12) & 63];
    if (i + 1 < bytes.length) text += ALPHABET[(n >> 6) & 63];
    if (i + 2 < bytes.length) text += ALPHABET[n & 63];
  }
  return text;
}

function fromBase64url(text) {
  const bytes = [];
  let bits = 0, held = 0;
  for (let i = 0; i < text.length; i++) {
    const value = ALPHABET.indexOf(text[i]);
    if (value < 0) throw refused('signing.invalid');
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
    }
  }
  const result = new Uint8Array(bytes);
  if (toBase64url(result) !== text) throw refused('signing.invalid');
  return result;
}

function utf8(bytes, code) {
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch (error) {
    throw refused(code);
  }
}

// The four parts of a token; `signed` is what the signature is over.
function open(token) {
  if (token.length > MAX_TOKEN || !/^[\x21-\x7e]+$/.test(token)) throw refused('signing.invalid');
  const parts = token.split('.');
  if (parts.length !== 4 || parts[0] !== 'v1') throw refused('signing.invalid');
  return {kid: parts[1], claims: parts[2], signature: parts[3], signed: parts.slice(0, 3).join('.')};
}

// Compare in a time that does not depend on where two texts differ.
function same(a, b) {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % (b.length || 1));
  return difference === 0;
}

function isPlainKey(key) {
  if (/[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]|%[0-9A-Fa-f]{2}/.test(key.replace(/[\ud800-\udbff][\udc00-\udfff]/g, '_'))) {
    return false;
  }
  if (new TextEncoder().encode(key).length > MAX_KEY) return false;
  return key.split('/').every(function (part) { return part !== '' && part !== '.' && part !== '..'; });
}

function ipv4(text) {
  if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(text)) return null;
  const bytes = text.split('.').map(Number);
  return bytes.every(function (byte) { return byte < 256; }) ? bytes : null;
}

// The bytes of an address: 4 or 16, or null. An IPv4 address mapped into IPv6 has 4.
function address(text) {
  const dotted = ipv4(text);
  if (dotted) return dotted;
  let rest = text;
  const tail = /^(.*:)([\d.]+)$/.exec(text);
  if (tail && tail[2].indexOf('.') >= 0) {
    const last = ipv4(tail[2]);
    if (!last) return null;
    rest = tail[1] + ((last[0] << 8) | last[1]).toString(16) + ':' + ((last[2] << 8) | last[3]).toString(16);
  }
  const halves = rest.split('::');
  if (halves.length > 2) return null;
  const head = halves[0] ? halves[0].split(':') : [];
  const foot = halves.length === 2 && halves[1] ? halves[1].split(':') : [];
  const gap = 8 - head.length - foot.length;
  if (halves.length === 2 ? gap < 1 : gap !== 0) return null;
  const groups = head.concat(new Array(halves.length === 2 ? gap : 0).fill('0'), foot);
  const bytes = [];
  for (let i = 0; i < 8; i++) {
    if (!/^[0-9A-Fa-f]{1,4}$/.test(groups[i])) return null;
    const group = parseInt(groups[i], 16);
    bytes.push(group >> 8, group & 255);
  }
  const mapped = bytes.slice(0, 12).every(function (byte, i) { return byte === (i < 10 ? 0 : 255); });
  return mapped ? bytes.slice(12) : bytes;
}

// A network as its first address and the number of bits that count; null for any.
function network(text) {
  if (text === '*') return null;
  const parts = text.split('/');
  const bytes = address(parts[0]);
  if (parts.length !== 2 || !bytes || !/^(0|[1-9]\d{0,2})$/.test(parts[1])) throw refused('signing.invalid');
  const bits = Number(parts[1]);
  const spelled = bytes.length === 4 ? bytes.join('.') : rfc5952(bytes);
  const hosts = bytes.some(function (byte, i) { return byte & (255 >> Math.min(8, Math.max(0, bits - 8 * i))); });
  if (bits > bytes.length * 8 || spelled !== parts[0] || hosts) throw refused('signing.invalid');
  return {bytes: bytes, bits: bits};
}

function rfc5952(bytes) {
  const groups = [];
  for (let i = 0; i < 16; i += 2) groups.push(((bytes[i] << 8) | bytes[i + 1]).toString(16));
  let start = -1, length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === '0') run++;
    if (run > length) { start = i; length = run; }
  }
  if (start < 0) return groups.join(':');
  return groups.slice(0, start).join(':') + '::' + groups.slice(start + length).join(':');
}

function within(client, net) {
  const bytes = client ? address(client) : null;
  if (!bytes || bytes.length !== net.bytes.length) return false;
  return bytes.every(function (byte, i) {
    return ((byte ^ net.bytes[i]) & (255 << (8 - Math.min(8, Math.max(0, net.bits - 8 * i)))) & 255) === 0;
  });
}

function ascending(names) {
  return names.every(function (name, i) { return i === 0 || names[i - 1] < name; });
}

// The claims of a token whose signature is good.
function read(encoded) {
  const bytes = fromBase64url(encoded);
  if (bytes.length > MAX_CLAIMS) throw refused('signing.invalid');
  const lines = utf8(bytes, 'signing.invalid').split('\n');
  if (lines.length < 4 || !/^(0|[1-9]\d{0,11})$/.test(lines[0])) throw refused('signing.invalid');
  const scope = lines[1], methods = lines[2].split(',');
  if (!isPlainKey(scope.replace(/\/$/, ''))) throw refused('signing.invalid');
  if (!methods.every(function (name) { return /^[A-Z]{3,16}$/.test(name); }) || !ascending(methods)) {
    throw refused('signing.invalid');
  }
  const conditions = lines.slice(4).map(function (line) {
    const match = /^([a-z][a-z0-9-]{0,31})=([^\x00-\x1f\x7f-\x9f]+)$/.exec(line);
    if (!match) throw refused('signing.invalid');
    return [match[1], match[2]];
  });
  if (!ascending(conditions.map(function (pair) { return pair[0]; }))) throw refused('signing.invalid');
  return {expiry: Number(lines[0]), scope: scope, methods: methods, network: network(lines[3]), conditions: conditions};
}

// Hold the claims of a token whose signature is good against {now, method, key, client}; returns them, or throws.
function check(encoded, request, leeway) {
  const claims = read(encoded);
  if (request.now >= claims.expiry + leeway) throw refused('signing.expired');
  const below = claims.scope.slice(-1) === '/';
  if (!isPlainKey(request.key) || !(below ? request.key.indexOf(claims.scope) === 0 : request.key === claims.scope)) {
    throw refused('signing.scope');
  }
  if (claims.methods.indexOf(request.method) < 0) throw refused('signing.method');
  if (claims.network && !within(request.client, claims.network)) throw refused('signing.address');
  return claims;
}

// Token and key of a path as it was sent, `/s/{token}/{key}` or `/s/{key}` with the token in the parameter `grant`.
function locate(path, query) {
  const match = /^\/s\/(?:(v1\.[^/]*)\/)?(.*)$/.exec(path);
  if (!match) throw refused('signing.invalid');
  const carried = /(?:^|&)grant=([^&]*)/.exec(query || '');
  const token = match[1] || (carried ? carried[1] : '');
  const bytes = [];
  for (let i = 0; i < match[2].length; i++) {
    const escaped = match[2][i] === '%' && /^[0-9A-Fa-f]{2}$/.test(match[2].substr(i + 1, 2));
    bytes.push(escaped ? parseInt(match[2].substr(i + 1, 2), 16) : match[2].charCodeAt(i));
    if (escaped) i += 2;
  }
  return {token: token, key: utf8(new Uint8Array(bytes), 'signing.scope')};
}

// Secrets by key id, of the text `id:secret,id:secret` (EDGE_SIGNING_KEY).
function keyRing(text) {
  const ring = {};
  text.trim().split(',').forEach(function (entry) {
    const parts = entry.trim().split(':');
    ring[parts[0]] = fromBase64url(parts[1] || '');
  });
  return ring;
}

// A condition says what the body of an upload must be; `renew-until` alone means nothing to who only delivers.
function onlyDelivers(claims) {
  return claims.conditions.every(function (pair) { return pair[0] === 'renew-until'; });
}

export default {open, same, check, locate, keyRing, onlyDelivers, refused, toBase64url};
