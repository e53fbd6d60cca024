// The pages as people use them: by buttons, menus and the keyboard, from going live to leaving.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
  launch,
  publish,
  stat,
  streamInfo,
  uniqueName,
  until,
  waitLive,
} from "./lib/browser.mjs";

describe("pages", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  test("a newcomer goes live with the test pattern by keyboard, follows the link and stops", async () => {
    const stream = uniqueName("newcomer");
    const context = await browser.context();
    const page = await context.newPage();
    await page.goto(base);
    await page.getByRole("link", { name: "Publish a stream" }).press("Enter");
    await page.waitForURL("**/publish");
    await page.getByRole("radio", { name: "Camera" }).focus();
    await page.evaluate(() => {
      navigator.mediaDevices.getDisplayMedia = () =>
        Promise.reject(new Error("asked for a screen"));
    });
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.textContent("#problem"), "");
    await page.getByLabel("Stream name").fill("no spaces");
    await page.keyboard.press("Enter");
    assert.match(await page.textContent("#name-problem"), /letters/i);
    assert.equal(await page.evaluate(() => document.activeElement.id), "name");
    await page.getByLabel("Stream name").fill(stream);
    await page.keyboard.press("Enter");
    await waitLive(page);
    await page.waitForFunction(() => document.querySelectorAll("#layers tr").length === 3);
    assert.equal(await page.evaluate(() => document.activeElement.id), "stop");

    const [watching] = await Promise.all([
      context.waitForEvent("page"),
      page.getByRole("link", { name: `/watch/${stream}` }).click(),
    ]);
    await waitLive(watching);
    await until("one viewer", async () => (await streamInfo(stream))?.viewers === 1);
    await page.bringToFront();
    await page.getByRole("button", { name: "Stop" }).press("Enter");
    await page.waitForFunction(() => window.whitewater.state === "idle");
    assert.equal(await page.evaluate(() => document.activeElement.id), "live");
    await page.keyboard.press("Enter");
    await waitLive(page);
    assert.equal(await page.evaluate(() => document.activeElement.id), "stop");
    await page.keyboard.press("Enter");
    await watching.bringToFront();
    await watching.waitForFunction(() =>
      /publisher is away/.test(document.querySelector("#state").textContent),
    );
  });

  test("a viewer unmutes and chooses layers by the page's own controls", async () => {
    const stream = uniqueName("menu");
    await publish(await browser.context(), stream);
    const viewer = await (await browser.context()).newPage();
    await viewer.goto(`${base}/watch/${stream}`);
    await waitLive(viewer);
    assert.equal(await viewer.evaluate(() => document.querySelector("#video").muted), true);
    await viewer.click("#unmute");
    assert.equal(await viewer.evaluate(() => document.querySelector("#video").muted), false);
    assert.equal(await viewer.isVisible("#unmute"), false);
    await until(
      "sound",
      async () => (await stat(viewer, "inbound-rtp", "audio"))?.totalAudioEnergy > 0,
    );

    for (const [rid, size] of [
      ["q", "320 × 180"],
      ["h", "640 × 360"],
      ["", "1280 × 720"],
    ]) {
      await viewer.check(`#layers input[value="${rid}"]`);
      const shown = (size) =>
        [...document.querySelectorAll("#figures dd")].some((value) => value.textContent === size);
      await viewer.waitForFunction(shown, size, { timeout: 10_000 });
      assert.equal(await viewer.isVisible("#layer-problem"), false);
    }
  });

  test("a name that cannot be is refused by every page with a sentence", async () => {
    const page = await (await browser.context()).newPage();
    const response = await page.goto(`${base}/watch/.hidden`);
    assert.equal(response.status(), 404);
    await page.goto(base);
    await page.getByLabel("Stream name").fill("a/b");
    await page.keyboard.press("Enter");
    assert.notEqual(await page.textContent("#name-problem"), "");
    assert.equal(new URL(page.url()).pathname, "/");
  });

  test("a refused camera and a camera that is not there are sentences to act on", async () => {
    const page = await (await browser.context()).newPage();
    await page.goto(`${base}/publish?stream=${uniqueName("refused")}`);
    for (const [name, expected] of [
      ["NotAllowedError", "denied.*Allow it"],
      ["NotReadableError", "in use by another program"],
      ["NotFoundError", "No camera and microphone was found"],
    ]) {
      await page.evaluate((name) => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", name));
      }, name);
      await page.click("#live");
      await page.waitForFunction(
        (expected) => new RegExp(expected).test(document.querySelector("#problem").textContent),
        expected,
      );
    }
  });
});
