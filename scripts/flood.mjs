// Floods a server on loopback with every kind of junk, with and without viewers, and prints a table.
// Run by scripts/flood.sh, which builds it first; docs/floods.md explains the columns.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";

const KINDS = "random,rtp,stun,hello,wrong-password,known-rtp,known-rtcp,known-hello";
const { values: options } = parseArgs({
  options: {
    rate: { type: "string", default: "50000" },
    seconds: { type: "string", default: "10" },
    viewers: { type: "string", default: "50" },
    kinds: { type: "string", default: KINDS },
    offers: { type: "string", default: "2000" },
    requests: { type: "string", default: "32" },
    "no-cost": { type: "boolean", default: false },
    "no-loss": { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const binary = process.env.WHITEWATER ?? "target/release/whitewater";
const seconds = Number(options.seconds);
const kinds = options.kinds.split(",").filter((kind) => kind !== "");
const run = promisify(execFile);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;

const unlimited = { WHITEWATER_LIMITS_ADDRESS_REQUESTS_PER_S: "0" };

/** Starts a server; `stop` ends it. */
const serve = (...more) => serveWith(unlimited, ...more);

/** The same with some variables. */
async function serveWith(variables, ...more) {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-flood-"));
  const server = spawn(
    binary,
    [
      ...["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--data", folder],
      ...["--log", "warn", ...more],
    ],
    // The offers come from one address.
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, WHITEWATER_RECORDING_ENABLED: "false", ...variables } },
  );
  const exited = new Promise((resolve) => server.once("exit", resolve));
  const [url, udp] = await new Promise((resolve, reject) => {
    createInterface(server.stdout).once("line", (line) =>
      resolve([line.match(/http:\S+/)?.[0], line.match(/udp (\S+?)\)/)?.[1]]),
    );
    server.once("exit", (code) => reject(new Error(`the server ended: ${code}`)));
  });
  return {
    url,
    udp,
    pid: server.pid,
    async stop() {
      server.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Publishes; `stop` ends it. */
async function publish(url) {
  const child = spawn(
    binary,
    ["load", "whip", "--url", `${url}/whip/flood`, "--layers", "1", "--no-audio", "--json"],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const exited = new Promise((resolve) => child.once("exit", resolve));
  await pause(1500);
  return async () => {
    child.kill("SIGINT");
    await exited;
  };
}

async function load(...args) {
  const { stdout } = await run(binary, ["load", ...args, "--json"], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}

const flood = (udp, url, kind, time) =>
  load(
    ...["flood", "--udp", udp, "--url", `${url}/whep/flood`, "--kind", kind],
    ...["--rate", options.rate, "--seconds", String(time)],
  );

/** CPU seconds of a process; the kernel counts in 10 ms. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const resident = (pid) =>
  Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/VmRSS:\s+(\d+)/)?.[1]) / 1024;

async function total(url, name) {
  const { shards } = await (await fetch(`${url}/api/v1/server`)).json();
  return shards.reduce((sum, shard) => sum + (shard[name] ?? 0), 0);
}

/** Microseconds of CPU that a datagram costs a loop that only receives. */
async function bare() {
  const child = spawn(binary, ["load", "sink"], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { address } = JSON.parse((await lines.next()).value);
  const before = cpu(child.pid);
  await load(
    ...["flood", "--udp", address, "--kind", "random"],
    ...["--rate", options.rate, "--seconds", String(seconds)],
  );
  const used = cpu(child.pid) - before;
  child.stdin.end();
  const { datagrams } = JSON.parse((await lines.next()).value);
  return { datagrams, us: (used / datagrams) * 1e6 };
}

/** The same of a server that nobody watches, beside what it does anyway. */
async function cost(kind) {
  const server = await serve("--shards", "1");
  const stop = await publish(server.url);
  const idle = cpu(server.pid);
  await pause(seconds * 1000);
  const base = cpu(server.pid) - idle;
  const [came, before] = [await total(server.url, "datagrams_in"), cpu(server.pid)];
  await flood(server.udp, server.url, kind, seconds);
  const used = cpu(server.pid) - before - base;
  const datagrams = (await total(server.url, "datagrams_in")) - came;
  await stop();
  await server.stop();
  return { datagrams, us: (used / datagrams) * 1e6 };
}

/** What viewers lose while it pours. */
async function loss(kind) {
  const server = await serve();
  const stop = await publish(server.url);
  const watching = load(
    ...["whep", "--url", `${server.url}/whep/flood`, "--viewers", options.viewers],
    ...["--seconds", String(seconds + 4), "--ramp", "1", "--pid", String(server.pid)],
  );
  await pause(5000);
  const came = await total(server.url, "datagrams_in");
  const flooded = kind ? await flood(server.udp, server.url, kind, seconds) : null;
  const taken = (await total(server.url, "datagrams_in")) - came;
  const watched = await watching;
  await stop();
  await server.stop();
  return { flooded, taken, watched };
}

/** Offers of viewers who never come: what they take, and that it comes back. */
async function offers(count) {
  const server = await serve("--max-viewers", String(Math.floor(count / 2)));
  const stop = await publish(server.url);
  const offer = readFileSync("tests/fixtures/chromium-156-whep-offer.sdp", "utf8");
  const before = resident(server.pid);
  const answers = {};
  for (let sent = 0; sent < count; sent += 50) {
    const statuses = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const response = await fetch(`${server.url}/whep/flood`, {
          method: "POST",
          headers: { "content-type": "application/sdp" },
          body: offer,
        });
        await response.text();
        return response.status;
      }),
    );
    for (const status of statuses) answers[status] = (answers[status] ?? 0) + 1;
  }
  const [full, open] = [resident(server.pid), await total(server.url, "sessions")];
  await pause(25_000);
  const [after, left] = [resident(server.pid), await total(server.url, "sessions")];
  await stop();
  await server.stop();
  return { answers, before, full, after, open, left };
}

/** What viewers lose, and how packets are delayed, while so many clients post as fast as they can. */
async function posting(clients, limits) {
  const server = await serveWith(limits, "--max-viewers", "1000");
  const stop = await publish(server.url);
  const watching = load(
    ...["whep", "--url", `${server.url}/whep/flood`, "--viewers", options.viewers],
    ...["--seconds", String(seconds + 4), "--ramp", "1", "--pid", String(server.pid)],
  );
  await pause(5000);
  const before = await delays(server.url);
  const [used, until, answers] = [cpu(server.pid), Date.now() + seconds * 1000, {}];
  const offer = readFileSync("tests/fixtures/chromium-156-whep-offer.sdp", "utf8");
  const headers = { "content-type": "application/sdp" };
  const post = async () => {
    while (Date.now() < until) {
      const response = await fetch(`${server.url}/whep/flood`, { method: "POST", headers, body: offer });
      await response.text();
      answers[response.status] = (answers[response.status] ?? 0) + 1;
    }
  };
  if (clients > 0) await Promise.all(Array.from({ length: clients }, post));
  else await pause(seconds * 1000);
  const [busy, after] = [cpu(server.pid) - used, await delays(server.url)];
  const watched = await watching;
  await stop();
  await server.stop();
  return { answers, busy, p99: percentile(before, after, 0.99), watched };
}

/** The distribution of forwarding delays up to now. */
async function delays(url) {
  const { forwarding_delay } = await (await fetch(`${url}/api/v1/server`)).json();
  return new Map(forwarding_delay.buckets);
}

/** A percentile of what was counted between two readings, in microseconds. */
function percentile(before, after, share) {
  const counts = [...after].map(([upper, count]) => [upper, count - (before.get(upper) ?? 0)]);
  let left = share * counts.reduce((sum, [, count]) => sum + count, 0);
  for (const [upper, count] of counts.sort(([a], [b]) => a - b)) {
    left -= count;
    if (left <= 0) return upper;
  }
  return 0;
}

const loadBefore = loadavg()[0];
const rows = [];
const bared = options["no-cost"] ? null : await bare();
const quiet = options["no-loss"] ? null : await loss(null);
for (const kind of kinds) {
  const row = { kind };
  if (!options["no-cost"]) {
    const paid = await cost(kind);
    row["us each"] = round(paid.us, 2);
    row["bare us"] = round(bared.us, 2);
    row.ratio = round(paid.us / bared.us, 2);
  }
  if (!options["no-loss"]) {
    const { flooded, taken, watched } = await loss(kind);
    row["sent/s"] = flooded.datagrams_per_second;
    row["taken %"] = round((100 * taken) / flooded.datagrams, 1);
    row["viewers' packets"] = watched.expected;
    row.lost = watched.lost;
    row["kept %"] = round(100 - (100 * watched.lost) / watched.expected, 3);
    row["for good"] = watched.unrecovered;
  }
  rows.push(row);
}
const posted = Number(options.offers) > 0 ? await offers(Number(options.offers)) : null;
const clients = Number(options.requests);
const crowds = clients > 0 ? { "no requests": [0, {}], "[limits]": [clients, {}], unlimited: [clients, unlimited] } : {};
const posts = [];
for (const [name, [count, limits]] of Object.entries(crowds)) {
  posts.push({ name, ...(await posting(count, limits)) });
}

const columns = Object.keys(rows[0] ?? {});
const cells = [columns, ...rows.map((row) => columns.map((name) => String(row[name])))];
const widths = columns.map((_, at) => Math.max(...cells.map((cell) => cell[at].length)));
const line = (cell) =>
  `| ${cell.map((text, at) => (at ? text.padStart(widths[at]) : text.padEnd(widths[at]))).join(" | ")} |`;
console.log(`# whitewater, ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "CPU"}`);
console.log(
  `${options.rate} datagrams/s for ${seconds} s, ${options.viewers} viewers; ` +
    `load average before: ${loadBefore.toFixed(1)}\n`,
);
if (rows.length > 0) console.log(line(cells[0]));
if (rows.length > 0) console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
for (const cell of cells.slice(1)) console.log(line(cell));
if (quiet) {
  const { expected, lost } = quiet.watched;
  console.log(`\nwithout a flood: ${lost} of ${expected} packets lost`);
}
if (posted) {
  const mib = (value) => `${round(value, 1)} MiB`;
  console.log(
    `\n${options.offers} offers of viewers who never come: ${JSON.stringify(posted.answers)}; ` +
      `${posted.open} sessions and ${mib(posted.full)} (${mib(posted.before)} before), ` +
      `25 s later ${posted.left} and ${mib(posted.after)}`,
  );
}
for (const { name, answers, busy, p99, watched } of posts) {
  console.log(
    `\n${name}: answers ${JSON.stringify(answers)}, ${round(busy, 1)} s of CPU, ` +
      `forwarding delay p99 ${round(p99 / 1000, 2)} ms, ${watched.lost} of ${watched.expected} packets lost`,
  );
}
if (options.json) writeFileSync(options.json, JSON.stringify({ rows, bared, quiet, posted, posts }, null, 2));
