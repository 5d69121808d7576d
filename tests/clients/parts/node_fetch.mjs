// fetch of Node through Portvakt. Settings come on standard input; each check leaves as a line of JSON.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const { base, status, token, client, stranger } = JSON.parse(readFileSync(0, "utf8"));
const authorization = { authorization: `Bearer ${token}` };
const piece = new Uint8Array(65536).fill(7);
const pieces = 128;

async function check(name, body) {
  let fault = "";
  await body().catch((found) => (fault = `${found}`));
  console.log(JSON.stringify({ name: `fetch: ${name}`, right: fault === "", detail: fault }));
}

function stream() {
  let left = pieces;
  return new ReadableStream({
    pull(controller) {
      if (left-- > 0) controller.enqueue(piece);
      else controller.close();
    },
  });
}

const upload = (path, headers = authorization) =>
  fetch(base + path, { method: "POST", body: stream(), duplex: "half", headers });

const refusal = async (answer) => [answer.status, (await answer.json()).code];

async function eventually(condition, what) {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return;
    await pause(20);
  }
  assert.fail(`never: ${what}`);
}

const outcome = async (id) => (await fetch(`${status}/${id}`)).json();

await check("100 calls, one after the other", async () => {
  for (let at = 0; at < 100; at++) {
    const answer = await fetch(`${base}/open/echo/${at}`);
    assert.equal(answer.status, 200);
    assert.equal((await answer.json()).target, `/open/echo/${at}`);
  }
});

await check("50 at once, each with its own answer", async () => {
  const call = async (at) => {
    const answer = await fetch(`${base}/org/${client}/echo/${at}`, { headers: authorization });
    assert.equal((await answer.json()).target, `/org/${client}/echo/${at}`);
  };
  await Promise.all(Array.from({ length: 50 }, (_, at) => call(at)));
});

await check("a streamed body", async () => {
  const answer = await upload(`/org/${client}/echo`);
  const hash = createHash("sha256");
  for (let at = 0; at < pieces; at++) hash.update(piece);
  assert.equal((await answer.json()).sha256, hash.digest("hex"));
});

await check("a stream down", async () => {
  const answer = await fetch(`${base}/open/stream?bytes=8388608`);
  let bytes = 0;
  for await (const part of answer.body) bytes += part.length;
  assert.equal(bytes, 8388608);
});

await check("a compressed answer", async () => {
  const answer = await fetch(`${base}/open/gzip`);
  assert.equal(await answer.text(), "compressed ".repeat(1000));
});

await check("HEAD and 204", async () => {
  const head = await fetch(`${base}/open/download?bytes=99`, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), "99");
  assert.equal((await fetch(`${base}/open/nothing`)).status, 204);
});

await check("a download that is aborted ends the upstream's, too", async () => {
  const abort = new AbortController();
  const answer = await fetch(`${base}/open/endless?id=fetch-down`, { signal: abort.signal });
  await answer.body.getReader().read();
  abort.abort();
  await eventually(async () => (await outcome("fetch-down")) === "closed", "closed");
});

await check("an upload that is aborted ends the upstream's, too", async () => {
  const abort = new AbortController();
  const body = new ReadableStream({ pull: (controller) => pause(20).then(() => controller.enqueue(piece)) });
  const options = { method: "POST", body, duplex: "half", signal: abort.signal };
  const call = fetch(`${base}/open/swallow?id=fetch-up`, options).catch((fault) => fault.name);
  await eventually(async () => (await outcome("fetch-up")) === "reading", "reading");
  abort.abort();
  assert.equal(await call, "AbortError");
  await eventually(async () => (await outcome("fetch-up")) === "aborted", "aborted");
});

await check("refusals, with and without a streamed body", async () => {
  assert.deepEqual(await refusal(await fetch(`${base}/org/${client}/echo`)), [401, "token-missing"]);
  assert.deepEqual(await refusal(await upload(`/org/${stranger}/echo`)), [403, "access-denied"]);
  assert.deepEqual(await refusal(await upload("/nothing/here")), [404, "route-unknown"]);
  assert.equal((await fetch(`${base}/open/echo`)).status, 200);
});

// A stream that nobody reads any more would keep the process.
process.exit(0);
