// Measures HLS on loopback, part by part, and prints one table.
// Run by scripts/bench.sh hls, which builds the server first; docs/bench.md explains the rows.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import {
  binary,
  compare,
  cpuSeconds,
  folder,
  freePort,
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

const { options, turns, serverCore, clientCore, bothCores } = settings("requests,held,edge,part,cpu");

/** A server, and a publisher of three layers with sound, or of one that becomes a ladder. */
async function serve(hls = "always", { core = serverCore, log = "warn", ladder = false } = {}) {
  const toml = `max_http_connections = 12000
[limits]
address_connections = 0
address_requests = 0
[recording]
enabled = false
[[streams]]
match = "*"
hls = "${hls}"
${ladder ? 'hls_ladder = "auto"' : ""}
`;
  const server = await serveWith(toml, { core, log });
  const layers = ladder ? ["--layers", "1"] : [];
  const publisher = start(clientCore, binary, ["load", "whip", "--url", `${server.url}/whip/bench`, "--json", ...layers]);
  const stop = async () => {
    await publisher.stop("SIGINT");
    await server.stop();
  };
  return { ...server, stop };
}

/** Addresses of playlists, once the stream has a few segments. */
async function paths(url) {
  for (let tries = 0; ; tries += 1) {
    const answer = await fetch(`${url}/hls/bench/index.m3u8`);
    const text = await answer.text();
    if (answer.ok) {
      await pause(6000);
      const pictures = text.split("\n").filter((line) => line && !line.startsWith("#"));
      return { pictures, sound: text.match(/URI="([^"]+)"/)?.[1], index: text };
    }
    if (tries > 60) throw new Error(`no index: ${text}`);
    await pause(500);
  }
}

// === Requests per second, against nginx with the same bytes as files ===

async function requests() {
  const server = await serve();
  const { pictures, sound } = await paths(server.url);
  const base = `${server.url}/hls/bench`;
  const text = async (path) => (await fetch(`${base}/${path}`)).text();
  // The latest part that is listed: it stays long enough to be measured.
  const part = async (path) => {
    const uri = [...(await text(path)).matchAll(/EXT-X-PART:.*URI="([^"]+)"/g)].pop()[1];
    return `${path.slice(0, path.lastIndexOf("/"))}/${uri}`;
  };
  const named = {
    "playlist.m3u8": async () => `${pictures[0]}?_HLS_msn=0`,
    "large.m4s": () => part(pictures.at(-1)),
    "small.m4s": () => part(sound),
  };
  const other = await nginx(serverCore);
  const at = { core: clientCore, seconds: options.seconds };
  for (const [name, find] of Object.entries(named)) {
    const path = await find();
    const plain = Buffer.from(await (await fetch(`${base}/${path}`)).arrayBuffer());
    const zipped = name.endsWith(".m3u8") ? gzipSync(plain) : null;
    writeFileSync(join(folder, "www", name), plain);
    if (zipped) writeFileSync(join(folder, "www", `${name}.gz`), zipped);
    const what = `${name.split(".")[0]} (${(zipped ?? plain).length} bytes)`;
    for (const tool of Object.keys(tools)) {
      const there = tool.includes("HTTP/2") ? other.http2 : other.plain;
      const ours = { pid: server.pid, url: `${base}/${path}` };
      const theirs = { pid: other.pid, url: `${there}/${name}` };
      await compare(what, ours, theirs, { turns, tool, at, goal: "0.8 or more" });
    }
  }
  await other.stop();
  await server.stop();
}

// === Held requests ===

async function held() {
  const server = await serve();
  const { pictures } = await paths(server.url);
  const { stdout } = await run("taskset", [
    ...["-c", clientCore, binary, "load", "held", "--url", `${server.url}/hls/bench/${pictures[0]}`],
    ...["--count", "5000", "--rounds", "6", "--pid", String(server.pid), "--json"],
  ]);
  const found = JSON.parse(stdout);
  const [waited, at_once] = [found.held_ms.p50, found.unheld_ms.p50];
  const what = "ms until the last of 5,000 has its playlist";
  report(what, `held ${waited}`, `not held ${at_once}`, (waited / at_once).toFixed(2), "1.5 or less");
  const mib = (bytes) => `${(bytes / 1048576).toFixed(0)} MiB`;
  report(
    "the server's memory",
    `5,000 held ${mib(found.resident_while_held)}`,
    `before ${mib(found.resident_before)}`,
    `${((found.resident_while_held - found.resident_before) / 1024 / 5000).toFixed(1)} KiB each`,
    "",
  );
  await server.stop();
}

// === Caches ===

async function edge() {
  for (const kind of ["varnish", "nginx"]) {
    // On all cores: one is too little for so many players.
    const server = await serve("always", { core: bothCores });
    await paths(server.url);
    const cache = await (kind === "varnish" ? varnish(server.url) : caching(server.url));
    const { stdout } = await run("taskset", [
      ...["-c", bothCores, binary, "load", "hls", "--url", `${cache.url}/hls/bench/index.m3u8`],
      ...["--origin", server.url, "--viewers", "200", "--seconds", "20", "--ramp", "3", "--json"],
    ]);
    const found = JSON.parse(stdout);
    const asked = await cache.requests();
    const { p50, p95, max } = found.later_than_origin_ms;
    report(
      `ms after the origin, 200 players through ${kind}`,
      `p95 ${p95}`,
      `p50 ${p50}, max ${max}`,
      `all players p95 ${found.all_ms.p95}`,
      "50 or less",
    );
    const ratio = (asked / found.distinct).toFixed(2);
    report(`requests of ${kind} at the origin`, asked, `${found.distinct} addresses`, ratio, "1.05 or less");
    report(`answers of ${kind} by status`, JSON.stringify(found.statuses), `${found.requests} asked`, "", "");
    await cache.stop();
    await server.stop();
  }
}

async function varnish(origin) {
  const { hostname, port } = new URL(origin);
  const vcl = readFileSync("deploy/varnish/whitewater.vcl", "utf8");
  writeFileSync(join(folder, "edge.vcl"), vcl.replace('"127.0.0.1"', `"${hostname}"`).replace('"8080"', `"${port}"`));
  const [own, state] = [await freePort(), join(folder, "varnish")];
  const args = ["-F", "-j", "none", "-a", `127.0.0.1:${own}`, "-n", state, "-s", "malloc,256m"];
  // It says what it does on its standard error.
  const server = start(bothCores, "/usr/sbin/varnishd", [...args, "-f", join(folder, "edge.vcl")]);
  await pause(4000);
  const requests = async () => {
    const { stdout } = await run("varnishstat", ["-1", "-n", state, "-f", "MAIN.backend_req"]);
    return Number(stdout.trim().split(/\s+/)[1]);
  };
  return { url: `http://127.0.0.1:${own}`, requests, stop: server.stop };
}

async function caching(origin) {
  const own = await freePort();
  const log = join(folder, "origin.log");
  const site = readFileSync("deploy/nginx/whitewater.conf", "utf8")
    .replace("/var/cache/nginx/whitewater", join(folder, "cache"))
    .replace("server 127.0.0.1:8080", `server ${new URL(origin).host}`)
    .replace("listen 80", `listen 127.0.0.1:${own}`)
    // What is logged is what went to the origin.
    .replace(/^\s*(access|error)_log .*\n/gm, "");
  // One line for each request that went to the origin.
  writeFileSync(
    join(folder, "edge.conf"),
    `daemon off; user root; worker_processes 1; pid ${folder}/edge.pid; error_log stderr error;
events { worker_connections 4096; }
http { map $upstream_status $asked { default 1; "" 0; } access_log ${log} combined if=$asked; ${site} }`,
  );
  const server = start(bothCores, "/usr/sbin/nginx", ["-c", join(folder, "edge.conf"), "-p", folder]);
  await pause(1000);
  const requests = async () => readFileSync(log, "utf8").trim().split("\n").length;
  return { url: `http://127.0.0.1:${own}`, requests, stop: server.stop };
}

// === From a packet to a player ===

async function part() {
  await fromPacket("a part's last packet", "15", { ladder: false, core: serverCore });
  // Encoders get both cores: the goal is of a machine that keeps up.
  await fromPacket("a transcoded part's last picture", "60", { ladder: true, core: bothCores });
}

async function fromPacket(what, goal, { ladder, core }) {
  const log = "warn,whitewater::bridge::stream=trace";
  const server = await serve("always", { core, log, ladder });
  // Each part as it is pushed, with the time since its last packet arrived, in the server's log.
  const arrived = new Map();
  createInterface(server.child.stderr).on("line", (line) => {
    const found = line.match(/^(\S+)Z .*a part is there.* rendition=(\S+) segment=(\d+) part=(\d+) waited_us=(\d+)/);
    if (!found) return;
    const [, at, rendition, segment, index, waited] = found;
    const [whole, digits] = at.split(".");
    const micros = Date.parse(`${whole}Z`) * 1000 + Number(digits.padEnd(6, "0").slice(0, 6));
    arrived.set(`${rendition}/${segment}.${index}.m4s`, { came: micros - Number(waited), waited: Number(waited) });
  });
  await paths(server.url);
  // The first parts come all at once.
  await pause(6000);
  const times = join(folder, "times");
  await run("taskset", [
    ...["-c", clientCore, binary, "load", "hls", "--url", `${server.url}/hls/bench/index.m3u8`],
    ...["--origin", server.url, "--times", times, "--seconds", "20", "--json"],
  ]);
  const [delays, inside] = [[], []];
  for (const line of readFileSync(times, "utf8").trim().split("\n")) {
    const [micros, status, path] = line.split(" ");
    const made = arrived.get(path.split("/").slice(-2).join("/"));
    // Parts that were there when the player came were not waited for.
    if (status !== "200" || !made || Number(micros) - made.came > 300_000) continue;
    if (ladder !== /\/t\d/.test(path)) continue;
    delays.push((Number(micros) - made.came) / 1000);
    inside.push(made.waited / 1000);
  }
  const at = (list, share) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) * share)]?.toFixed(1);
  report(
    `ms from ${what} to its last byte at a player, ${delays.length} parts`,
    `p50 ${at(delays, 0.5)}`,
    `p95 ${at(delays, 0.95)}`,
    `in the store p50 ${at(inside, 0.5)}`,
    `p50 ${goal} or less`,
  );
  await server.stop();
}

// === CPU of packaging ===

async function cpu() {
  const seconds = Number(options.seconds) * 5;
  const used = { always: [], off: [], bare: [] };
  for (let turn = 0; turn < turns; turn += 1) {
    for (const hls of ["always", "off"]) {
      const server = await serve(hls);
      await pause(6000);
      const before = cpuSeconds(server.pid);
      await pause(seconds * 1000);
      used[hls].push((cpuSeconds(server.pid) - before) / seconds);
      await server.stop();
    }
    used.bare.push(await bareAac(seconds));
  }
  const ours = median(used.always) - median(used.off);
  const bare = median(used.bare);
  report(
    "CPU-s per s of three layers and AAC",
    `${ours.toFixed(4)} (${median(used.always).toFixed(4)} - ${median(used.off).toFixed(4)})`,
    `bare Opus to AAC ${bare.toFixed(4)}`,
    (ours / bare).toFixed(2),
    "1.5 or less",
  );
}

/** A tone like that of `load whip` from Opus to AAC in its own time by gst-launch, without the time that it takes to start. */
async function bareAac(seconds) {
  const opus = join(folder, "tone.ogg");
  const encode = ["audiotestsrc", `num-buffers=${Math.ceil((seconds + 5) * 50)}`, "samplesperbuffer=960", "freq=440", "!"];
  await run("gst-launch-1.0", [
    ...["-q", ...encode, "audio/x-raw,rate=48000,channels=2", "!", "opusenc", "bitrate=32000", "!"],
    ...["oggmux", "!", "filesink", `location=${opus}`],
  ]);
  const pipeline = start(serverCore, "gst-launch-1.0", [
    ...["-q", "filesrc", `location=${opus}`, "!", "oggdemux", "!", "opusparse", "!", "clocksync", "!", "opusdec"],
    ...["!", "audioconvert", "!", "avenc_aac", "bitrate=128000", "!", "fakesink"],
  ]);
  await pause(3000);
  const before = cpuSeconds(pipeline.child.pid);
  await pause(seconds * 1000);
  const used = (cpuSeconds(pipeline.child.pid) - before) / seconds;
  await pipeline.stop("SIGKILL");
  return used;
}

const about = `server on core ${serverCore}, clients and publisher on core ${clientCore}`;
await measure("HLS", about, { requests, held, edge, part, cpu }, options.parts);
