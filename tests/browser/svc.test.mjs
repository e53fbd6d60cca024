// Scalable pictures: a viewer chooses sizes and frame rates of one encoding, and the picture goes on.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  activeLayers,
  forget,
  launch,
  publish,
  samples,
  stat,
  uniqueName,
  until,
  waitClocks,
  watch,
} from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";
import { elapsedMs } from "./lib/reader.mjs";

// Loose, for a busy machine: of 30 frames/s the lowest temporal layer shows one every 133 ms, and an
// encoder that is short of time makes fewer.
const GAP_MS = 2_500;
const SWITCH_MS = 9_000;

describe("scalable pictures", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  for (const [codec, svc] of [
    ["VP9", "L3T3"],
    ["AV1", "L3T3"],
    ["VP9", "L3T3_KEY"],
    ["AV1", "L1T3"],
  ]) {
    test(`sizes and frame rates of ${codec} ${svc} are chosen without a freeze`, async () => {
      const stream = uniqueName("svc");
      // Chromium sends this size in two spatial layers at most.
      const settings = { codec, svc, resolution: "360", bitrate: "800" };
      const publisher = await publish(await browser.context(), stream, settings);
      const viewer = await watch(await browser.context(), stream);
      await waitClocks(viewer, 30, 45_000);
      const spatial = svc.startsWith("L1") ? 1 : 2;
      const parts = await until("all parts", () => allParts(stream, spatial * 3), 40_000);
      const whole = parts.at(-1);
      const encoder = await stat(publisher, "outbound-rtp", "video");

      await forget(viewer);
      const figures = {};
      if (spatial > 1) {
        const low = parts[0];
        assert.ok(low.width < whole.width, `${low.width} is the smaller width`);
        figures.downMs = await choose(viewer, { spatialLayerId: 0 }, low.width);
        figures.upMs = await choose(viewer, {}, whole.width);
      }
      const fast = await shareOfFrames(viewer, stream);
      await choose(viewer, { temporalLayerId: 0 }, null);
      const slow = await shareOfFrames(viewer, stream);
      await choose(viewer, {}, null);
      const again = await shareOfFrames(viewer, stream);

      const taken = await samples(viewer);
      const gaps = taken.slice(1).map((sample, i) => sample.shown - taken[i].shown);
      const read = taken.filter((sample) => sample.time !== null);
      const steps = read.slice(1).map((sample, i) => elapsedMs(read[i].time, sample.time));
      const inbound = await stat(viewer, "inbound-rtp", "video");
      print(`svc ${codec} ${svc}`, {
        mode: encoder.scalabilityMode,
        parts: parts.map((part) => [
          part.spatial_layer_id,
          part.temporal_layer_id,
          part.width,
          Math.round(part.fps),
          part.bitrate_bps,
        ]),
        ...figures,
        share: { fast: tenth(fast), slow: tenth(slow), again: tenth(again) },
        largestGapMs: tenth(Math.max(...gaps)),
        plis: inbound.pliCount,
        lost: inbound.packetsLost,
      });
      for (const ms of Object.values(figures)) {
        assert.ok(ms <= SWITCH_MS, `a change of size took ${ms} ms`);
      }
      // The lowest of three temporal layers has a quarter of the frames.
      assert.ok(slow > 10 && slow < 50, `${slow} % of the frames are of the slowest layer`);
      assert.ok(fast > 65 && again > 65, `${fast} %, then ${again} % of all frames`);
      assert.ok(Math.max(...gaps) <= GAP_MS, `a gap of ${Math.max(...gaps)} ms`);
      assert.ok(!steps.some((step) => step < 0), "the pattern's clock went backwards");
      assert.ok(read.length > taken.length * 0.9, "more than a tenth of frames unreadable");
      assert.equal(inbound.pliCount, 0, "the viewer's decoder missed something");
      assert.equal(inbound.packetsLost, 0, "the numbers have holes");
      assert.deepEqual([...publisher.problems, ...viewer.problems], []);
    });
  }

  test("the watch page lists the sizes and frame rates and chooses them", async () => {
    const stream = uniqueName("svcmenu");
    const settings = { codec: "VP9", svc: "L3T3_KEY", resolution: "360", bitrate: "800" };
    await publish(await browser.context(), stream, settings);
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30, 45_000);
    const small = viewer.getByRole("radio", { name: "S0" });
    await small.waitFor({ timeout: 30_000 });
    await small.check();
    const width = () => document.querySelector("#video").videoWidth;
    await viewer.waitForFunction(() => document.querySelector("#video").videoWidth === 320);
    const rate = viewer.getByLabel("Frame rate");
    const rates = await rate.locator("option").allTextContents();
    assert.equal(rates.length, 3, `${rates}`);
    await rate.selectOption("0");
    await viewer.getByRole("radio", { name: /^Auto/ }).check();
    await viewer.waitForFunction(() => document.querySelector("#video").videoWidth === 640);
    assert.equal(await viewer.evaluate(width), 640);
    assert.deepEqual(viewer.problems, []);
  });

  // Chromium decodes nothing of several sizes without the descriptor, between two pages neither.
  for (const [svc, parts, width] of [
    ["L1T3", 3, 640],
    ["L3T3", 6, 320],
  ]) {
    test(`a viewer without the dependency descriptor gets all of AV1 ${svc} that it can decode`, async () => {
      const stream = uniqueName("svcplain");
      const settings = { codec: "AV1", svc, resolution: "360", bitrate: "800" };
      await publish(await browser.context(), stream, settings);
      const context = await browser.context();
      await context.addInitScript(() => {
        delete RTCRtpTransceiver.prototype.setHeaderExtensionsToNegotiate;
      });
      const viewer = await watch(context, stream);
      await waitClocks(viewer, 30, 45_000);
      await until("all parts", () => allParts(stream, parts), 40_000);
      await choose(viewer, { temporalLayerId: 0 }, null);
      const share = await shareOfFrames(viewer, stream);
      print(`svc AV1 ${svc} without the descriptor`, { share: tenth(share) });
      assert.ok(share > 65, `${share} % of the frames`);
      const inbound = await stat(viewer, "inbound-rtp", "video");
      assert.equal(inbound.packetsLost, 0);
      assert.equal(inbound.pliCount, 0, "the viewer's decoder missed something");
      assert.equal(inbound.frameWidth, width);
    });
  }
});

/** The parts of the one layer once there are so many. */
async function allParts(stream, count) {
  const [layer] = await activeLayers(stream);
  return layer?.parts.length === count && layer.parts;
}

/** Asks for a part; with a width, the ms after which it was shown. */
async function choose(viewer, choice, width) {
  return viewer.evaluate(
    async ([choice, width]) => {
      const from = performance.timeOrigin + performance.now();
      const response = await fetch(`${window.whitewater.session}/layer`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(choice),
      });
      if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
      const isIt = (sample) => sample.shown >= from && sample.width === width;
      while (width !== null && !window.reader.samples.some(isIt)) {
        if (performance.timeOrigin + performance.now() - from > 10_000) return Infinity;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return Math.round(performance.timeOrigin + performance.now() - from);
    },
    [choice, width],
  );
}

/** How many per cent of the frames that reach the server a viewer receives. */
async function shareOfFrames(viewer, stream) {
  // A change takes effect with the next picture.
  await viewer.waitForTimeout(1_500);
  const received = async () => (await stat(viewer, "inbound-rtp", "video")).framesReceived;
  const [from, before] = [Date.now(), await received()];
  let sent = 0;
  for (let second = 0; second < 4; second++) {
    await viewer.waitForTimeout(1_000);
    const [layer] = await activeLayers(stream);
    sent += layer.fps / 4;
  }
  const seconds = (Date.now() - from) / 1_000;
  return (((await received()) - before) / seconds / sent) * 100;
}
