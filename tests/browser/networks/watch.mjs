// Watches a stream with the watch page and prints what it saw after its first five seconds, as JSON.
//
//   WHITEWATER_URL=... node watch.mjs STREAM SECONDS

import { base, launch, stat } from "../lib/browser.mjs";

const [stream, seconds] = process.argv.slice(2);
const SETTLING_MS = 5_000;

const browser = await launch();
try {
  const page = await (await browser.context()).newPage();
  await page.addInitScript(observe);
  const begun = Date.now();
  await page.goto(`${base}/watch/${stream}`);
  await page.waitForFunction(() => window.shown.length > 0, undefined, { timeout: 30_000 });
  const firstFrameS = (Date.now() - begun) / 1000;
  await page.waitForTimeout(SETTLING_MS);
  const before = await stat(page, "inbound-rtp", "video");
  const carriedBefore = await stat(page, "transport");
  const from = await page.evaluate(() => performance.now());
  await page.waitForTimeout(Number(seconds) * 1000);
  const after = await stat(page, "inbound-rtp", "video");
  const carriedAfter = await stat(page, "transport");
  const shown = await page.evaluate(() => [...window.shown, { at: performance.now(), end: true }]);
  // The frame before the window begins it: a freeze across its edge counts whole.
  const first = Math.max(shown.findIndex((frame) => frame.at >= from) - 1, 0);
  const times = shown.slice(first).map((frame) => frame.at);
  const gaps = times.slice(1).map((at, i) => at - times[i]);
  const heights = shown.filter((frame) => !frame.end).map((frame) => frame.height);
  const elapsedS = (carriedAfter.timestamp - carriedBefore.timestamp) / 1000;
  // As the path carries it: with IP and UDP around each packet.
  const bytes = (entry) => entry.bytesReceived + 28 * entry.packetsReceived;
  process.stdout.write(
    JSON.stringify({
      firstFrameS,
      frames: after.framesDecoded - before.framesDecoded,
      dropped: after.framesDropped - before.framesDropped,
      freezes: after.freezeCount - before.freezeCount,
      frozenS: after.totalFreezesDuration - before.totalFreezesDuration,
      longestFreezeMs: Math.max(...gaps),
      bps: ((bytes(carriedAfter) - bytes(carriedBefore)) * 8) / elapsedS,
      heights: heights.filter((height, i) => height !== heights[i - 1]),
    }),
  );
} finally {
  await browser.close();
}

/** In the page: notes when each frame is shown, and how high it is. */
function observe() {
  window.shown = [];
  const watchVideo = (video) => {
    const note = (_, frame) => {
      window.shown.push({ at: performance.now(), height: frame.height });
      video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
  };
  addEventListener("DOMContentLoaded", () => watchVideo(document.querySelector("#video")));
}
