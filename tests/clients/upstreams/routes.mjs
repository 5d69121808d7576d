// Two ways in which APIs in Node find the path: routes.mjs raw|whatwg PORT
//
// raw: up to the first `?`, segments decoded one by one, as Express does. whatwg: by `new URL`, which
// resolves dots and backslashes. The answer is as in routes.conf.
import http from "node:http";

const [mode, port] = process.argv.slice(2);

const routes = [
  ["root", /^\/$/],
  ["public-a", /^\/public\/a$/],
  ["public-a-slash", /^\/public\/a\/$/],
  ["admin", /^\/open\/admin$/],
  ["open", /^\/open\/([^/]+)$/],
  ["secret", /^\/open\/([^/]+)\/secret$/],
  ["item", /^\/open\/([^/]+)\/items\/[^/]+$/],
  ["encoded", /^\/encoded\/([^/]+)$/],
  ["closed", /^\/closed\//],
  ["files", /^\/files\/(.+)$/s],
];

const pathOf = {
  raw: (target) => target.split("?", 1)[0],
  whatwg: (target) => new URL(target, "http://api").pathname,
}[mode];

function choose(target) {
  // Literals are compared decoded, too, as routers do that decode first.
  const path = pathOf(target);
  for (const [name, pattern] of routes) {
    const found = pattern.exec(path);
    if (found) return [name, decodeURIComponent(found[1] ?? "")];
  }
  return ["none", ""];
}

http
  .createServer((request, response) => {
    let [name, capture] = ["fault", ""];
    try {
      [name, capture] = choose(request.url);
    } catch {
      response.statusCode = 400;
    }
    response.end([name, request.headers["portvakt-rule"] ?? "", request.url, capture].join("\n"));
  })
  .listen(Number(port), "127.0.0.1");
