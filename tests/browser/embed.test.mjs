// A page of another origin embeds a stream with the snippet that the watch page gives.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, describe, test } from "node:test";
import { base, launch, publish, uniqueName, until, waitClocks, watch } from "./lib/browser.mjs";
import { print } from "./lib/figures.mjs";

describe("embedding", () => {
  let browser;
  let host;
  let body = "";
  before(async () => {
    browser = await launch();
    host = createServer((_request, response) => {
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      response.end(`<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>${body}`);
    });
    await new Promise((ready) => host.listen(0, "127.0.0.1", ready));
  });
  afterEach(() => browser.reset());
  after(async () => {
    host?.close();
    await browser?.close();
  });

  const elsewhere = () => `http://127.0.0.1:${host.address().port}/`;

  test("the snippet of the watch page plays the stream in a page of another origin", async () => {
    const stream = uniqueName("embed");
    await publish(await browser.context(), stream, { resolution: "360" });
    const watching = await watch(await browser.context(), stream);
    await watching.click(".share summary");
    body = await watching.textContent("#embed");
    assert.match(body, /^<iframe src="http[^"]+" .*allow="autoplay; fullscreen"><\/iframe>$/);
    await watching.click('[data-copy="embed"]');
    await watching.waitForFunction(() => document.querySelector("#copied").textContent !== "");
    const selectedOrCopied = await watching.evaluate(
      () => document.querySelector("#copied").textContent === "Copied." || String(getSelection()),
    );
    assert.ok(selectedOrCopied === true || selectedOrCopied.includes("<iframe"));

    const page = await (await browser.context()).newPage();
    await page.goto(elsewhere());
    const frame = await embedded(page);
    assert.notEqual(new URL(page.url()).origin, new URL(frame.url()).origin);
    await frame.evaluate(() => {
      window.clocks = () => window.reader.samples.filter(({ time }) => time !== null).length;
      window.reader = window.readPattern(document.querySelector("#video"));
    });
    const read = await waitClocks(frame, 30);
    const last = read.filter(({ time }) => time !== null).at(-1);
    print("embedded", { width: last.width, height: last.height, ageMs: last.age });
    assert.equal(await frame.textContent("#state"), "", "nothing lies on the picture");
    await until("events", () => frame.evaluate(() => window.whitewater.events));

    // By keyboard alone: into the frame, to the button, and on to the one that undoes it.
    await page.focus("iframe");
    await page.keyboard.press("Tab");
    assert.equal(await frame.evaluate(() => document.activeElement.id), "unmute");
    await page.keyboard.press("Enter");
    await frame.waitForFunction(() => !document.querySelector("#video").muted);
    assert.equal(await frame.evaluate(() => document.activeElement.id), "mute");
    await page.keyboard.press("Enter");
    await frame.waitForFunction(() => document.querySelector("#video").muted);
  });

  test("options leave the buttons out and begin with sound", async () => {
    const stream = uniqueName("options");
    await publish(await browser.context(), stream, { resolution: "360" });
    const source = `${base}/embed/${stream}?muted=0&controls=0`;
    body = `<iframe src="${source}" allow="autoplay; fullscreen"></iframe>`;
    const page = await (await browser.context()).newPage();
    await page.goto(elsewhere());
    const frame = await embedded(page);
    await frame.waitForFunction(() => document.querySelector("#video").currentTime > 0);
    assert.equal(await frame.evaluate(() => document.querySelector("#video").muted), false);
    assert.equal(await frame.isVisible("#bar"), false);
    assert.equal(await frame.isVisible("#unmute"), false);
  });

  test("a stream that is not live says so, and every other page refuses to be framed", async () => {
    body = `<iframe src="${base}/embed/${uniqueName("none")}"></iframe>`;
    const page = await (await browser.context()).newPage();
    await page.goto(elsewhere());
    const frame = await embedded(page);
    await frame.waitForFunction(
      () => document.querySelector("#state").textContent === "Not live yet.",
    );
    for (const path of ["/", "/publish", "/watch/a"]) {
      body = `<iframe src="${base}${path}"></iframe>`;
      await page.reload();
      const refused = page.frames().find((each) => each !== page.mainFrame());
      assert.ok(!refused?.url().startsWith(base), `${path} is framed`);
    }
  });
});

/** The frame within a page, once its scripts run. */
async function embedded(page) {
  const handle = await page.waitForSelector("iframe");
  const frame = await handle.contentFrame();
  await frame.waitForFunction(() => window.whitewater !== undefined);
  return frame;
}
