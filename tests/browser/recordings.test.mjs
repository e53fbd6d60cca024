// Recordings: made from the dashboard, watched while they grow and after, by players of others too, deleted, and
// played after the server was killed; and a page of a mocked API with many of them.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { publish, uniqueName, until } from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";
import { guarded } from "./lib/guarded.mjs";
import { play, plays } from "./lib/players.mjs";

const SETTINGS = { codec: "H264", resolution: "720" };
/** Packaging starts with the recording, and machines are busy. */
const START_MS = 60_000;
const MANY = 60;

describe("recordings", () => {
  const data = mkdtempSync(join(tmpdir(), "whitewater-recordings-"));
  const suite = guarded({
    toml: '[[streams]]\nmatch = "*"\nrecord = "off"\nrecord_renditions = ["source", "aac"]\n',
    recording: true,
    data,
  });
  const { token } = suite;
  after(() => rmSync(data, { recursive: true, force: true }));

  const shoot = async (page, name) => {
    if (process.env.SCREENSHOTS) {
      const path = join(process.env.SCREENSHOTS, `recordings-${name}.png`);
      await page.screenshot({ path });
    }
  };
  const says = (page, selector, pattern, timeout) =>
    until(
      `${selector} to say ${pattern}`,
      async () => pattern.test((await page.textContent(selector)) ?? ""),
      timeout,
    );
  const open = async (address) => {
    const page = await (await suite.browser.context()).newPage();
    page.problems = [];
    page.on("pageerror", (error) => page.problems.push(error.message));
    page.on("console", (line) => line.type() === "error" && page.problems.push(line.text()));
    await page.goto(suite.server.url + address);
    return page;
  };

  test("one is begun and ended on the dashboard, watched while it grows and to its end, and deleted", async () => {
    const stream = uniqueName("record");
    const may = token("--stream", stream, "--publish", "--watch");
    const admin = token("--admin");
    await publish(await suite.browser.context(), stream, { ...SETTINGS, token: may });

    const dashboard = await open(`/dashboard#token=${admin}`);
    // Three of the picture and the sound: whoever watches from the beginning is told what there is by then.
    await says(dashboard, "#streams .about", /4 layers/, START_MS);
    await dashboard.click("#streams button.record");
    await says(dashboard, "#streams button.record", /^Stop recording$/);
    await says(dashboard, "#streams .about", /^is being recorded · live for/);

    // On a machine that has too much to do keyframes are late at first, and what was begun begins anew.
    const lasts = async () => (await listed(admin, stream))[0]?.duration_s > 6;
    await until("something of it", lasts, START_MS);
    // Who may watch the stream may watch its recordings.
    const page = await open(`/recordings?stream=${stream}#token=${may}`);
    await page.click(".recordings button:has-text('Play')", { timeout: START_MS });
    await until("a picture", () =>
      page.evaluate(() => document.querySelector("video").currentTime > 1),
    );
    await says(page, ".badge", /^Recording now$/);
    assert.equal(await page.isVisible(".recordings a:has-text('Download')"), false);
    const duration = () => page.evaluate(() => document.querySelector("video").duration);
    const first = await duration();
    await until("more of it", async () => (await duration()) > first + 4);
    await shoot(page, "growing");

    await dashboard.click("#streams button.record");
    await says(dashboard, "#streams button.record", /^Record$/);
    await says(page, ".badge", /^Ready$/);
    await says(page, "#playing", new RegExp(`^${stream} · (?!.*being recorded)`));
    const qualities = await page.$$eval("#quality option", (options) => options.map((o) => o.text));
    assert.deepEqual(qualities.slice(0, 2), ["Automatic quality", "720p"]);
    await page.evaluate(() => (document.querySelector("video").currentTime = 1));
    await page.selectOption("#quality", { label: "720p" });
    await page.waitForFunction(() => document.querySelector("video").videoHeight === 720);

    // To its end, and back to its beginning.
    const ends = await toItsEnd(page);
    assert.ok(Math.abs(ends.at - ends.duration) < 0.5, JSON.stringify(ends));
    await until("the beginning", () =>
      page.evaluate(() => {
        const { currentTime, paused } = document.querySelector("video");
        return !paused && currentTime > 1 && currentTime < 4;
      }),
    );
    await shoot(page, "ready");

    const [recording] = await listed(admin, stream);
    assert.equal(recording.state, "ready");
    assert.ok(Math.abs(recording.duration_s - ends.duration) < 1, `${recording.duration_s}`);
    assert.equal(
      page.url(),
      `${suite.server.url}/recordings?stream=${stream}&play=${recording.id}#token=${may}`,
    );

    const link = await page.getAttribute(".recordings a:has-text('Download')", "href");
    const file = await fetch(suite.server.url + link);
    assert.deepEqual([file.status, file.headers.get("content-type")], [200, "video/mp4"]);
    assert.ok((await file.arrayBuffer()).byteLength > 100_000, "there is something in the file");

    const others = {};
    for (const player of ["dash", "shaka"]) {
      const context = await suite.browser.context();
      const address = `${recording.dash}?token=${may}`;
      const other = await play(context, player, address);
      others[player] = await plays(other, Math.min(6, ends.duration - 2));
      assert.deepEqual(others[player].wrong, [], player);
      assert.ok(others[player].sound, `${player} has sound`);
      assert.ok(others[player].stalls <= 1, `${player}: ${others[player].stalls} stalls`);
    }

    // A viewer may not delete; an administrator who comes from the dashboard may.
    await page.click("button.danger:has-text('Delete')");
    await page.click("#confirm button.danger");
    await says(page, ".recordings .problem", /Only an administrator/);
    await dashboard.click("#streams a:has-text('Recordings')");
    await dashboard.click(".recordings button.danger");
    await says(dashboard, "#confirm", new RegExp(`Delete this recording\\?${stream} of `));
    await dashboard.keyboard.press("Escape");
    assert.match(await dashboard.evaluate(() => document.activeElement.textContent), /^Delete$/);
    await dashboard.keyboard.press("Enter");
    await dashboard.click("#confirm button.danger");
    await until("the others to be deleted", async () => {
      if (/^There are no/.test(await dashboard.textContent("#state"))) return true;
      if ((await listed(admin, stream)).length === 0) return false;
      await dashboard.click(".recordings button.danger");
      await dashboard.click("#confirm button.danger");
      return false;
    });
    await until("it to be gone", async () => (await listed(admin, stream)).length === 0);
    await says(page, "#state", /^There are no recordings/, 20_000);
    print("recordings", {
      durationS: tenth(ends.duration),
      bytes: recording.bytes,
      stalls: { dash: others.dash.stalls, shaka: others.shaka.stalls },
    });
    assert.deepEqual(
      page.problems.filter((text) => !/40[134]/.test(text)),
      [],
    );
  });

  test("one whose server is killed plays to its end after the next start", async () => {
    const stream = uniqueName("killed");
    const may = token("--stream", stream, "--publish", "--watch");
    const admin = token("--admin");
    await publish(await suite.browser.context(), stream, { ...SETTINGS, token: may });
    await until("the recording to begin", async () => {
      const url = `${suite.server.url}/api/v1/streams/${stream}/recording`;
      const headers = { Authorization: `Bearer ${admin}` };
      return (await fetch(url, { method: "POST", headers })).ok;
    });
    const kept = await until(
      "something of it",
      async () => {
        const [recording] = await listed(admin, stream);
        return recording?.duration_s > 8 && recording.duration_s;
      },
      START_MS,
    );
    await suite.server.stop("SIGKILL");
    await suite.browser.reset();
    await suite.start();

    const page = await open(`/recordings?stream=${stream}#token=${may}`);
    await says(page, ".badge", /^Ready$/);
    await page.click(".recordings button:has-text('Play')");
    await until("a picture", () =>
      page.evaluate(() => document.querySelector("video").currentTime > 1),
    );
    await shoot(page, "after-the-kill");
    const ends = await toItsEnd(page);
    assert.ok(ends.duration >= kept - 0.5, `${kept} s were kept, ${ends.duration} s are there`);
    assert.ok(Math.abs(ends.at - ends.duration) < 0.5, JSON.stringify(ends));
    print("a recording whose server was killed", { keptS: kept, playedS: tenth(ends.at) });
    assert.deepEqual(page.problems, []);
  });

  test("many are shown page by page, in the light and the dark, at a desk and on a phone", async () => {
    const page = await (await suite.browser.context()).newPage();
    const api = await mock(page);
    await page.goto(`${suite.server.url}/recordings`);
    await says(page, "#state", /^The latest 25 recordings\.$/);
    await page.click("#more");
    await says(page, "#state", /^The latest 50 recordings\.$/);
    await page.focus("#more");
    await page.keyboard.press("Enter");
    await says(page, "#state", /^60 recordings\.$/);
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.match(await focused(), /^Play /, "the keyboard goes on where the button was");

    // What grows is asked for again, what is new comes first, and older ones stay.
    const about = await page.textContent('[data-id="id-59"] .about');
    await until(
      "it to grow",
      async () => (await page.textContent('[data-id="id-59"] .about')) !== about,
    );
    api.add();
    await until(
      "a new one",
      async () => (await page.locator("#recordings li").count()) === MANY + 1,
    );
    await shoot(page, "light");
    await page.emulateMedia({ colorScheme: "dark" });
    await shoot(page, "dark");

    // One that cannot be deleted says why, and stays.
    await page.click('[data-id="id-57"] button.danger');
    await shoot(page, "confirm");
    await page.click("#confirm button.danger");
    await says(page, '[data-id="id-57"] .problem', /^It is being recorded\.$/);
    await page.click('[data-id="id-56"] button.danger');
    await page.click("#confirm button.danger");
    await until("it to go", async () => (await page.locator('[data-id="id-56"]').count()) === 0);
    assert.match(await focused(), /^Delete /);

    await page.fill("#stream", "cam 1");
    await page.press("#stream", "Enter");
    await says(page, "#filter-problem", /must not contain a space/);
    await page.fill("#stream", "cam-1");
    await page.press("#stream", "Enter");
    await says(page, "#state", /^20 recordings of cam-1\.$/);
    assert.equal(new URL(page.url()).search, "?stream=cam-1");
    await page.goBack();
    await says(page, "#state", /^The latest 25 recordings\.$/);
    await page.fill("#stream", "nobody");
    await page.press("#stream", "Enter");
    await says(page, "#state", /^There are no recordings of nobody yet\.$/);
    assert.ok(await page.isVisible("#empty"));
    await shoot(page, "empty-dark");

    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(`${suite.server.url}/recordings`);
    await says(page, "#state", /^The latest/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} px stand out on a phone`);
    await shoot(page, "phone");
    await page.goto(`${suite.server.url}/recordings?play=nothing`);
    await says(page, "#problem", /it was deleted/);
  });

  /** Plays the last seconds, and then from the beginning again. */
  function toItsEnd(page) {
    return page.evaluate(async () => {
      const video = document.querySelector("video");
      const ended = new Promise((resolve, reject) => {
        video.onended = () => resolve(video.currentTime);
        const seen = () => {
          const { currentTime, duration, readyState, paused, seeking, buffered } = video;
          const ranges = [...Array(buffered.length).keys()].map((i) => [
            buffered.start(i),
            buffered.end(i),
          ]);
          return JSON.stringify({ currentTime, duration, readyState, paused, seeking, ranges });
        };
        setTimeout(() => reject(new Error(`it does not end: ${seen()}`)), 20_000);
      });
      video.currentTime = Math.max(0, video.duration - 3);
      await Promise.race([video.play(), ended]);
      const at = await ended;
      video.currentTime = 0.5;
      await video.play();
      return { at, duration: video.duration };
    });
  }

  async function listed(admin, stream) {
    const url = `${suite.server.url}/api/v1/recordings?stream=${stream}`;
    const response = await fetch(url, { headers: { Authorization: `Bearer ${admin}` } });
    return (await response.json()).items;
  }
});

/** Answers of an API with many recordings, the newest of which grows. */
async function mock(page) {
  const began = Date.UTC(2026, 10, 29, 7);
  const video = (height, at) => ({
    name: `v${at}`,
    kind: "video",
    codecs: "avc1.42c01f",
    width: (height * 16) / 9,
    height,
  });
  let asked = 0;
  const made = (index) => ({
    id: `id-${index}`,
    stream: `cam-${index % 3}`,
    state: index === 59 ? "recording" : index === 58 ? "failed" : "ready",
    began: new Date(began + index * 3_600_000).toISOString(),
    ended: index === 59 ? null : new Date(began + index * 3_600_000 + 754_000).toISOString(),
    duration_s: index === 59 ? 60 + asked : (index * 977) % 9_000,
    bytes: ((index * 977) % 9_000) * 400_000 + asked * 300_000,
    error: index === 58 ? "The disk was full: what came before is kept." : null,
    renditions: [
      ...[720, 360, 180].map(video),
      { name: "a0", kind: "audio", codecs: "mp4a.40.2", width: null, height: null },
    ],
    hls: "/replay/none/index.m3u8",
    dash: "/replay/none/manifest.mpd",
    download: "/replay/none/download.mp4",
  });
  let all = Array.from({ length: MANY }, (_, index) => index).reverse();
  await page.route("**/api/v1/recordings?*", (route) => {
    asked += 1;
    const query = new URL(route.request().url()).searchParams;
    const found = all.map(made).filter((one) => [null, one.stream].includes(query.get("stream")));
    const from = found.findIndex(({ id }) => id === query.get("after")) + 1;
    const items = found.slice(from, from + Number(query.get("limit")));
    const isEnd = from + items.length >= found.length;
    return route.fulfill({ json: { items, next: isEnd ? null : items.at(-1).id } });
  });
  await page.route("**/api/v1/recordings/*", (route) => {
    const id = Number(/id-(\d+)$/.exec(route.request().url())?.[1]);
    const refuse = (status, detail) =>
      route.fulfill({ status, contentType: "application/problem+json", json: { detail } });
    if (!all.includes(id)) return refuse(404, "there is no such recording");
    if (route.request().method() === "GET") return route.fulfill({ json: made(id) });
    if (id === 57) return refuse(409, "it is being recorded");
    all = all.filter((one) => one !== id);
    return route.fulfill({ status: 204 });
  });
  return {
    add: () => {
      all = [MANY, ...all];
    },
  };
}
