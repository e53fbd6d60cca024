// Debian's Firefox ESR publishes and watches, with itself and across to Chromium; clocks are read from pixels.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
  forget,
  launch,
  publish,
  samples,
  stat,
  uniqueName,
  until,
  useServer,
  waitClocks,
  waitLive,
  watch,
} from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";
import { launchFirefox } from "./lib/firefox.mjs";
import { threeLayers } from "./lib/layers.mjs";
import { LAN } from "./lib/network.mjs";
import { elapsedMs } from "./lib/reader.mjs";
import { startServer } from "./lib/server.mjs";

const SMALL = { resolution: "360", simulcast: "0" };
const CODECS = ["VP8", "VP9", "AV1", "H264"];
// Half of them go by until a jitter buffer has settled; the other half is judged.
const CLOCKS = 120;

describe("Firefox", () => {
  let server, chromium, firefox, able;
  before(async () => {
    // Pages from the loopback address, so that they are secure; media where Firefox sends it.
    server = await startServer({ udp: `${LAN.address}:0` });
    useServer(server.url);
    [chromium, firefox] = await Promise.all([launch(), launchFirefox()]);
    able = await capabilities(firefox);
    print("firefox can", { version: firefox.version, ...able });
  });
  afterEach(() => Promise.all([chromium.reset(), firefox.reset()]));
  after(async () => {
    await Promise.all([chromium?.close(), firefox?.close()]);
    const { code } = (await server?.stop()) ?? {};
    assert.equal(code, 0, "the server did not stop cleanly");
  });

  test("it offers the codecs that the pages count on", () => {
    for (const codec of ["VP8", "VP9"]) {
      assert.ok(able.sends.includes(codec), `Firefox sends ${codec}`);
      assert.ok(able.receives.includes(codec), `Firefox receives ${codec}`);
    }
  });

  for (const codec of CODECS) {
    test(`what it publishes in ${codec} is seen in Chromium`, async () => {
      const stream = uniqueName(`ff-${codec}`);
      const context = await firefox.context();
      if (!able.sends.includes(codec)) return refusesToPublish(context, codec);
      const publisher = await publish(context, stream, { codec, ...SMALL });
      const viewer = await watch(await chromium.context(), stream);
      const figures = judge(await waitClocks(viewer, CLOCKS, 60_000));
      print(`firefox publishes ${codec}`, figures);
      assert.deepEqual([...publisher.problems, ...viewer.problems], []);
    });

    test(`what Chromium publishes in ${codec} is seen in it`, async () => {
      const stream = uniqueName(`cr-${codec}`);
      await publish(await chromium.context(), stream, { codec, ...SMALL });
      const context = await firefox.context();
      if (!able.receives.includes(codec)) return saysWhyItCannotPlay(context, stream);
      const viewer = await watch(context, stream);
      const figures = judge(await waitClocks(viewer, CLOCKS, 60_000));
      const seen = await figuresOf(viewer);
      print(`firefox watches ${codec}`, { ...figures, page: seen });
      assert.equal(seen.codec.toUpperCase(), codec);
      assert.deepEqual(viewer.problems, []);
    });
  }

  test("the sound of its microphone is heard in Chromium", async () => {
    const stream = uniqueName("ff-sound");
    const settings = { codec: "VP8", source: "camera", ...SMALL };
    await publish(await firefox.context(), stream, settings);
    const viewer = await watch(await chromium.context(), stream);
    await waitLive(viewer);
    await viewer.click("#unmute");
    await until("sound", async () => {
      return (await stat(viewer, "inbound-rtp", "audio"))?.totalAudioEnergy > 0.001;
    });
  });

  test("its three layers are watched and switched between in Chromium", async () => {
    const stream = uniqueName("ff-layers");
    const publisher = await publish(await firefox.context(), stream);
    const from = Date.now();
    const layers = await threeLayers(stream);
    const layersMs = Date.now() - from;
    const viewer = await watch(await chromium.context(), stream);
    await waitClocks(viewer, 30);
    const switches = await switchThrough(viewer, layers);
    const shown = await figuresOf(publisher);
    print("firefox simulcast", { layersMs, ...switches, layers: shown.layers });
    assert.equal(shown.layers.length, 3);
    assert.equal(await rowsOf(publisher), 3, "the page shows a row per layer");
    assert.deepEqual(publisher.problems, []);
  });

  test("it watches Chromium's three layers and switches between them", async () => {
    const stream = uniqueName("cr-layers");
    await publish(await chromium.context(), stream);
    const layers = await threeLayers(stream);
    const viewer = await watch(await firefox.context(), stream);
    await waitClocks(viewer, 30);
    print("firefox switches layers", await switchThrough(viewer, layers));
    assert.deepEqual(viewer.problems, []);
  });

  test("a viewer in it goes on when its publisher in it reloads, and when it reloads itself", async () => {
    const stream = uniqueName("ff-reload");
    const publisher = await publish(await firefox.context(), stream, { resolution: "360" });
    const viewer = await watch(await firefox.context(), stream);
    await waitClocks(viewer, 30);
    const session = await viewer.evaluate(() => window.whitewater.session);
    const from = Date.now();
    await publisher.reload();
    await waitLive(publisher);
    await forget(viewer);
    await waitClocks(viewer, 30);
    const publisherMs = Date.now() - from;
    assert.equal(session, await viewer.evaluate(() => window.whitewater.session));

    const again = Date.now();
    await viewer.reload();
    await waitLive(viewer);
    await viewer.evaluate(() => {
      window.reader = window.readPattern(document.querySelector("#video"));
    });
    await waitClocks(viewer, 10);
    print("firefox reloads", { publisherMs, viewerMs: Date.now() - again });
    await until("one viewer", async () => (await gaugesOf()).sessions === 2);
  });

  test("it is told why it does not reach a server at the loopback address", async () => {
    const near = await startServer();
    useServer(near.url);
    try {
      await publish(await chromium.context(), "near", SMALL);
      const page = await (await firefox.context()).newPage();
      await page.goto(`${near.url}/watch/near`);
      const says = () => /loopback address/.test(document.querySelector("main").innerText);
      await page.waitForFunction(says, undefined, { timeout: 60_000 });
    } finally {
      useServer(server.url);
      await chromium.reset();
      await near.stop();
    }
  });

  async function gaugesOf() {
    const { shards } = await server.gauges();
    return { sessions: shards.reduce((sum, shard) => sum + shard.sessions, 0) };
  }
});

async function capabilities(browser) {
  const page = await (await browser.context()).newPage();
  await page.goto(base);
  const codecs = await page.evaluate(() => {
    const names = ({ codecs }) => [...new Set(codecs.map(({ mimeType }) => mimeType.slice(6)))];
    return {
      sends: names(RTCRtpSender.getCapabilities("video")),
      receives: names(RTCRtpReceiver.getCapabilities("video")),
    };
  });
  await browser.reset();
  return codecs;
}

/** The menu does not let people choose what the browser cannot send. */
async function refusesToPublish(context, codec) {
  const page = await context.newPage();
  await page.goto(`${base}/publish`);
  const disabled = await page.evaluate(
    (codec) =>
      [...document.querySelector("#codec").options].find((o) => o.value === codec).disabled,
    codec,
  );
  print(`firefox publishes ${codec}`, { offered: false });
  assert.ok(disabled, `${codec} is not offered by the browser and cannot be chosen`);
}

/** A stream that the browser cannot decode is a sentence, not a black picture. */
async function saysWhyItCannotPlay(context, stream) {
  const page = await context.newPage();
  await page.goto(`${base}/watch/${stream}`);
  await page.waitForFunction(
    () => /cannot play/.test(document.querySelector("#state").textContent),
    undefined,
    { timeout: 15_000 },
  );
  print("firefox cannot play", { says: await page.textContent("#state") });
}

/** Judges the second half of what was seen: the clock advances as fast as time does, and never backwards. */
function judge(taken) {
  const read = taken.filter((sample) => sample.time !== null);
  const settled = read.slice(read.length >> 1);
  const steps = settled.slice(1).map((sample, i) => elapsedMs(settled[i].time, sample.time));
  const clockMs = elapsedMs(settled[0].time, settled.at(-1).time);
  const shownMs = settled.at(-1).shown - settled[0].shown;
  const unreadable = taken.length - read.length;
  assert.ok(Math.min(...steps) >= 0, "the pattern's clock went backwards");
  assert.ok(Math.abs(clockMs - shownMs) < 500, `the clock ran ${clockMs} ms in ${shownMs} ms`);
  assert.ok(unreadable <= taken.length * 0.05, `${unreadable} of ${taken.length} unreadable`);
  return { clocks: read.length, unreadable, clockMs: tenth(clockMs), shownMs: tenth(shownMs) };
}

/** The page's figures, once there are some; none of them may be other than a number or a word. */
async function figuresOf(page) {
  await page.waitForFunction(() => window.whitewater.figures?.codec, undefined, {
    timeout: 10_000,
  });
  const figures = await page.evaluate(() => window.whitewater.figures);
  const text = await page.textContent("#figures");
  assert.doesNotMatch(text, /NaN|undefined|Infinity/, "the page's figures");
  return figures;
}

function rowsOf(page) {
  return page.evaluate(() => document.querySelectorAll("#layers tr").length);
}

async function switchThrough(viewer, layers) {
  const before = await freezes(viewer);
  const tookMs = [];
  let steps = [];
  for (const at of [2, 0, 1, 0, 2]) {
    const { rid, width } = layers[at];
    await threeLayers(viewer.url().split("/").at(-1));
    const from = Date.now();
    await forget(viewer);
    const status = await viewer.evaluate(async (rid) => {
      const response = await fetch(`${window.whitewater.session}/layer`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ rid }),
      });
      return response.status;
    }, rid);
    assert.ok(status < 300, `layer ${rid}: ${status}`);
    await until(`a picture ${width} wide`, async () =>
      (await samples(viewer)).some((sample) => sample.width === width),
    );
    tookMs.push(Date.now() - from);
    const read = (await samples(viewer)).filter((sample) => sample.time !== null);
    steps = steps.concat(read.slice(1).map((s, i) => elapsedMs(read[i].time, s.time)));
  }
  // An encoder that lacks time sends a frame's layers one after the other: a switch up may show a moment twice.
  const furthestBackMs = Math.min(0, ...steps);
  assert.ok(furthestBackMs > -250, `the pattern's clock went back by ${furthestBackMs} ms`);
  return {
    furthestBackMs,
    tookMs,
    freezes: (await freezes(viewer)) - before,
    longestStepMs: Math.max(...steps),
  };
}

async function freezes(viewer) {
  return (await stat(viewer, "inbound-rtp", "video"))?.freezeCount ?? 0;
}
