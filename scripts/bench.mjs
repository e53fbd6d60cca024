// Measures a server on loopback, on a core of its own, and prints one table.
// Run by scripts/bench.sh, which builds it first; docs/bench.md explains the columns.

import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    viewers: { type: "string", default: "50,200,500" },
    seconds: { type: "string" },
    bursts: { type: "string", default: "64,1" },
    traces: { type: "string", default: "browser-2500k-30fps,browser-1100k-4ppf" },
    "no-delay": { type: "boolean", default: false },
    "server-core": { type: "string", default: "0" },
    "client-core": { type: "string", default: "1" },
    json: { type: "string" },
  },
});
const binary = process.env.WHITEWATER ?? "target/release/whitewater";
const seconds = options.seconds ?? (options.quick ? "3" : "8");
const crowds = options.viewers.split(",").map(Number).sort((a, b) => b - a);
const traces = options.traces.split(",");
const bursts = options.bursts.split(",").map(Number);
const serverCore = options["server-core"];
const clientCore = options["client-core"];
const run = promisify(execFile);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const unlimited = {
  // What is measured is forwarding.
  WHITEWATER_RECORDING_ENABLED: "false",
  WHITEWATER_LIMITS_ADDRESS_REQUESTS_PER_S: "0",
  WHITEWATER_LIMITS_ADDRESS_SESSIONS: "0",
};

/** Starts a server and `count` publishers; `stop` ends them all. */
async function serve(trace, maxBurst, count = 1) {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-bench-"));
  const server = spawn(
    "taskset",
    [
      ...["-c", serverCore, binary, "serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"],
      ...["--data", folder, "--shards", "1", "--max-burst", String(maxBurst)],
      ...["--max-viewers", "100000", "--log", "warn"],
    ],
    // The crowd has one address.
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...unlimited } },
  );
  const exited = new Promise((resolve) => server.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface(server.stdout).once("line", (line) => resolve(line.match(/http:\S+/)?.[0]));
    server.once("exit", (code) => reject(new Error(`the server ended: ${code}`)));
  });
  const publishers = [];
  for (let index = 0; index < count; index += 1) {
    const publisher = spawn(
      "taskset",
      [
        ...["-c", clientCore, binary, "load", "whip", "--url", `${url}/whip/bench${index}`],
        ...["--layers", "1", "--no-audio", "--trace", trace, "--json"],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    publishers.push({ publisher, done: new Promise((resolve) => publisher.once("exit", resolve)) });
    // Publishers that start together would send their frames together for ever.
    if (count > 1) await pause(37);
  }
  await pause(1500);
  return {
    url,
    pid: server.pid,
    async stop() {
      for (const { publisher } of publishers) publisher.kill("SIGINT");
      await Promise.all(publishers.map(({ done }) => done));
      server.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lets viewers watch, and returns what they measured. */
async function watch({ url, pid }, viewers, ramp, stream = 0, watched = seconds) {
  const { stdout } = await run(
    "taskset",
    [
      ...["-c", clientCore, binary, "load", "whep", "--url", `${url}/whep/bench${stream}`, "--json"],
      ...["--viewers", String(viewers), "--seconds", String(watched), "--ramp", String(ramp)],
      ...["--pid", String(pid), "--sample", `${url}/api/v1/server`, "--threads", "1"],
    ],
    { maxBuffer: 1 << 26 },
  );
  return JSON.parse(stdout);
}

/** Runs the loop without a server around it. */
async function bare(trace, viewers, maxBurst) {
  const { stdout } = await run("taskset", [
    ...["-c", serverCore, binary, "load", "bare", "--trace", trace, "--viewers", String(viewers)],
    ...["--seconds", seconds, "--burst", String(maxBurst), "--drain-cpu", clientCore, "--json"],
  ]);
  return JSON.parse(stdout);
}

/** By how much the server's counters grew while measuring, all shards together. */
function growth({ begin, end }) {
  const shards = (sample) => sample?.shards ?? [];
  const total = (sample, name) => shards(sample).reduce((sum, shard) => sum + (shard[name] ?? 0), 0);
  if (shards(end).length === 0) return null;
  return (name) => total(end, name) - total(begin, name);
}

function delayOf({ samples: { begin, end } }) {
  return end ? between(begin.forwarding_delay, end.forwarding_delay) : null;
}

function row(trace, maxBurst, watched, bared) {
  const grown = growth(watched.samples);
  const out = grown?.("datagrams_out");
  const rate = watched.packets_per_cpu_second;
  const delay = delayOf(watched);
  const { before, begin } = watched.process_resident_bytes;
  return {
    trace,
    burst: maxBurst,
    viewers: watched.viewers,
    "packets/s": Math.round(watched.packets_per_second),
    "core %": round((watched.process_cpu_seconds / watched.seconds) * 100, 0),
    "packets/CPU-s": rate,
    "bare loop": bared.packets_per_cpu_second,
    ratio: round(rate / bared.packets_per_cpu_second, 2),
    "syscalls/packet": out ? round((grown("sends") + grown("receives")) / out, 3) : null,
    "mean burst": out ? round(grown("packets_out") / grown("bursts_out"), 2) : null,
    "bare's burst": bared.mean_burst,
    "loss %": watched.loss_percent,
    "delay p50 us": delay?.p50_us ?? null,
    "delay p99 us": delay?.p99_us ?? null,
    "client CPU %": round((watched.own_cpu_seconds / watched.seconds) * 100, 0),
    cipher: watched.cipher,
    resident: { before, begin },
    joined: watched.first_keyframe_after_answer_ms,
    with_keyframe: watched.with_keyframe,
    failures: watched.failures,
  };
}

const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;
const shown = (value) => (value === null || value === undefined ? "-" : String(value));

function print(rows, hidden) {
  const columns = Object.keys(rows[0]).filter((name) => !hidden.includes(name));
  const cells = [columns, ...rows.map((each) => columns.map((name) => shown(each[name])))];
  const widths = columns.map((_, at) => Math.max(...cells.map((cell) => cell[at].length)));
  const line = (cell) =>
    `| ${cell.map((text, at) => (at ? text.padStart(widths[at]) : text.padEnd(widths[at]))).join(" | ")} |`;
  console.log(line(cells[0]));
  console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  for (const cell of cells.slice(1)) console.log(line(cell));
}

/** What a distribution counted between two readings. */
function between(begin, end) {
  const before = new Map(begin.buckets);
  const counts = end.buckets.map(([upper, count]) => [upper, count - (before.get(upper) ?? 0)]);
  const total = counts.reduce((sum, [, count]) => sum + count, 0);
  const at = (share) => {
    let seen = 0;
    return counts.find(([, count]) => (seen += count) >= total * share)?.[0] ?? null;
  };
  return { count: total, p50_us: at(0.5), p99_us: at(0.99) };
}

/** Waits until so many sessions are open, and what the last of them caught up on has gone out. */
async function allThere({ url }, sessions) {
  const limit = Date.now() + 10_000;
  const open = async () => (await (await fetch(`${url}/api/v1/server`)).json()).shards[0].sessions;
  while ((await open()) < sessions && Date.now() < limit) await pause(200);
  await pause(1500);
}

/** Lets a crowd watch each of several streams; the delay is read once all have joined. */
async function watchAll(trace, streams, viewers) {
  const server = await serve(trace, 64, streams);
  const ramp = Math.max(2, (streams * viewers) / 100);
  const reading = async () => (await (await fetch(`${server.url}/api/v1/server`)).json()).forwarding_delay;
  const watching = Array.from({ length: streams }, (_, stream) =>
    watch(server, viewers, ramp, stream, Number(seconds) + 6),
  );
  await pause(ramp * 1000 + 1000);
  // Twenty programs that start at once on one core take their time, and a join's handshake is not
  // what is measured here.
  await allThere(server, streams * (viewers + 1));
  const begin = await reading();
  await pause(Number(seconds) * 1000);
  const delay = between(begin, await reading());
  const watched = await Promise.all(watching);
  await server.stop();
  const sum = (name) => watched.reduce((total, each) => total + each[name], 0);
  return {
    viewers: streams * viewers,
    connected: sum("connected"),
    rate: sum("packets_per_second"),
    loss: Math.max(...watched.map((each) => each.loss_percent)),
    core: round((watched[0].process_cpu_seconds / watched[0].seconds) * 100, 0),
    delay,
  };
}

/** Doubles the crowds until packets are lost or the core is full; then measures at half of that. */
async function delayAtHalf(trace, streams) {
  let highest = null;
  let viewers = Math.max(1, Math.round(250 / streams));
  for (; viewers * streams <= 4000; viewers *= 2) {
    const crowd = await watchAll(trace, streams, viewers);
    if (crowd.loss >= 0.1 || crowd.connected < crowd.viewers) break;
    highest = { each: viewers, ...crowd };
  }
  if (!highest) return null;
  return { streams, highest, half: await watchAll(trace, streams, Math.round(highest.each / 2)) };
}

const rows = [];
let joined = null;
let memory = null;
const loadBefore = loadavg()[0];
for (const trace of traces) {
  for (const maxBurst of bursts) {
    const server = await serve(trace, maxBurst);
    for (const [index, viewers] of crowds.entries()) {
      const watched = await watch(server, viewers, viewers >= 500 ? 5 : 2);
      const measured = row(trace, maxBurst, watched, await bare(trace, viewers, maxBurst));
      rows.push(measured);
      // Only the first crowd meets memory that nobody has used before.
      if (index === 0 && maxBurst === bursts[0]) {
        const { before, begin } = measured.resident;
        memory ??= { viewers, kib: round((begin - before) / viewers / 1024, 1) };
        joined ??= { viewers, ...measured.joined, with_keyframe: measured.with_keyframe };
      }
    }
    await server.stop();
  }
}
const delays = [];
for (const streams of options["no-delay"] ? [] : [20, 1]) {
  delays.push(await delayAtHalf(traces[0], streams));
}

console.log(`# whitewater, ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "CPU"}`);
console.log(
  `server on core ${serverCore} with one shard, clients on core ${clientCore}; ` +
    `${seconds} s each; UDP_GRO off in all receivers; cipher ${rows[0].cipher}; no sound; ` +
    `load average before: ${loadBefore.toFixed(1)}\n`,
);
print(rows, ["cipher", "resident", "joined", "with_keyframe", "failures"]);
console.log("");
console.log(`memory per connected viewer: ${memory.kib} KiB (${memory.viewers} viewers)`);
console.log(
  `${joined.viewers} viewers join${joined.viewers >= 500 ? " within 5 s" : ""}: answer to whole keyframe ` +
    `p50 ${joined.p50} ms, p95 ${joined.p95} ms, max ${joined.max} ms; ` +
    `${joined.with_keyframe} of ${joined.viewers} have one`,
);
for (const found of delays) {
  if (!found) continue;
  const { streams, highest, half } = found;
  console.log(
    `forwarding delay, ${streams} ${streams === 1 ? "stream" : "streams"}, at half of the highest rate ` +
      `with less than 0.1 % lost (${Math.round(highest.rate)} packets/s, ${highest.viewers} viewers): ` +
      `p50 ${shown(half.delay.p50_us)} us, p99 ${shown(half.delay.p99_us)} us ` +
      `(${half.viewers} viewers, ${Math.round(half.rate)} packets/s, ${half.core} % of the core, ` +
      `${half.loss} % lost)`,
  );
}
if (options.json) writeFileSync(options.json, JSON.stringify({ rows, memory, joined, delays }, null, 2));
