// Eight watch tabs of one browser over plain HTTP: none holds a connection that another one needs.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  base,
  launch,
  publish,
  stat,
  streamInfo,
  uniqueName,
  until,
  waitClocks,
  waitLive,
  watch,
} from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";

const TABS = 8;

test("eight tabs watch at once, and each still reaches the API", async () => {
  const browser = await launch();
  try {
    const stream = uniqueName("tabs");
    await publish(await browser.context(), stream, { resolution: "360", simulcast: "0" });
    const context = await browser.context();
    const tabs = [];
    for (let i = 0; i < TABS; i++) tabs.push(await watch(context, stream));
    // A browser paints a tab in the background a few times per second at most: few clocks are seen, all frames
    // are decoded.
    await Promise.all(tabs.map((tab) => waitClocks(tab, 5, 60_000)));
    for (const tab of tabs) {
      await until("60 frames", async () => {
        return (await stat(tab, "inbound-rtp", "video"))?.framesDecoded > 60;
      });
    }
    const viewers = await until("eight viewers", async () => {
      const info = await streamInfo(stream);
      return info?.viewers === TABS && info.viewers;
    });
    const answersMs = await Promise.all(
      tabs.map((tab) =>
        tab.evaluate(async (name) => {
          const from = performance.now();
          await (await fetch(`/api/v1/streams/${name}`, { cache: "no-store" })).json();
          return performance.now() - from;
        }, stream),
      ),
    );
    const fps = await Promise.all(
      tabs.map(async (tab) => (await stat(tab, "inbound-rtp", "video")).framesPerSecond ?? 0),
    );
    const home = await context.newPage();
    await home.goto(base);
    await home.waitForFunction(
      ([name, text]) =>
        document.querySelector(`a[href="/watch/${name}"]`)?.textContent.includes(text),
      [stream, `${TABS} viewers`],
    );
    for (const tab of tabs) {
      await until("events", () => tab.evaluate(() => window.whitewater.events));
    }
    const { followers } = await (await fetch(`${base}/api/v1/server`)).json();
    print("eight tabs", {
      viewers,
      fps,
      slowestAnswerMs: tenth(Math.max(...answersMs)),
      eventConnections: followers,
    });
    assert.equal(followers, 1, "the tabs share one event connection");
    assert.ok(Math.max(...answersMs) < 3_000, "an API request waited for a free connection");
    await tabs[0].close();
    await until("one viewer less", async () => (await streamInfo(stream))?.viewers === TABS - 1);
  } finally {
    await browser.close();
  }
});

test("without shared workers one of the tabs holds the connection, and the next takes over", async () => {
  const browser = await launch();
  try {
    const stream = uniqueName("relay");
    const context = await browser.context();
    await context.addInitScript(() => delete window.SharedWorker);
    const tabs = [];
    for (let i = 0; i < 3; i++) {
      const tab = await context.newPage();
      await tab.goto(`${base}/watch/${stream}`);
      await until("events", () => tab.evaluate(() => window.whitewater.events));
      tabs.push(tab);
    }
    const connections = async () => (await (await fetch(`${base}/api/v1/server`)).json()).followers;
    await until("one event connection", async () => (await connections()) === 1);
    // The first to come is the first to have the lock.
    await tabs.shift().close();
    const from = Date.now();
    await until("another connection", async () => (await connections()) === 1);
    for (const tab of tabs) {
      await until("events", () => tab.evaluate(() => window.whitewater.events));
    }
    const tookOverMs = Date.now() - from;
    await publish(await browser.context(), stream, { resolution: "360", simulcast: "0" });
    await Promise.all(tabs.map((tab) => waitLive(tab)));
    print("tabs without a shared worker", { tookOverMs, connections: await connections() });
    assert.equal(await connections(), 1, "the tabs share one event connection");
  } finally {
    await browser.close();
  }
});
