// The status page: asks /status and /rules again and again, and shows /records as they come. Whatever is shown is
// set as text, never as markup.
"use strict";

const ASK_EVERY = 2000;
const RULES_EVERY = 10000;
// Rows that are kept: a page left open over night must not grow.
const MAX_RECORDS = 200;
const MAX_RULES = 200;

// What a party's number stands behind; the whole of it is in the title.
const ORGANIZATION = "urn:altinn:organization:identifier-no:";

const by = (id) => document.getElementById(id);

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const chip = (state, word) => element("span", word ?? state, { class: "chip", "data-state": state });

/** Nothing is drawn anew that has not changed: readers of screens are not disturbed, and selections stay. */
function show(place, parts) {
  const made = document.createElement(place.tagName);
  made.append(...parts);
  if (made.innerHTML !== place.innerHTML) place.replaceChildren(...made.childNodes);
}

function item(...parts) {
  const made = element("li");
  made.append(...parts);
  return made;
}

const facts = (pairs) => pairs.filter(([, value]) => value !== undefined && value !== null)
  .flatMap(([name, value]) => [element("dt", name), element("dd", value)]);

function span(seconds) {
  if (seconds === null || seconds === undefined) return null;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

const number = (count) => (count ?? 0).toLocaleString("en").replaceAll(",", " ");

function summary(status) {
  const place = by("summary");
  const attention = findings(status);
  const [state, word] = !status.ready ? ["failing", `not ready: ${status.unready}`]
    : attention.length ? ["warning", `ready, ${attention.length} to be looked at`]
    : ["ok", "ready"];
  if (place.textContent !== word) place.textContent = word;
  place.dataset.state = state;
  document.title = `${status.ready ? (attention.length ? "△" : "✓") : "✗"} Portvakt`;
  by("version").textContent = status.version;
  by("facts").textContent =
    `${status.rules} rules · asks ${status.pdp} · up ${span(status.upSeconds)} · mode ${status.mode}`;
  by("findings").hidden = attention.length === 0;
  show(by("findings-list"), attention.map((text) => element("li", text)));
}

/** Everything an operator should look at, each in one line, with the words of the log and of `/health/ready`. */
function findings(status) {
  const found = [];
  for (const system of status.systems) {
    if (system.state === "failing") found.push(`${system.system}: failing for ${span(system.failingSeconds)} (${system.latest})`);
  }
  if (status.circuit !== "closed") found.push(`pdp: not asked for a while (circuit ${status.circuit})`);
  for (const keys of status.keys) {
    if (keys.keys === 0) found.push(`no keys of ${keys.issuer}: ${keys.fault ?? (keys.ageSeconds === null ? "not fetched yet" : "it publishes none that can be used")}`);
    else if (keys.fault) found.push(`keys of ${keys.issuer} cannot be renewed: ${keys.fault}`);
  }
  if (status.credential?.fault) found.push(`credential: ${status.credential.fault}`);
  else if (status.credential?.expiresInSeconds === 0) found.push("credential: expired");
  const config = status.config;
  if (!config.current) found.push(`the changed files are not in force: ${config.lastReload?.said ?? "see the log"}`);
  if (config.restartNeeded && config.current) found.push(config.lastReload?.said ?? "changed settings need a new start");
  if (config.certificateCurrent === false) found.push("the changed certificate cannot be used; the former stays in force");
  if (status.requests.recordsLost > 0) found.push(`${number(status.requests.recordsLost)} decision records are lost: their reader is too slow`);
  for (const finding of status.selfCheck) found.push(`self-check: ${finding}`);
  return found;
}

const NAMES = { keys: "Issuers’ keys", maskinporten: "Maskinporten", exchange: "Altinn’s exchange", pdp: "Altinn’s PDP" };

function systems(status) {
  show(by("systems"), status.systems.map((system) => {
    const counts = Object.entries(system.exchanges).map(([word, count]) => `${number(count)} ${word}`).join(", ");
    const failing = system.state === "failing" ? ` for ${span(system.failingSeconds)} (${system.latest})` : "";
    const said = element("small", counts ? ` ${counts}` : " nobody was asked");
    return item(chip(system.state), ` ${NAMES[system.system] ?? system.system}${failing}`, element("br"), said);
  }));
}

function keys(status) {
  const rows = status.keys.map((one) => {
    const state = one.keys === 0 ? "failing" : one.fault ? "warning" : "ok";
    const skipped = one.skipped.length ? `, ${one.skipped.length} not usable (${one.skipped[0]})` : "";
    const age = one.ageSeconds === null ? "not fetched yet" : `${span(one.ageSeconds)} old`;
    const said = element("small", ` ${age}${skipped}${one.fault ? `: ${one.fault}` : ""}`);
    return item(chip(state, one.keys === 1 ? "1 key" : `${one.keys} keys`), ` ${one.issuer}`, element("br"), said);
  });
  const own = status.credential;
  if (own) {
    const over = own.ageSeconds === null || own.expiresInSeconds === 0;
    const left = own.expiresInSeconds === null ? "" : `, ends in ${span(own.expiresInSeconds)}`;
    const age = own.ageSeconds === null ? "none in hand" : `${span(own.ageSeconds)} old${left}`;
    const said = element("small", ` ${age}${own.fault ? `: ${own.fault}` : ""}`);
    rows.push(item(chip(over ? "failing" : own.fault ? "warning" : "ok", "token"), " our own", element("br"), said));
  } else {
    rows.push(item(element("small", "no token of our own is needed")));
  }
  show(by("keys"), rows);
}

function config(status) {
  const { generation, current, restartNeeded, certificateCurrent, lastReload } = status.config;
  show(by("config"), facts([
    ["in force", `generation ${generation}`],
    ["the files", current ? "say what is in force" : "say what is not in force"],
    ["new start needed", restartNeeded ? "yes" : "no"],
    ["certificate", certificateCurrent === null ? null : certificateCurrent ? "as in the files" : "the former"],
    ["last reload", lastReload ? `${lastReload.time}: ${lastReload.taken ? "taken" : "refused"}` : "none since the start"],
    ["it said", lastReload?.said],
  ]));
  show(by("reload-findings"), (lastReload?.findings ?? []).map((text) => element("li", text)));
}

function figures(status) {
  const { cache, asking, requests } = status;
  const asked = cache.hits + cache.questions - cache.renewals;
  show(by("cache"), facts([
    ["decisions", number(cache.decisions)],
    ["tokens", number(cache.tokens)],
    ["answered from memory", asked > 0 ? `${(100 * cache.hits / asked).toFixed(1)} %` : "–"],
    ["questions to the PDP", number(cache.questions)],
    ["of them renewals", number(cache.renewals)],
    ["without an answer", number(cache.faults)],
    ["oldest used of late", span(cache.oldestDecisionSeconds) ?? "–"],
  ]));
  show(by("now"), facts([
    ["requests under way", number(requests.inFlight)],
    ["open WebSockets", number(requests.webSockets)],
    ["calls to the PDP", `${asking.inFlight}, ${asking.queued} waiting`],
    ["records lost", number(requests.recordsLost)],
    ...Object.entries(requests.bySource).map(([source, count]) => [`decided by ${source}`, number(count)]),
  ]));
  const codes = Object.entries(requests.byCode).sort(([, one], [, other]) => other - one);
  show(by("codes"), codes.length ? facts(codes.map(([code, count]) => [code, number(count)])) : [element("dt", "none")]);
}

// How long requests take, from how much the counts of the histograms grew between two looks

// Five minutes.
const MAX_LOOKS = 150;
const LOOKS_OF_A_MINUTE = 30;
const SHORTEST = 0.0001;
let looks = [];

const grown = (name, from, to) => to[name].map((count, place) => count - from[name][place]);

/** Within how many seconds this part of them ended; nothing where none did. */
function quantile(bounds, counts, part) {
  const wanted = part * counts.at(-1);
  const place = counts.findIndex((count) => count >= wanted);
  if (wanted === 0 || place < 0) return null;
  if (place >= bounds.length) return bounds.at(-1);
  const [from, below] = place ? [bounds[place - 1], counts[place - 1]] : [0, 0];
  return from + (bounds[place] - from) * (wanted - below) / (counts[place] - below);
}

/** A line over the looks, broken where there was nothing. The scale is logarithmic. */
function line(points, most) {
  const width = 300 / MAX_LOOKS;
  const first = MAX_LOOKS - points.length;
  const height = (seconds) => 79 - 78 * Math.log(Math.max(seconds, SHORTEST) / SHORTEST) / Math.log(most / SHORTEST);
  return points.map((seconds, place) => {
    if (seconds === null) return "";
    const [before, after] = [points[place - 1] ?? null, points[place + 1] ?? null];
    // What stands alone is as wide as a look.
    const alone = before === null && after === null ? `h${width}` : "";
    return `${before === null ? "M" : "L"}${((first + place) * width).toFixed(1)} ${height(seconds).toFixed(1)}${alone}`;
  }).join("");
}

function latency(status) {
  const now = status.latency;
  // A proxy that was started anew counts from nothing.
  if (looks.length && now.requests.at(-1) < looks.at(-1).requests.at(-1)) looks = [];
  looks.push(now);
  if (looks.length > MAX_LOOKS + 1) looks.shift();
  const points = (name) => looks.slice(1).map((look, place) => quantile(now.bounds, grown(name, looks[place], look), 0.99));
  const [whole, own] = [points("requests"), points("authorize")];
  const slowest = Math.max(...whole.concat(own), 0);
  const most = 10 ** Math.max(-2, Math.ceil(Math.log10(slowest || 0.01)));
  by("latency-plot").querySelector(".whole").setAttribute("d", line(whole, most));
  by("latency-plot").querySelector(".own").setAttribute("d", line(own, most));
  const nothing = now.requests.map(() => 0);
  const begun = looks.length > 1;
  const from = begun ? looks.at(-1 - Math.min(LOOKS_OF_A_MINUTE, looks.length - 1)) : { requests: nothing, authorize: nothing };
  const within = (name, part) => {
    const seconds = quantile(now.bounds, grown(name, from, now), part);
    return seconds === null ? "–" : took(seconds);
  };
  show(by("latency"), facts([
    [begun ? "in the last minute" : "since the start", number(grown("requests", from, now).at(-1))],
    ["half of them within", within("requests", 0.5)],
    ["99 of 100 within", within("requests", 0.99)],
    ["verdict on 99 of 100 within", within("authorize", 0.99)],
  ]));
  const note = slowest === 0 ? "drawn from now on, while this page is open"
    : `99 of 100 within, over five minutes: whole requests, and dashed until the verdict. The scale is logarithmic, from ${took(SHORTEST)} to ${took(most)}; the longest was ${took(slowest)}.`;
  if (by("latency-note").textContent !== note) by("latency-note").textContent = note;
}

async function json(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

async function ask() {
  try {
    const status = await json("/status");
    summary(status);
    systems(status);
    keys(status);
    config(status);
    figures(status);
    latency(status);
  } catch {
    const place = by("summary");
    place.textContent = "Portvakt does not answer";
    place.dataset.state = "failing";
    document.title = "✗ Portvakt";
  }
  setTimeout(ask, ASK_EVERY);
}

// The rules

let rules = { rules: [], none: {} };

function cell(label, text, attributes = {}) {
  return element("td", text, { "data-label": label, ...attributes });
}

// What would have been said of requests that were forwarded all the same, beside what the API said itself.
function inShadow(rule) {
  const counts = (verdict) => rule.shadow?.[verdict] ?? {};
  const all = (verdict) => number(Object.values(counts(verdict)).reduce((sum, count) => sum + count, 0));
  return `${rule.mode === "shadow" ? "in shadow" : "was in shadow"}: would refuse ${all("refuse")}, of which the API accepts ${number(counts("refuse").accept)}; `
    + `would permit ${all("permit")}, of which it refuses ${number(counts("permit").refuse)}; no verdict on ${all("fail")}`;
}

function showRules() {
  const wanted = by("rule-filter").elements.text.value.trim().toLowerCase();
  const matching = rules.rules.filter((rule) =>
    [rule.id, rule.method, rule.template, rule.resource, rule.action, rule.api].some((text) => text?.toLowerCase().includes(wanted)));
  const shown = matching.slice(0, MAX_RULES);
  const none = Object.values(rules.none).reduce((sum, count) => sum + count, 0);
  by("rule-state").textContent =
    `${shown.length} of ${rules.rules.length} rules${matching.length > shown.length ? `, ${matching.length} match` : ""}; ${number(none)} requests met none`;
  show(by("rule-rows"), shown.map((rule) => {
    const row = element("tr");
    const asks = rule.resource ? `${rule.action} ${rule.resource} for ${rule.party}` : rule.protection;
    const asked = cell("Asks", asks);
    if (rule.mode === "shadow" || rule.shadow) asked.append(element("p", inShadow(rule), { class: "shadow" }));
    row.append(
      cell("Rule", rule.id), cell("Request", `${rule.method} ${rule.template}`), asked,
      ...["forwarded", "refused", "aborted"].map((end) =>
        cell(end[0].toUpperCase() + end.slice(1), number(rule.requests[end]), { class: "number" })),
    );
    return row;
  }));
}

async function askRules() {
  try {
    rules = await json("/rules");
    show(by("rule-ids"), rules.rules.slice(0, MAX_RULES).map((rule) => element("option", undefined, { value: rule.id })));
    showRules();
  } catch {
    // What stands there is told to be old by the summary.
  }
  setTimeout(askRules, RULES_EVERY);
}

// Decisions as they are made

let events = null;
let paused = false;
let missed = 0;

function took(seconds) {
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(1)} ms`;
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

function record(line) {
  const one = JSON.parse(line);
  const row = element("tr");
  const end = { forwarded: "ok", refused: "failing", aborted: "warning" }[one.outcome];
  const outcome = cell("Outcome");
  const words = element("span");
  words.append(chip(end, one.outcome));
  if (one.code) words.append(" ", one.code);
  if (one.cause) words.append(element("br"), element("small", one.cause));
  outcome.append(words);
  const who = one.systemUser ? `${one.system ?? ""} ${one.owner ?? ""}`.trim() : one.consumer ?? one.subject;
  const decision = one.decision ? `${one.decision}, ${one.source}` : one.source;
  const time = element("time", one.time.slice(11, 19), { datetime: one.time, title: one.requestId });
  const at = cell("Time");
  at.append(time);
  row.append(
    at, outcome, cell("Rule", one.rule ?? one.method), cell("Who", who), cell("Party", one.party?.map((party) => party.replace(ORGANIZATION, "")).join(", "), { title: one.party?.join(", ") ?? "" }),
    cell("Decision", decision), cell("Status", one.status, { class: "number" }),
    cell("Took", took(one.totalSeconds), { class: "number" }),
  );
  return row;
}

function said() {
  const lost = missed ? `; ${number(missed)} were too many to show` : "";
  by("record-state").textContent = paused ? `paused${lost}`
    : events?.readyState === EventSource.OPEN ? `connected; the latest ${MAX_RECORDS} are kept${lost}`
    : `not connected${lost}`;
}

let waiting = [];

/** A few times a second, however many come. */
function showRecords() {
  if (waiting.length) {
    const rows = by("record-rows");
    rows.prepend(...waiting.slice(-MAX_RECORDS).reverse().map(record));
    while (rows.childElementCount > MAX_RECORDS) rows.lastElementChild.remove();
    waiting = [];
  }
  said();
}

function connect() {
  events?.close();
  if (paused) return said();
  const form = new FormData(by("record-filter"));
  const query = new URLSearchParams([...form].filter(([, word]) => word.trim()).map(([name, word]) => [name, word.trim()]));
  events = new EventSource(`/records?${query}`);
  events.onopen = said;
  events.onerror = said;
  events.onmessage = (event) => {
    waiting.push(event.data);
    if (waiting.length > MAX_RECORDS) waiting.shift();
  };
  events.addEventListener("missed", (event) => { missed += Number(event.data); });
}

by("record-filter").addEventListener("submit", (event) => {
  event.preventDefault();
  by("record-rows").replaceChildren();
  waiting = [];
  missed = 0;
  connect();
});
by("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  connect();
});
by("rule-filter").addEventListener("input", showRules);
by("rule-filter").addEventListener("submit", (event) => event.preventDefault());

// Changes

by("purge").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const named = ["party", "systemUser", "resource"].map((name) => [name, form.elements[name].value.trim()]).filter(([, word]) => word);
  const place = by("purge-state");
  try {
    const answer = await fetch("/decisions/purge", {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${form.elements.token.value.trim()}` },
      body: JSON.stringify(named.length ? Object.fromEntries(named) : { all: true }),
    });
    const document = await answer.json();
    place.textContent = answer.ok ? `${number(document.purged)} decisions are forgotten` : document.detail;
  } catch {
    place.textContent = "Portvakt does not answer";
  }
});

ask();
askRules();
connect();
setInterval(showRecords, 250);
