// Measures recording and replay on loopback, part by part, and prints one table.
// Run by scripts/bench.sh recording, which builds the server first; docs/bench.md explains the rows.

import { linkSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import {
  binary,
  compare,
  cpuSeconds,
  folder,
  measure,
  median,
  nginx,
  pause,
  report,
  run,
  serveWith,
  settings,
  start,
  tools,
} from "./bench-lib.mjs";

const { options, turns, serverCore, clientCore, bothCores } = settings("cost,many,replay,long", {
  hours: { type: "string", default: "2" },
});
const at = { core: clientCore, seconds: options.seconds };
const PART_TARGET_MS = 334;

/** A server whose streams are recorded or not, and whose `data` outlives it. */
function serve({ record = "always", hls = "on_demand", renditions = ["source"], data, ...more }) {
  const toml = `max_http_connections = 12000
[limits]
address_requests_per_s = 0
address_connections = 0
address_requests = 0
[[streams]]
match = "*"
hls = "${hls}"
record = "${record}"
record_renditions = ${JSON.stringify(renditions)}
`;
  return serveWith(toml, { core: serverCore, data: join(folder, data), ...more });
}

/** A publisher with sound. */
const publish = (core, url, stream, ...args) =>
  start(core, binary, ["load", "whip", "--url", `${url}/whip/${stream}`, "--json", ...args]);

const recordings = async ({ url }) => (await (await fetch(`${url}/api/v1/recordings`)).json()).items;

// === What recording costs ===

async function cost() {
  const seconds = Number(options.seconds) * 5;
  const policies = {
    neither: { record: "off", hls: "on_demand" },
    recorded: { record: "always", hls: "on_demand" },
    live: { record: "off", hls: "always" },
    both: { record: "always", hls: "always" },
  };
  const cpu = Object.fromEntries(Object.keys(policies).map((name) => [name, []]));
  let stored = {};
  for (let turn = 0; turn < turns; turn += 1) {
    for (const [name, policy] of Object.entries(policies)) {
      const server = await serve({ ...policy, data: `cost-${name}-${turn}` });
      const publisher = publish(clientCore, server.url, "bench");
      await pause(8000);
      const sizes = async () => (await recordings(server))[0];
      const [before, from] = [cpuSeconds(server.pid), await sizes()];
      await pause(seconds * 1000);
      cpu[name].push((cpuSeconds(server.pid) - before) / seconds);
      if (name === "both") stored = { from, to: await sizes() };
      await publisher.stop("SIGINT");
      await server.stop();
    }
  }
  const { neither, recorded, live, both } = Object.fromEntries(
    Object.entries(cpu).map(([name, list]) => [name, median(list)]),
  );
  const what = "CPU-s per s of recording three layers and Opus";
  const share = (a, b) => [(a - b).toFixed(4), `${b.toFixed(4)} without`, (a / b).toFixed(2), ""];
  report(`${what}, on top of live HLS`, ...share(both, live));
  report(`${what}, where nobody plays HLS`, ...share(recorded, neither));
  const duration = stored.to.duration_s - stored.from.duration_s;
  const mbit = (((stored.to.bytes - stored.from.bytes) * 8) / duration / 1e6).toFixed(2);
  const perHour = (((stored.to.bytes - stored.from.bytes) / duration) * 3600) / 1e9;
  report("Mbit/s stored of three layers and Opus", mbit, "", `${perHour.toFixed(2)} GB an hour`, "");
}

// === Many at once ===

async function many() {
  await parallel("AAC", 10, ["source", "aac"]);
  await parallel("Opus only", 50, ["source"]);
}

/** How late the parts of many streams that are recorded at once come into the store. */
async function parallel(what, count, renditions) {
  const log = "warn,whitewater::bridge::stream=trace";
  const data = `many-${count}`;
  const server = await serve({ renditions, data, log, core: bothCores, args: [] });
  const parts = new Map();
  const waits = [];
  let measuring = false;
  createInterface(server.child.stderr).on("line", (line) => {
    const found = line.match(/^(\S+)Z .*a part is there stream=(\S+) rendition=(\S+) .*?(?:waited_us=(\d+))?$/);
    if (!found || !measuring) return;
    const [, when, stream, rendition, waited] = found;
    // Of transcoded sound it is not known.
    if (waited) waits.push(Number(waited) / 1000);
    const key = `${stream}/${rendition}`;
    parts.set(key, [...(parts.get(key) ?? []), Date.parse(`${when}Z`)]);
  });
  const args = ["--layers", "1", "--trace", "browser-1100k-4ppf"];
  const publishers = [];
  for (let ix = 0; ix < count; ix += 1) {
    publishers.push(publish(bothCores, server.url, `bench-${ix}`, ...args));
    await pause(100);
  }
  await pause(12_000);
  measuring = true;
  const seconds = Number(options.seconds) * 5;
  const before = cpuSeconds(server.pid);
  await pause(seconds * 1000);
  measuring = false;
  const cpu = (cpuSeconds(server.pid) - before) / seconds;
  const all = await recordings(server);
  for (const publisher of publishers) await publisher.stop("SIGINT");
  await server.stop();
  const failed = all.filter(({ state }) => state === "failed").length;
  // A part may last as long as its target; what is longer between two is late.
  const gaps = [...parts.values()].flatMap((times) => times.slice(1).map((time, ix) => time - times[ix]));
  const late = gaps.map((gap) => Math.max(0, gap - PART_TARGET_MS)).sort((a, b) => a - b);
  const most = late.at(-1);
  const missing = `${all.length} recorded, ${failed} failed, ${parts.size} renditions, ${gaps.length} parts`;
  report(
    `ms that parts are late, ${count} streams at once, ${what}`,
    `most ${most}, p99 ${late[Math.floor(late.length * 0.99)]}`,
    missing,
    (most / PART_TARGET_MS).toFixed(2),
    "1 or less",
  );
  waits.sort((a, b) => a - b);
  report(
    `ms from a part's last packet into the store, ${count} streams, ${what}`,
    `most ${waits.at(-1).toFixed(0)}, p99 ${waits[Math.floor(waits.length * 0.99)].toFixed(0)}`,
    `p50 ${median(waits).toFixed(1)}`,
    `${((cpu / count) * 100).toFixed(1)} % of a core each`,
    "",
  );
}

// === Replay ===

/** A recording of half a minute, in a folder of its own, and what the server says of it. */
async function recorded(data) {
  const server = await serve({ data });
  const publisher = publish(clientCore, server.url, "bench");
  await pause(30_000);
  await publisher.stop("SIGINT");
  for (;;) {
    const [recording] = await recordings(server);
    if (recording?.state === "ready") {
      await server.stop();
      return recording;
    }
    await pause(200);
  }
}

/** The addresses of a recording's best picture: its playlist, and a segment in its middle. */
async function addresses(url, recording) {
  const index = `${url}${recording.hls}`;
  const base = index.slice(0, index.lastIndexOf("/") + 1);
  const text = await (await fetch(index)).text();
  const playlist = base + text.split("\n").filter((line) => line && !line.startsWith("#")).at(-1);
  const lines = (await (await fetch(playlist)).text()).split("\n").filter((line) => line && !line.startsWith("#"));
  const near = playlist.slice(0, playlist.lastIndexOf("/") + 1);
  return { index, playlist, first: near + lines[0], segment: near + lines[Math.floor(lines.length / 2)] };
}

async function replay() {
  const recording = await recorded("replay");
  const server = await serve({ data: "replay", record: "off" });
  const { playlist, segment } = await addresses(server.url, recording);
  const other = await nginx(serverCore);
  const large = await bytes(segment);
  for (const [name, url] of Object.entries({ "playlist.m3u8": playlist, "segment.m4s": segment })) {
    const plain = await bytes(url);
    writeFileSync(join(folder, "www", name), plain);
    const zipped = name.endsWith(".m3u8") ? gzipSync(plain) : null;
    if (zipped) writeFileSync(join(folder, "www", `${name}.gz`), zipped);
    for (const tool of Object.keys(tools)) {
      const there = tool.includes("HTTP/2") ? other.http2 : other.plain;
      const what = `a recording's ${name.split(".")[0]} (${(zipped ?? large).length} bytes)`;
      const theirs = { pid: other.pid, url: `${there}/${name}` };
      await compare(what, { pid: server.pid, url }, theirs, { turns, tool, at, goal: "" });
    }
  }
  await other.stop();
  await server.stop();
}

const bytes = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());

// === The start of a long one ===

async function long() {
  const recording = await recorded("long");
  const segments = stretch(recording, Number(options.hours) * 3600);
  const server = await serve({ data: "long", record: "off" });
  const found = { index: [], playlist: [], first: [], middle: [] };
  let size = 0;
  for (let turn = 0; turn < Math.max(turns, 3); turn += 1) {
    const { index, playlist, first, segment } = await addresses(server.url, recording);
    for (const [name, url] of Object.entries({ index, playlist, first, middle: segment })) {
      const { took, length } = await timed(url);
      found[name].push(took);
      if (name === "playlist") size = length;
    }
  }
  await server.stop();
  // The first to ask after a start reads the index from the disk.
  const cold = await serve({ data: "long", record: "off" });
  const firstOf = await timed(`${cold.url}${recording.hls}`);
  await cold.stop();
  const hours = `${options.hours} h, ${segments} segments`;
  report(`ms to the index of ${hours}`, median(found.index).toFixed(1), `after a start ${firstOf.took.toFixed(1)}`, "", "");
  report(`ms to the playlist of ${hours}`, median(found.playlist).toFixed(1), `${(size / 1024).toFixed(0)} KiB gzipped`, "", "");
  const [first, middle] = [median(found.first).toFixed(1), median(found.middle).toFixed(1)];
  report(`ms to a segment of ${hours}`, `first ${first}`, `in the middle ${middle}`, "", "");
}

/** How long an answer takes, and how long it is on the wire. */
async function timed(url) {
  const { stdout } = await run("curl", [
    ...["-sS", "-o", "/dev/null", "-H", "Accept-Encoding: gzip", "-w", "%{http_code} %{time_total} %{size_download}", url],
  ]);
  const [status, seconds, length] = stdout.split(" ").map(Number);
  if (status !== 200) throw new Error(`${status} for ${url}`);
  return { took: seconds * 1000, length };
}

/** Makes a recording as long as wanted of itself, over and over: its files are linked, its index says the rest. */
function stretch(recording, seconds) {
  const place = join(folder, "long", "recordings", recording.stream, recording.id);
  const read = (name) => readFileSync(join(place, name), "utf8");
  const lines = read("index.jsonl").trim().split("\n").map((line) => JSON.parse(line));
  const { renditions } = JSON.parse(read("recording.json"));
  const made = lines.filter((line) => "init" in line);
  let most = 0;
  renditions.forEach(({ name, timescale }, r) => {
    const own = lines.filter((line) => line.r === r && "n" in line);
    const last = own.at(-1);
    let [number, time, wall] = [last.n, last.t + last.d, last.w];
    const all = [...own];
    while (time < seconds * timescale) {
      const like = own[1 + (all.length % (own.length - 1))];
      number += 1;
      wall += Math.round((like.d / timescale) * 1e6);
      linkSync(join(place, name, `${like.n}.m4s`), join(place, name, `${number}.m4s`));
      all.push({ ...like, n: number, t: time, w: wall });
      time += like.d;
    }
    most = Math.max(most, all.length);
    made.push(...all);
  });
  writeFileSync(join(place, "index.jsonl"), made.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const end = { ...JSON.parse(read("end.json")), duration_s: seconds };
  writeFileSync(join(place, "end.json"), JSON.stringify(end));
  return most;
}

const about = `server on core ${serverCore}, clients and publisher on core ${clientCore}; many on both`;
await measure("recording", about, { cost, many, replay, long }, options.parts);
