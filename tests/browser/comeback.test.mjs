// Publisher and viewer come back by themselves.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
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
import { print, tenth } from "./lib/figures.mjs";

describe("coming back", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  test("a viewer who was there first sees the stream start by itself", async () => {
    const stream = uniqueName("first");
    const viewer = await watch(await browser.context(), stream);
    await viewer.waitForFunction(() => window.whitewater.state === "waiting");
    await publish(await browser.context(), stream, { resolution: "360" });
    const from = Date.now();
    await waitClocks(viewer, 10);
    print("waiting viewer", { picturesAfterMs: Date.now() - from });
  });

  test("a viewer goes on when the publisher reloads its page", async () => {
    const stream = uniqueName("reload");
    const publisher = await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 60);
    const session = await viewer.evaluate(() => window.whitewater.session);
    await publisher.reload();
    await waitLive(publisher);
    const taken = await waitClocks(viewer, 60);
    const gaps = taken.slice(1).map((sample, i) => sample.shown - taken[i].shown);
    const outageMs = tenth(Math.max(...gaps));
    const same = session === (await viewer.evaluate(() => window.whitewater.session));
    print("publisher reloads", { outageMs, sameViewerSession: same });
    assert.ok(outageMs < 10_000, `the picture stood still for ${outageMs} ms`);
    assert.ok(same, "the viewer's session outlives a publisher that comes back at once");
  });

  test("a publisher whose session the server ended comes back under its name", async () => {
    const stream = uniqueName("ended");
    const publisher = await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30);
    const session = await publisher.evaluate(() => window.whitewater.session);
    const from = Date.now();
    assert.equal((await fetch(session, { method: "DELETE" })).status, 200);
    await publisher.waitForFunction((old) => window.whitewater.session !== old, session);
    await waitLive(publisher);
    const publisherMs = Date.now() - from;
    const count = (await samples(viewer)).length;
    await until("new pictures", async () => (await samples(viewer)).length > count + 30);
    print("publisher's session ended", {
      publisherBackMs: publisherMs,
      viewerBackMs: Date.now() - from,
    });
  });

  test("a viewer whose session the server ended comes back", async () => {
    const stream = uniqueName("viewer");
    await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30);
    const session = await viewer.evaluate(() => window.whitewater.session);
    const from = Date.now();
    assert.equal((await fetch(session, { method: "DELETE" })).status, 200);
    await viewer.waitForFunction((old) => window.whitewater.session !== old, session);
    await waitClocks(viewer, 30);
    print("viewer's session ended", { backMs: Date.now() - from });
  });

  test("stopping frees the name and tells the viewers", async () => {
    const stream = uniqueName("stop");
    const publisher = await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30);
    await publisher.click("#stop");
    const from = Date.now();
    await viewer.waitForFunction(() => window.whitewater.state === "waiting", null, {
      timeout: 30_000,
    });
    print("stop", { viewerWaitsAfterMs: Date.now() - from });
    assert.equal(await streamInfo(stream), null);
    await publisher.click("#live");
    await waitLive(publisher);
    await waitClocks(viewer, 30);
  });

  test("a publisher whose tab crashed takes its name back from a new tab", async () => {
    const stream = uniqueName("crash");
    const context = await browser.context();
    const publisher = await publish(context, stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30);
    const session = await viewer.evaluate(() => window.whitewater.session);
    await publisher.goto("chrome://crash").catch(() => undefined);
    const from = Date.now();
    await publish(context, stream, { resolution: "360" });
    const publisherBackMs = Date.now() - from;
    await waitClocks(viewer, 30);
    const same = session === (await viewer.evaluate(() => window.whitewater.session));
    print("publisher's tab crashes", {
      publisherBackMs,
      viewerBackMs: Date.now() - from,
      sameViewerSession: same,
    });
    assert.ok(same, "the viewer's session outlives a publisher that comes back at once");
  });

  test("a second publisher is told that the name is taken", async () => {
    const stream = uniqueName("taken");
    const context = await browser.context();
    const first = await publish(context, stream, { resolution: "360" });
    for (const other of [context, await browser.context()]) {
      const page = await other.newPage();
      await page.goto(`${base}/publish?stream=${stream}&source=pattern&autostart=1`);
      await page.waitForFunction(() => document.querySelector("#problem").textContent !== "");
      assert.match(await page.textContent("#problem"), /^The name is taken/);
    }
    await waitLive(first);
  });
});
