// The page of recordings, with a mocked API that has many of them.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { launch, until } from "./lib/browser.mjs";
import { startServer } from "./lib/server.mjs";

const MANY = 60;

describe("recordings", () => {
  let browser;
  let server;
  before(async () => {
    server = await startServer();
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

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
  test("many are shown page by page, in the light and the dark, at a desk and on a phone", async () => {
    const page = await (await browser.context()).newPage();
    const api = await mock(page);
    await page.goto(`${server.url}/recordings`);
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
    await page.goto(`${server.url}/recordings`);
    await says(page, "#state", /^The latest/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${wide} px stand out on a phone`);
    await shoot(page, "phone");
    await page.goto(`${server.url}/recordings?play=nothing`);
    await says(page, "#problem", /it was deleted/);
  });
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
