// Every codec that a browser sends goes through and is seen: the pattern's clock is read from pixels.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  activeLayers,
  launch,
  publish,
  stat,
  uniqueName,
  waitClocks,
  watch,
} from "./lib/browser.mjs";
import { median, print, tenth } from "./lib/figures.mjs";
import { elapsedMs } from "./lib/reader.mjs";

describe("codecs", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  for (const codec of ["H264", "VP8", "VP9", "AV1"]) {
    test(`a ${codec} simulcast stream plays and its clock is read from the pixels`, async () => {
      const stream = uniqueName(codec);
      const publisher = await publish(await browser.context(), stream, { codec });
      const viewer = await watch(await browser.context(), stream);
      const samples = await waitClocks(viewer, 120, 45_000);

      const read = samples.filter((sample) => sample.time !== null);
      const backwards = read.filter(
        (sample, i) => i > 0 && elapsedMs(read[i - 1].time, sample.time) < 0,
      );
      // The first frames may be up to a second old and are caught up with: what comes after them keeps time.
      const settled = read[read.length >> 1];
      const shownMs = read.at(-1).shown - settled.shown;
      const clockMs = elapsedMs(settled.time, read.at(-1).time);
      const inbound = await stat(viewer, "inbound-rtp", "video");
      const seen = await viewer.evaluate(() => window.whitewater.figures);
      const transport = await stat(viewer, "transport");
      const layers = await activeLayers(stream);
      print(`codec ${codec}`, {
        clocks: read.length,
        unreadable: samples.length - read.length,
        size: `${inbound.frameWidth}x${inbound.frameHeight}`,
        fps: inbound.framesPerSecond,
        freezes: inbound.freezeCount,
        ageMs: tenth(median(read.map((sample) => sample.age))),
        pageLatencyMs: tenth(seen?.latencyMs ?? NaN),
        layers: layers.map(({ rid, width, height, bitrate_bps }) => ({
          rid,
          width,
          height,
          bitrate_bps,
        })),
        cipher: transport.srtpCipher,
      });
      assert.equal(seen?.codec.toUpperCase(), codec);
      assert.equal(backwards.length, 0, "the pattern's clock went backwards");
      assert.ok(
        samples.length - read.length <= samples.length * 0.05,
        "more than 5 % of frames unreadable",
      );
      assert.ok(Math.abs(clockMs - shownMs) < 500, `the clock ran ${clockMs} ms in ${shownMs} ms`);
      assert.match(transport.srtpCipher, /GCM/, "Chromium gets a GCM cipher");
      assert.deepEqual([...publisher.problems, ...viewer.problems], []);
    });
  }
});
