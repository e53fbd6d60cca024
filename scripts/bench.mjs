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

/** Starts a server and a publisher; `stop` ends both. */
async function serve(trace, maxBurst) {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-bench-"));
  const server = spawn(
    "taskset",
    [
      ...["-c", serverCore, binary, "serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"],
      ...["--data", folder, "--shards", "1", "--max-burst", String(maxBurst)],
      ...["--max-viewers", "100000", "--log", "warn"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exited = new Promise((resolve) => server.once("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    createInterface(server.stdout).once("line", (line) => resolve(line.match(/http:\S+/)?.[0]));
    server.once("exit", (code) => reject(new Error(`the server ended: ${code}`)));
  });
  const publisher = spawn(
    "taskset",
    [
      ...["-c", clientCore, binary, "load", "whip", "--url", `${url}/whip/bench`],
      ...["--layers", "1", "--no-audio", "--trace", trace, "--json"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const published = new Promise((resolve) => publisher.once("exit", resolve));
  await pause(1500);
  return {
    url,
    pid: server.pid,
    async stop() {
      publisher.kill("SIGINT");
      await published;
      server.kill("SIGTERM");
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Lets viewers watch, and returns what they measured. */
async function watch({ url, pid }, viewers, ramp) {
  const { stdout } = await run(
    "taskset",
    [
      ...["-c", clientCore, binary, "load", "whep", "--url", `${url}/whep/bench`, "--json"],
      ...["--viewers", String(viewers), "--seconds", seconds, "--ramp", String(ramp)],
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

function delayOf(watched) {
  return watched.samples.end?.forwarding_delay ?? null;
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

/** Doubles the crowd until packets are lost or the core is full; then measures at half of that. */
async function delayAtHalf(trace) {
  let highest = null;
  for (let viewers = 250; viewers <= 4000; viewers *= 2) {
    const server = await serve(trace, 64);
    const watched = await watch(server, viewers, Math.max(2, viewers / 100));
    await server.stop();
    if (watched.loss_percent >= 0.1 || watched.connected < viewers) break;
    highest = { viewers, rate: watched.packets_per_second };
  }
  if (!highest) return null;
  const server = await serve(trace, 64);
  const half = Math.round(highest.viewers / 2);
  const watched = await watch(server, half, Math.max(2, half / 100));
  await server.stop();
  return { trace, highest, half, watched, delay: delayOf(watched) };
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
const delay = options["no-delay"] ? null : await delayAtHalf(traces[0]);

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
if (delay) {
  console.log(
    `forwarding delay at half of the highest rate with less than 0.1 % lost ` +
      `(${Math.round(delay.highest.rate)} packets/s, ${delay.highest.viewers} viewers): ` +
      `p50 ${shown(delay.delay?.p50_us)} us, p99 ${shown(delay.delay?.p99_us)} us ` +
      `(${delay.half} viewers, ${delay.watched.loss_percent} % lost)`,
  );
}
if (options.json) writeFileSync(options.json, JSON.stringify({ rows, memory, joined, delay }, null, 2));
