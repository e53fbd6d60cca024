// HLS in the pages: how late it is by the clock in the pixels, its controls, and when the pages turn to it.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
  forget,
  launch,
  newPicture,
  publish,
  samples,
  streamInfo,
  uniqueName,
  until,
  useServer,
  waitClocks,
  waitLive,
  watch,
} from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";
import { startServer } from "./lib/server.mjs";
import { ageNow, changeQuality, lookBack, qualitiesOf, throughReload } from "./lib/watching.mjs";

/** What HLS can carry, in three sizes. */
const SETTINGS = { codec: "H264", resolution: "720" };
const HLS = { query: "?protocol=hls" };
const LATE_MS = 4_000;
/** Packaging starts with the first viewer, and machines are busy. */
const START_MS = 60_000;
const CHANGE_MS = 30_000;

describe("HLS in the pages", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  test("the picture is less than four seconds late, in every quality, and after a look back", async () => {
    const stream = uniqueName("hls");
    await publish(await browser.context(), stream, SETTINGS);
    const viewer = await watch(await browser.context(), stream, HLS);
    await waitClocks(viewer, 60, START_MS);
    assert.equal(await viewer.evaluate(() => window.whitewater.protocol), "hls");
    const first = await ageNow(viewer);
    const shown = await viewer.evaluate(() => window.whitewater.figures.latencyMs);
    assert.ok(first < LATE_MS, `the picture is ${first} ms late`);
    assert.ok(Math.abs(shown - first) < 1_500, `the page says ${shown} ms, the pixels ${first} ms`);

    const qualities = await qualitiesOf(viewer);
    const downMs = await changeQuality(viewer, qualities.at(-1), CHANGE_MS);
    const upMs = await changeQuality(viewer, qualities[1], CHANGE_MS);
    const changed = await ageNow(viewer);
    assert.ok(changed < LATE_MS, `after two changes the picture is ${changed} ms late`);

    const back = await lookBack(viewer);
    await viewer.press("#go-live", "Enter");
    await until("the live picture", async () => (await samples(viewer)).at(-1)?.age < LATE_MS);
    const live = await ageNow(viewer);
    const { stalls, dropped } = await viewer.evaluate(() => window.whitewater.figures);
    assert.ok((await metricsOf()).latencies >= 1, "its beacons tell its latency");
    print("hls", {
      qualities,
      latencyMs: tenth(first),
      latencyShownMs: tenth(shown),
      downMs,
      upMs,
      latencyAfterChangesMs: tenth(changed),
      backMs: tenth(back),
      latencyAfterGoLiveMs: tenth(live),
      stalls,
      dropped,
    });
    assert.ok(live < LATE_MS, `after going live the picture is ${live} ms late`);
    assert.deepEqual(viewer.problems, []);
  });

  test("what is published in VP8 is seen too, with its sound, less than five seconds late", async () => {
    const stream = uniqueName("hls-vp8");
    // As small as it gets: it is decoded and encoded beside all else that runs here.
    const small = { codec: "VP8", resolution: "360", simulcast: "0" };
    await publish(await browser.context(), stream, small);
    const viewer = await watch(await browser.context(), stream, HLS);
    await waitClocks(viewer, 90, START_MS);
    const late = await ageNow(viewer);
    const { height, sound } = await viewer.evaluate(() => {
      const video = document.querySelector("#video");
      return { height: video.videoHeight, sound: video.webkitAudioDecodedByteCount };
    });
    const { stalls, dropped } = await viewer.evaluate(() => window.whitewater.figures);
    print("hls of VP8", { latencyMs: tenth(late), height, stalls, dropped });
    assert.ok(late < LATE_MS + 1_000, `the picture is ${late} ms late`);
    assert.ok(height >= 90 && height <= 360, `${height}`);
    assert.ok(sound > 0, "there is sound");
    assert.deepEqual(viewer.problems, []);
  });

  test("a viewer who was there first goes on when the publisher reloads its page", async () => {
    const stream = uniqueName("hls-reload");
    const { viewer, firstMs, backMs } = await throughReload(browser, stream, {
      options: HLS,
      settings: SETTINGS,
    });
    await forget(viewer);
    await waitClocks(viewer, 60);
    const late = await ageNow(viewer);
    print("hls publisher reloads", { firstMs, backMs, latencyMs: tenth(late) });
    assert.equal(await viewer.evaluate(() => window.whitewater.protocol), "hls");
    // Whoever lost a second to the change is brought back by a faster pace.
    assert.ok(late < 2 * LATE_MS, `the picture is ${late} ms late`);
  });

  test("whoever watches over WebRTC loads nothing of HLS, and can choose it", async () => {
    const stream = uniqueName("hls-choice");
    await publish(await browser.context(), stream, SETTINGS);
    const context = await browser.context();
    const requests = [];
    context.on("request", (request) => requests.push(new URL(request.url()).pathname));
    const viewer = await watch(context, stream);
    await waitLive(viewer);
    await waitClocks(viewer, 30);
    const ofHls = () => requests.filter((path) => /^\/hls\/|\/assets\/hls/.test(path));
    assert.deepEqual(ofHls(), []);
    assert.equal(await viewer.textContent("#protocol-line"), "In real time over WebRTC.");

    await viewer.focus('input[name="protocol"][value="whep"]');
    await viewer.keyboard.press("ArrowRight");
    await viewer.waitForFunction(() => window.whitewater.protocol === "hls");
    await newPicture(viewer, START_MS);
    assert.notDeepEqual(ofHls(), []);
    assert.match(await viewer.textContent("#protocol-line"), /^HLS.* as you chose\.$/);
    await viewer.keyboard.press("ArrowLeft");
    await waitLive(viewer);
    await forget(viewer);
    await waitClocks(viewer, 30);
    assert.ok((await ageNow(viewer)) < 1_500, "in real time again");
  });

  test("a viewer whose WebRTC does not connect is given HLS, in the watch page and embedded", async () => {
    const stream = uniqueName("hls-blocked");
    await publish(await browser.context(), stream, SETTINGS);
    const viewer = await watch(await browser.context(), stream, { before: blockWebRtc });
    const from = Date.now();
    const firstMs = (await newPicture(viewer, START_MS)) - from;
    assert.equal(
      await viewer.textContent("#protocol-line"),
      "WebRTC could not connect from here: playing HLS, about two seconds behind.",
    );
    print("hls in place of WebRTC", { firstMs });

    const embedded = await (await browser.context()).newPage();
    await embedded.addInitScript(blockWebRtc);
    await embedded.goto(`${base}/embed/${stream}`);
    await embedded.waitForFunction(
      () =>
        window.whitewater.protocol === "hls" && document.querySelector("#video").currentTime > 0,
      undefined,
      { timeout: START_MS },
    );

    const stubborn = await watch(await browser.context(), stream, {
      query: "?protocol=whep",
      before: blockWebRtc,
    });
    const says = () =>
      /no media connection came up/.test(document.querySelector("#state").textContent);
    await stubborn.waitForFunction(says, undefined, { timeout: 60_000 });
    assert.equal(await stubborn.evaluate(() => window.whitewater.protocol), "whep");
    assert.equal(await stubborn.isVisible("#protocol-card"), false);
  });

  test("a viewer beyond the server's limit is given HLS", async () => {
    const usual = base;
    const server = await startServer({ args: ["--max-viewers", "1"] });
    useServer(server.url);
    try {
      const stream = uniqueName("hls-full");
      await publish(await browser.context(), stream, SETTINGS);
      await waitLive(await watch(await browser.context(), stream));
      const second = await watch(await browser.context(), stream);
      await newPicture(second, START_MS);
      assert.equal(await second.evaluate(() => window.whitewater.protocol), "hls");
      assert.match(await second.textContent("#protocol-line"), /^The server takes no more viewers/);

      // Its beacon counts it beside the one over WebRTC, until it leaves.
      await second.waitForFunction(
        () => document.querySelector("#viewers").textContent === "2 viewers, 1 over HLS",
      );
      const { viewers, hls_viewers } = await streamInfo(stream);
      assert.deepEqual({ viewers, hls_viewers }, { viewers: 1, hls_viewers: 1 });
      assert.equal((await metricsOf()).startups, 1, "the time to its first picture is counted");
      await second.goto("about:blank");
      const left = async () => (await streamInfo(stream)).hls_viewers === 0;
      await until("the goodbye of its beacon", left, 5_000);
    } finally {
      useServer(usual);
      await browser.reset();
      await server.stop();
    }
  });
});

/** What the server counts of what players say. */
async function metricsOf() {
  const text = await (await fetch(`${base}/metrics`)).text();
  const value = (line) => Number(new RegExp(`^${line}\\S* (\\S+)$`, "m").exec(text)?.[1] ?? 0);
  return {
    startups: value('whitewater_player_startup_seconds_count{protocol="hls"}'),
    latencies: value('whitewater_glass_to_glass_latency_seconds_count{protocol="hls"}'),
  };
}

/** In the page: every candidate of the server leads to a port where nobody is. */
function blockWebRtc() {
  const { prototype } = RTCPeerConnection;
  const original = prototype.setRemoteDescription;
  prototype.setRemoteDescription = function ({ type, sdp }) {
    const blocked = sdp.replace(/^(a=candidate:\S+ \d+ \w+ \d+ \S+) \d+/gm, "$1 9");
    return original.call(this, { type, sdp: blocked });
  };
}
