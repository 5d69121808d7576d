// An API in Node: node.mjs http|h2c|https|unix WHERE STATUS_PORT CERTIFICATE KEY
//
// What is asked is the part of the path after `/open/` or `/org/NUMBER/`. A second server tells what became of
// exchanges that were given an `id`.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import { gzipSync } from "node:zlib";

const [mode, where, statusPort, certificate, key] = process.argv.slice(2);
const outcomes = {};

// The same bytes for whoever asks: 0, 1, … 250, 0, …
const block = Buffer.from(Array.from({ length: 251 * 256 }, (_, at) => at % 251));

function* pattern(bytes) {
  for (let left = bytes; left > 0; left -= block.length) {
    yield left < block.length ? block.subarray(0, left) : block;
  }
}

async function writeAll(response, bytes) {
  for (const piece of pattern(bytes)) {
    if (!response.write(piece)) {
      await new Promise((resume) => response.once("drain", resume));
    }
  }
}

async function digestOf(request) {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of request) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

const answers = {
  async echo(request, response) {
    const digest = await digestOf(request);
    const { method, url: target, httpVersion: version, headers, trailers } = request;
    const body = JSON.stringify({ method, target, version, headers, trailers, ...digest });
    response.setHeader("content-type", "application/json");
    response.setHeader("content-length", Buffer.byteLength(body));
    response.end(body);
  },
  async download(request, response, query) {
    const bytes = Number(query.get("bytes"));
    response.setHeader("content-length", bytes);
    await writeAll(response, bytes);
    response.end();
  },
  async stream(request, response, query) {
    await writeAll(response, Number(query.get("bytes")));
    response.end();
  },
  trailers(request, response) {
    response.setHeader("trailer", "x-checksum");
    response.write("with trailers");
    response.addTrailers({ "x-checksum": "abc123" });
    response.end();
  },
  gzip(request, response) {
    const body = gzipSync("compressed ".repeat(1000));
    response.setHeader("content-encoding", "gzip");
    response.setHeader("content-length", body.length);
    response.end(body);
  },
  hints(request, response) {
    response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    response.end("after hints");
  },
  endless(request, response, query) {
    const timer = setInterval(() => response.write("more\n"), 20);
    response.once("close", () => {
      clearInterval(timer);
      outcomes[query.get("id")] = "closed";
    });
  },
  async swallow(request, response, query) {
    const id = query.get("id");
    outcomes[id] = "reading";
    try {
      outcomes[id] = await digestOf(request);
      response.end("swallowed");
    } catch {
      outcomes[id] = "aborted";
    }
  },
  early(request, response) {
    response.writeHead(409, { "content-type": "text/plain" });
    response.end("no need to read");
  },
  nothing(request, response) {
    response.writeHead(204).end();
  },
};

function handle(request, response) {
  const url = new URL(request.url, "http://api");
  const name = url.pathname.replace(/^\/(open|org\/\d+)\//, "").split("/", 1)[0];
  const answer = answers[name] ?? answers.echo;
  Promise.resolve(answer(request, response, url.searchParams)).catch((fault) => {
    console.error(request.method, request.url, fault);
    response.destroy?.();
  });
}

const tls = () => ({ cert: readFileSync(certificate), key: readFileSync(key), allowHTTP1: true });
const server = {
  http: () => http.createServer(handle),
  unix: () => http.createServer(handle),
  h2c: () => http2.createServer(handle),
  https: () => http2.createSecureServer(tls(), handle),
}[mode]();

http
  .createServer((request, response) => response.end(JSON.stringify(outcomes[request.url.slice(1)] ?? null)))
  .listen(Number(statusPort), "127.0.0.1", () => {
    if (mode === "unix") server.listen(where);
    else server.listen(Number(where), "127.0.0.1");
  });
