// DASH: our own pages by dash.js, how late they are by the clock in the pixels, and Shaka Player beside them.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
  forget,
  launch,
  publish,
  samples,
  streamInfo,
  uniqueName,
  until,
  waitClocks,
  waitLive,
  watch,
} from "./lib/browser.mjs";
import { median, print, tenth } from "./lib/figures.mjs";
import { play, plays } from "./lib/players.mjs";
import { ageNow, changeQuality, lookBack, qualitiesOf, throughReload } from "./lib/watching.mjs";

/** What DASH can carry, in three sizes. */
const SETTINGS = { codec: "H264", resolution: "720" };
const DASH = { query: "?protocol=dash" };
const LATE_MS = 3_000;
/** Packaging starts with the first viewer, and machines are busy. */
const START_MS = 60_000;
const CHANGE_MS = 40_000;

describe("DASH", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  test("the watch page is less than three seconds late, in every quality, and after a look back", async () => {
    const stream = uniqueName("dash");
    await publish(await browser.context(), stream, SETTINGS);
    const context = await browser.context();
    const strangers = [];
    context.on("request", (request) => {
      if (/^http/.test(request.url()) && !request.url().startsWith(base))
        strangers.push(request.url());
    });
    const viewer = await watch(context, stream, DASH);
    await waitClocks(viewer, 60, START_MS);
    assert.equal(await viewer.evaluate(() => window.whitewater.protocol), "dash");
    assert.match(await viewer.textContent("#protocol-line"), /^DASH, .* as the address asks\.$/);
    const first = await ageNow(viewer);
    const shown = await viewer.evaluate(() => window.whitewater.figures.latencyMs);
    assert.ok(first < LATE_MS, `the picture is ${first} ms late`);
    assert.ok(Math.abs(shown - first) < 500, `the page says ${shown} ms, the pixels ${first} ms`);
    // What is counted from here on is of a player that has settled.
    const { stalls: before, frames: framesBefore } = await figures(viewer);

    const qualities = await qualitiesOf(viewer);
    const downMs = await changeQuality(viewer, qualities.at(-1), CHANGE_MS);
    const upMs = await changeQuality(viewer, qualities[1], CHANGE_MS);
    const changed = await liveAge(viewer);
    const { stalls, frames, dropped } = await figures(viewer);
    assert.ok(frames > framesBefore, "frames are counted");
    assert.ok(stalls - before <= 1, `${stalls - before} stalls while the quality changed twice`);

    const back = await lookBack(viewer);
    // Whoever went back stays there.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    await forget(viewer);
    assert.ok((await ageNow(viewer)) > 9_000, "it stays in the past");
    await viewer.press("#go-live", "Enter");
    const live = await liveAge(viewer);

    const told = await until("its beacon", async () => {
      const info = await streamInfo(stream);
      return info?.dash_viewers === 1 && info;
    });
    assert.deepEqual([told.viewers, told.hls_viewers], [0, 0]);
    assert.match(await viewer.textContent("#viewers"), /^1 viewer, over DASH$/);
    print("dash", {
      qualities,
      latencyMs: tenth(first),
      latencyShownMs: tenth(shown),
      downMs,
      upMs,
      latencyAfterChangesMs: tenth(changed),
      backMs: tenth(back),
      latencyAfterGoLiveMs: tenth(live),
      stalls: (await figures(viewer)).stalls,
      dropped,
    });
    assert.deepEqual(strangers, [], "nobody else is asked for anything, not even the time");
    assert.deepEqual(viewer.problems, []);
  });

  test("a viewer who was there first goes on when the publisher reloads its page", async () => {
    const stream = uniqueName("dash-reload");
    const { viewer, publisher, firstMs, backMs } = await throughReload(browser, stream, {
      options: DASH,
      settings: SETTINGS,
    });
    await waitClocks(viewer, 60);
    const late = await liveAge(viewer);
    print("dash publisher reloads", { firstMs, backMs, latencyMs: tenth(late) });
    assert.equal(await viewer.evaluate(() => window.whitewater.protocol), "dash");
    await publisher.close();
    await viewer.waitForFunction(() => window.whitewater.state === "waiting", undefined, {
      timeout: START_MS,
    });
  });

  test("whoever watches otherwise loads nothing of it; embedded it plays too", async () => {
    const stream = uniqueName("dash-embed");
    await publish(await browser.context(), stream, SETTINGS);
    const context = await browser.context();
    const requests = [];
    context.on("request", (request) => requests.push(new URL(request.url()).pathname));
    await waitLive(await watch(context, stream));
    await waitClocks(await watch(context, stream, { query: "?protocol=hls" }), 30, START_MS);
    const ofDash = () =>
      requests.filter((path) => /^\/dash\/|\/assets\/(dash\.all|dashjs)/.test(path));
    assert.deepEqual(ofDash(), []);
    const embedded = await context.newPage();
    await embedded.goto(`${base}/embed/${stream}?protocol=dash`);
    await embedded.waitForFunction(
      () =>
        window.whitewater.protocol === "dash" &&
        document.querySelector("#video").getVideoPlaybackQuality().totalVideoFrames > 30,
      undefined,
      { timeout: START_MS },
    );
    assert.ok(ofDash().length > 1, `${ofDash()}`);
  });

  test("Shaka Player plays the live manifest, with sound, without waiting", async () => {
    const stream = uniqueName("dash-shaka");
    await publish(await browser.context(), stream, SETTINGS);
    const page = await play(await browser.context(), "shaka", `/dash/${stream}/manifest.mpd`);
    await plays(page, 3, START_MS);
    await page.evaluate(() => {
      window.stalls = 0;
      window.reader = window.readPattern(document.querySelector("#video"));
    });
    const { stalls, wrong, height, sound } = await plays(page, 18);
    const ages = (await samples(page)).map(({ age }) => age).filter((age) => age !== null);
    const late = median(ages.slice(-60));
    print("dash by Shaka Player", { latencyMs: tenth(late), stalls, height });
    assert.deepEqual(wrong, []);
    assert.ok(sound, "there is sound");
    assert.ok(stalls <= 1, `${stalls} stalls in 15 s`);
    assert.ok(late < 6_000, `the picture is ${late} ms late`);
  });
});

/** The age of the picture once it is less than three seconds, which the player comes to by itself. */
function liveAge(viewer) {
  return until("the live picture", async () => {
    const age = await ageNow(viewer);
    return age < LATE_MS && age;
  });
}

function figures(viewer) {
  return viewer.evaluate(() => window.whitewater.figures);
}
