// Holds the published vectors against the verifier of the CDN function, and lets that serve an object from an origin.
import {createServer} from 'node:http';
import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const [folder, vectorsPath] = process.argv.slice(2);
const worker = await import(pathToFileURL(`${folder}/worker.mjs`));
const token = (await import(pathToFileURL(`${folder}/token.mjs`))).default;
const vectors = JSON.parse(readFileSync(vectorsPath, 'utf8'));
const ring = token.keyRing(vectors.keys.map((key) => `${key.kid}:${key.secret_base64url}`).join(','));

const outcomes = {};
for (const vector of [...vectors.good, ...vectors.refused]) {
  try {
    await worker.verify(vector.token, vector.request, ring, vectors.leeway);
    outcomes[vector.name] = 'ok';
  } catch (error) {
    outcomes[vector.name] = error.code || String(error);
  }
}

// The function as a whole: { "requests": [url, …] } come on standard input with the secrets of a live signer.
const {keys, requests} = JSON.parse(readFileSync(0, 'utf8'));
const asked = [];
const origin = createServer((request, response) => { asked.push(request.url); response.end('bytes'); });
await new Promise((resolve) => origin.listen(0, '127.0.0.1', resolve));
const env = {SIGNING_KEYS: keys, ORIGIN: `http://127.0.0.1:${origin.address().port}`};
const answers = [];
for (const url of requests) {
  const response = await worker.default.fetch(new Request(url, {headers: {'cf-connecting-ip': '192.0.2.7'}}), env, {});
  answers.push([response.status, await response.text()]);
}
const preflight = await worker.default.fetch(new Request('http://cdn.test/s/x', {method: 'OPTIONS'}), env, {});
origin.close();
origin.closeAllConnections();
console.log(JSON.stringify({outcomes, answers, asked, preflight: [preflight.status, ...preflight.headers.keys()]}));
