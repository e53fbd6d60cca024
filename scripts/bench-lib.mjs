// What programs that measure a server share: processes on cores, the tools that ask, and the table at the end.

import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs, promisify } from "node:util";

export const binary = process.env.WHITEWATER ?? "target/release/whitewater";
export const run = promisify(execFile);
export const pause = (ms) => new Promise((done) => setTimeout(done, ms));
export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];
/** What is measured with, which goes away at the end. */
export const folder = mkdtempSync(join(tmpdir(), "whitewater-bench-"));
/** What the command line says: the parts to measure, for how long and how often, on which cores, and more. */
export function settings(parts, more = {}) {
  const { values } = parseArgs({
    options: {
      parts: { type: "string", default: parts },
      seconds: { type: "string", default: "4" },
      turns: { type: "string", default: "2" },
      "server-core": { type: "string", default: "0" },
      "client-core": { type: "string", default: "1" },
      ...more,
    },
  });
  const [serverCore, clientCore] = [values["server-core"], values["client-core"]];
  const turns = Number(values.turns);
  return { options: values, turns, serverCore, clientCore, bothCores: `${serverCore},${clientCore}` };
}

const children = new Set();
const rows = [];

/** A row of the table. */
export const report = (measured, ours, other, ratio, goal) => rows.push([measured, ours, other, ratio, goal]);

/** A process on a core that is ended by `stop`. */
export function start(core, command, args, stdout = "ignore", stderr = "inherit") {
  const child = spawn("taskset", ["-c", core, command, ...args], { stdio: ["ignore", stdout, stderr] });
  children.add(child);
  const ended = new Promise((done) => child.once("exit", done)).then(() => children.delete(child));
  const stop = async (signal = "SIGTERM") => {
    child.kill(signal);
    await ended;
  };
  return { child, stop, ended };
}

/** A port that nobody has. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** The configuration's file, and a server that has it; more arguments may follow. */
export async function serveWith(toml, { core, log = "warn", data = join(folder, "data"), args = ["--shards", "1"] }) {
  const file = join(folder, "server.toml");
  writeFileSync(file, toml);
  const server = start(
    core,
    binary,
    ["serve", "--config", file, "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--data", data, "--log", log, ...args],
    "pipe",
    log === "warn" ? "inherit" : "pipe",
  );
  const url = await new Promise((found, failed) => {
    createInterface(server.child.stdout).once("line", (line) => found(line.match(/http:\S+/)?.[0]));
    server.child.once("exit", (code) => failed(new Error(`the server ended: ${code}`)));
  });
  return { url, pid: server.child.pid, child: server.child, stop: server.stop };
}

/** CPU time of a process so far, user and system. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop().split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What a process uses while something is done. */
export async function used(pid, work) {
  const [cpu, began] = [cpuSeconds(pid), performance.now()];
  const result = await work();
  return { result, cpu: cpuSeconds(pid) - cpu, seconds: (performance.now() - began) / 1000 };
}

/** nginx in one process, which serves what lies in `root`. */
export async function nginx(core, root = join(folder, "www")) {
  const [plain, http2] = [await freePort(), await freePort()];
  mkdirSync(root, { recursive: true });
  const conf = join(folder, "nginx.conf");
  writeFileSync(
    conf,
    `daemon off; master_process off; user root; pid ${folder}/nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  open_file_cache max=100; gzip_static on;
  types { application/vnd.apple.mpegurl m3u8; video/mp4 m4s; }
  add_header Cache-Control max-age=18; add_header Access-Control-Allow-Origin *;
  server { listen 127.0.0.1:${plain}; listen 127.0.0.1:${http2} http2; root ${root}; }
}`,
  );
  const server = start(core, "/usr/sbin/nginx", ["-c", conf, "-p", folder]);
  await pause(500);
  return { pid: server.child.pid, plain: `http://127.0.0.1:${plain}`, http2: `http://127.0.0.1:${http2}`, stop: server.stop };
}

/** What asks for an address as often as it can: requests per second. */
export const tools = {
  "h2load, HTTP/1.1": (url, at) => h2load(["--h1", "-c50"], url, at),
  "h2load, HTTP/2": (url, at) => h2load(["-c10", "-m10"], url, at),
  "wrk, HTTP/1.1": async (url, { core, seconds }) => {
    const args = ["-t1", "-c50", `-d${seconds}s`, "-H", "Accept-Encoding: gzip", url];
    const { stdout } = await run("taskset", ["-c", core, "wrk", ...args]);
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(stdout);
    return Number(stdout.match(/Requests\/sec:\s+([\d.]+)/)[1]);
  },
};

async function h2load(args, url, { core, seconds }) {
  const all = [...args, "-t1", `-D${seconds}`, "--warm-up-time=1", "-H", "accept-encoding: gzip", url];
  const { stdout } = await run("taskset", ["-c", core, "h2load", ...all]);
  const codes = stdout.match(/status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/);
  if (!codes || codes.slice(2).some((count) => count !== "0")) throw new Error(stdout);
  return Number(stdout.match(/([\d.]+) req\/s/)[1]);
}

/** Asks us and nginx for the same in turns: rows of requests per second, and per second of CPU time. */
export async function compare(what, ours, theirs, { turns, tool, at, goal }) {
  const found = { ours: [], nginx: [], ourCpu: [], nginxCpu: [] };
  const idle = await used(ours.pid, () => pause(2000));
  for (let turn = 0; turn < turns; turn += 1) {
    const one = await used(ours.pid, () => tools[tool](ours.url, at));
    const two = await used(theirs.pid, () => tools[tool](theirs.url, at));
    found.ours.push(one.result);
    found.nginx.push(two.result);
    // Without what the live stream takes.
    found.ourCpu.push((one.result * one.seconds) / (one.cpu - (idle.cpu / idle.seconds) * one.seconds));
    found.nginxCpu.push((two.result * two.seconds) / two.cpu);
  }
  for (const [unit, one, two] of [["s", "ours", "nginx"], ["CPU-s", "ourCpu", "nginxCpu"]]) {
    const [a, b] = [median(found[one]), median(found[two])];
    report(`requests/${unit}, ${what}, ${tool}`, a.toFixed(0), `nginx ${b.toFixed(0)}`, (a / b).toFixed(2), goal);
  }
}

/** Measures the parts that are wanted, and prints their rows as one table. */
export async function measure(title, about, parts, wanted) {
  const loadBefore = loadavg()[0];
  process.chdir(resolve(import.meta.dirname, ".."));
  try {
    for (const name of wanted.split(",")) {
      if (!parts[name]) throw new Error(`--parts knows ${Object.keys(parts).join(", ")}, not ${name}`);
      await parts[name]();
    }
  } finally {
    for (const child of children) child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`# whitewater ${title}, ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "CPU"}`);
  console.log(`${about}; load average before: ${loadBefore.toFixed(1)}\n`);
  const table = [["measured", "ours", "against", "ratio", "goal"], ...rows.map((row) => row.map(String))];
  const widths = table[0].map((_, at) => Math.max(...table.map((row) => row[at].length)));
  table.splice(1, 0, widths.map((width) => "-".repeat(width)));
  for (const row of table) console.log(`| ${row.map((cell, at) => cell.padEnd(widths[at])).join(" | ")} |`);
}
