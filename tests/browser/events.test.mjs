// What the server tells reaches the pages: losses, returns, numbers of viewers, without asking.

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
  waitClocks,
  waitLive,
  watch,
} from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";

// Loose: three times the goal of a second, for a busy machine.
const TOLD_MS = 3_000;

describe("events", () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  test("a watch page learns at once that its publisher is away and back", async () => {
    const stream = uniqueName("away");
    const publisher = await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitClocks(viewer, 30);
    await viaEvents(viewer);
    await viewer.evaluate(noteStates);
    const session = await publisher.evaluate(() => window.whitewater.session);
    await publisher.click("#stop");
    // The page ends its session, and the server has noticed once it answers that there is none.
    await until("the end of the session", async () => (await fetch(session)).status === 404);
    const noticed = Date.now();
    await viewer.waitForFunction(() => window.states.some(({ text }) => /away/.test(text)));
    const away = await viewer.evaluate(() => window.states.find(({ text }) => /away/.test(text)));
    const awayMs = tenth(away.at - noticed);
    await publisher.click("#live");
    await waitLive(publisher);
    const back = Date.now();
    await viewer.waitForFunction(() => document.querySelector("#state").textContent === "Live");
    print("publisher away", { toldMs: awayMs, liveAgainMs: Date.now() - back });
    assert.ok(awayMs < TOLD_MS, `the page said so ${awayMs} ms after the server knew`);
  });

  test("a viewer who waits joins as soon as the stream begins", async () => {
    const stream = uniqueName("begins");
    const viewer = await watch(await browser.context(), stream);
    await viewer.waitForFunction(() => window.whitewater.state === "waiting");
    await viaEvents(viewer);
    await publish(await browser.context(), stream, { resolution: "360" });
    const from = Date.now();
    await waitClocks(viewer, 1);
    print("waiting viewer, by events", { picturesAfterMs: Date.now() - from });
  });

  test("the home page shows streams and their viewers as they come and go, and hardly asks", async () => {
    const stream = uniqueName("home");
    const home = await (await browser.context()).newPage();
    const asked = [];
    home.on("request", (request) => {
      if (request.url().endsWith("/api/v1/streams")) asked.push(request.url());
    });
    await home.goto(base);
    const shows = async (text) => {
      const from = Date.now();
      await home.waitForFunction(
        ([name, text]) => {
          const item = document.querySelector(`a[href="/watch/${name}"]`);
          return text === null ? item === null : item?.textContent.includes(text);
        },
        [stream, text],
      );
      return Date.now() - from;
    };
    const publisher = await publish(await browser.context(), stream, {
      resolution: "360",
      simulcast: "0",
    });
    const beganMs = await shows("0 viewers");
    await watch(await browser.context(), stream);
    await shows("1 viewer");
    asked.length = 0;
    await home.waitForTimeout(12_000);
    const askedIn12S = asked.length;
    const session = await publisher.evaluate(() => window.whitewater.session);
    await publisher.click("#stop");
    await until("the end of the session", async () => (await fetch(session)).status === 404);
    const awayMs = await shows("away");
    print("home page", { beganMs, awayMs, askedIn12S });
    assert.ok(awayMs < TOLD_MS, `the page said so after ${awayMs} ms`);
    // Asking every 2 s would be six times.
    assert.ok(askedIn12S <= 3, `it asked ${askedIn12S} times`);
  });

  test("the number of viewers and the layers are shown as they change, without asking", async () => {
    const stream = uniqueName("count");
    await publish(await browser.context(), stream);
    const context = await browser.context();
    const viewer = await watch(context, stream);
    await viaEvents(viewer);
    const asked = [];
    viewer.on("request", (request) => asked.push(request.url()));
    const shows = (text) =>
      viewer.waitForFunction(
        (text) => document.querySelector("#viewers").textContent === text,
        text,
      );
    await shows("1 viewer");
    const second = await watch(context, stream);
    await shows("2 viewers");
    await second.close();
    await shows("1 viewer");
    await until("three layers", async () => {
      const texts = await viewer.locator("#layers .detail").allTextContents();
      return texts.filter((text) => /\d+p · /.test(text)).length === 3;
    });
    const polls = asked.filter((url) => url.includes("/api/v1/streams/"));
    assert.deepEqual(polls, [], "the page asked although it is told");
  });

  test("without shared workers and channels the page asks, and shows the same", async () => {
    const stream = uniqueName("asks");
    const publisher = await publish(await browser.context(), stream, { resolution: "360" });
    const context = await browser.context();
    await context.addInitScript(() => {
      delete window.SharedWorker;
      delete window.BroadcastChannel;
    });
    const viewer = await watch(context, stream);
    await waitClocks(viewer, 10);
    assert.equal(await viewer.evaluate(() => window.whitewater.events), false);
    const shows = (selector, text) =>
      viewer.waitForFunction(
        ([selector, text]) => document.querySelector(selector).textContent.includes(text),
        [selector, text],
      );
    await shows("#viewers", "1 viewer");
    await publisher.click("#stop");
    await shows("#state", "publisher is away");
  });

  test("a viewer who is told to reconnect opens a new session in place of the old one", async () => {
    const stream = uniqueName("renew");
    await publish(await browser.context(), stream, { resolution: "360" });
    const context = await browser.context();
    // Stands for the worker, so that the test can tell what no publisher did.
    await context.addInitScript(() => {
      window.SharedWorker = class {
        constructor() {
          const { port1, port2 } = new MessageChannel();
          this.port = port1;
          window.hub = port2;
        }
      };
    });
    const viewer = await watch(context, stream);
    await waitClocks(viewer, 10);
    const session = await viewer.evaluate(() => window.whitewater.session);
    await viewer.evaluate(
      (stream) => window.hub.postMessage({ event: { type: "reconnect", stream } }),
      stream,
    );
    const from = Date.now();
    await viewer.waitForFunction((old) => window.whitewater.session !== old, session);
    await waitLive(viewer);
    await until(
      "pictures",
      async () => (await stat(viewer, "inbound-rtp", "video"))?.framesDecoded,
    );
    print("reconnect", { picturesAfterMs: Date.now() - from });
    assert.equal((await fetch(session)).status, 404, "the old session is replaced");
    assert.equal((await streamInfo(stream)).viewers, 1);
  });

  test("an application's own WHEP client reads the standard events of its session", async () => {
    const stream = uniqueName("standard");
    await publish(await browser.context(), stream, { resolution: "360" });
    const viewer = await watch(await browser.context(), stream);
    await waitLive(viewer);
    const told = await viewer.evaluate(async () => {
      const url = `${window.whitewater.session}/sse`;
      const created = await fetch(url, { method: "POST" });
      const source = new EventSource(created.headers.get("Location"));
      const names = new Set(["active", "viewercount", "layers"]);
      return new Promise((resolve) => {
        const told = {};
        for (const name of names) {
          source.addEventListener(name, ({ data }) => {
            told[name] ??= JSON.parse(data);
            if (Object.keys(told).length === names.size) resolve(told);
          });
        }
      });
    });
    assert.deepEqual(told.active, {});
    assert.deepEqual(told.viewercount, { viewercount: 1 });
    // Parts of a layer follow it, where the browser makes some.
    const whole = told.layers["1"].filter(({ temporalLayerId }) => temporalLayerId === undefined);
    assert.deepEqual(
      whole.map(({ rid }) => rid).sort(),
      ["f", "h", "q"].slice(0, whole.length),
    );
  });
});

/** Waits until the page is told. */
async function viaEvents(page) {
  await until("events", () => page.evaluate(() => window.whitewater.events));
}

/** In the page: notes every text of the state line, and when it came. */
function noteStates() {
  const line = document.querySelector("#state");
  window.states = [];
  const note = () => window.states.push({ at: Date.now(), text: line.textContent });
  new MutationObserver(note).observe(line, { childList: true, characterData: true, subtree: true });
}
