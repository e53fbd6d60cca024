// Measures what a person sees, in real browsers on loopback, and prints one table. It judges nothing.
// Run by scripts/bench.sh glass, which builds the server first; docs/bench.md explains the rows.

import { writeFileSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { forget, launch, publish, samples, stat, uniqueName, useServer, waitClocks, watch } from "./lib/browser.mjs";
import { median, quantile, tenth } from "./lib/figures.mjs";
import { startServer } from "./lib/server.mjs";

const { values: options } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, parts: { type: "string", default: "hls,keyframes" } },
});
const seconds = Number(options.seconds);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const load = loadavg()[0];
const rows = [];

/** A server whose streams have this policy; an empty one is the default. */
async function serve(policy) {
  const file = join(tmpdir(), `${uniqueName("bench")}.toml`);
  writeFileSync(file, policy && `[[streams]]\nmatch = "*"\n${policy}\n`);
  const server = await startServer({ args: ["--config", file] });
  useServer(server.url);
  return server;
}

/** The ages of the pictures that a page shows from now on. */
async function ages(page) {
  await forget(page);
  await pause(seconds * 1000);
  return (await samples(page)).map((sample) => sample.age).filter((age) => age !== null);
}

/** From the pattern's clock to the same clock at a player, over HLS and over WebRTC, of the same publisher. */
async function hls(browser) {
  const server = await serve("");
  const stream = uniqueName("glass");
  await publish(await browser.context(), stream, { codec: "H264", resolution: "720" });
  for (const protocol of ["hls", "whep"]) {
    const viewing = await browser.context();
    const viewer = await watch(viewing, stream, { query: `?protocol=${protocol}` });
    await waitClocks(viewer, 60, 60_000);
    // What a player needs to find the live edge is not what is measured.
    await pause(8_000);
    const stalls = () => viewer.evaluate(() => window.whitewater.figures.stalls ?? window.whitewater.figures.freezes);
    const before = await stalls();
    const found = await ages(viewer);
    rows.push({
      measured: `glass to glass, 720p simulcast to ${protocol === "hls" ? "hls.js" : "WebRTC"}`,
      "median ms": tenth(median(found)),
      "p95 ms": tenth(quantile(found, 0.95)),
      stalls: (await stalls()) - before,
      goal: protocol === "hls" ? "median 1600, no stall" : "",
    });
    await viewing.close();
  }
  await browser.reset();
  await server.stop();
}

/** What keyframes for segments cost those who watch over WebRTC. */
async function keyframes(browser) {
  const policies = [
    ["no HLS", 'hls = "off"'],
    ["segments of 2 s", 'hls = "always"'],
    ["segments of 4 s", 'hls = "always"\nhls_segment_s = 4'],
  ];
  for (const [what, policy] of policies) {
    const server = await serve(policy);
    const stream = uniqueName("keyframes");
    const settings = { codec: "H264", resolution: "720", simulcast: "0", bitrate: "2500" };
    const publisher = await publish(await browser.context(), stream, settings);
    const viewer = await watch(await browser.context(), stream, { before: countFrames });
    await waitClocks(viewer, 60);
    await pause(8_000);
    const sent = await stat(publisher, "outbound-rtp", "video");
    await viewer.evaluate(() => void (window.counted = { key: 0, delta: 0, keyframes: 0 }));
    const found = await ages(viewer);
    const after = await stat(publisher, "outbound-rtp", "video");
    const { key, delta, keyframes } = await viewer.evaluate(() => window.counted);
    rows.push({
      measured: `WebRTC viewer, 720p, ${what}`,
      "median ms": tenth(median(found)),
      "p95 ms": tenth(quantile(found, 0.95)),
      keyframes,
      "bits in keyframes": `${tenth((100 * key) / (key + delta))} %`,
      "kbit/s": Math.round(((key + delta) * 8) / seconds / 1000),
      "mean QP": tenth((after.qpSum - sent.qpSum) / (after.framesEncoded - sent.framesEncoded)),
    });
    await browser.reset();
    await server.stop();
  }
}

/** In a viewer's page, before its own scripts: counts what each received frame takes. */
function countFrames() {
  window.counted = { key: 0, delta: 0, keyframes: 0 };
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(configuration = {}) {
      super({ ...configuration, encodedInsertableStreams: true });
      this.addEventListener("track", ({ track, receiver }) => {
        const { readable, writable } = receiver.createEncodedStreams();
        const transform = (frame, controller) => {
          if (track.kind === "video") {
            window.counted[frame.type] += frame.data.byteLength;
            window.counted.keyframes += frame.type === "key" ? 1 : 0;
          }
          controller.enqueue(frame);
        };
        void readable.pipeThrough(new TransformStream({ transform })).pipeTo(writable);
      });
    }
  };
}

const parts = { hls, keyframes };
const browser = await launch();
try {
  for (const name of options.parts.split(",")) {
    if (!parts[name]) throw new Error(`--parts knows ${Object.keys(parts).join(", ")}, not ${name}`);
    await parts[name](browser);
  }
} finally {
  await browser.close();
}
console.log(`# whitewater in Chromium, ${new Date().toISOString().slice(0, 10)}, ${cpus()[0]?.model ?? "CPU"}`);
console.log(`browsers and server share all cores; ${seconds} s each; load average before: ${load.toFixed(1)}\n`);
const heads = [...new Set([...rows.flatMap((row) => Object.keys(row).filter((key) => key !== "goal")), "goal"])];
const table = [heads, heads.map(() => "---"), ...rows.map((row) => heads.map((head) => String(row[head] ?? "")))];
for (const line of table) console.log(`| ${line.join(" | ")} |`);
