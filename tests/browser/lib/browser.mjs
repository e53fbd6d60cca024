// A browser with pages of ours: a publisher and viewers, and waits for what they show.

import { chromium } from "playwright-core";
import { installReader } from "./reader.mjs";

/** The server under test. */
export let base = process.env.WHITEWATER_URL ?? "http://127.0.0.1:8080";

/** Tests another server from now on, one that the test started itself. */
export function useServer(url) {
  base = url;
}

/** What every Chromium of the tests is started with. */
export const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream=fps=30",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  // Without it a machine that has nothing but loopback gathers no candidates at all.
  "--allow-loopback-in-peer-connection",
];

/** Starts a browser, with more flags if need be. `context(options)` makes a fresh profile in it; `reset()` closes all that were made. */
export async function launch(flags = []) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [...FLAGS, ...flags],
    // The browser's own mute would also silence what pages analyse.
    ignoreDefaultArgs: ["--mute-audio"],
  });
  const open = [];
  const context = async (options = {}) => {
    const made = await browser.newContext({
      ...options,
      viewport: { width: 1280, height: 900 },
      permissions: ["camera", "microphone"],
    });
    await made.addInitScript(installReader);
    open.push(made);
    return made;
  };
  const reset = async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
  };
  return { context, reset, close: () => browser.close() };
}

/** A stream name that no other test uses. */
export function uniqueName(what) {
  return `${what}-${process.pid}-${Math.floor(Math.random() * 1e6)}`;
}

/** Opens the publish page and goes live. */
export async function publish(context, stream, settings = {}) {
  const page = await openPage(context);
  const query = new URLSearchParams({
    stream,
    source: "pattern",
    codec: "VP8",
    resolution: "720",
    simulcast: "1",
    autostart: "1",
    ...settings,
  });
  await page.goto(`${base}/publish?${query}`);
  await waitLive(page);
  return page;
}

/**
 * Opens the watch page, with options in its address if need be, and starts reading the pattern as soon as there is
 * a picture. `before` runs in the page ahead of its own scripts.
 */
export async function watch(context, stream, { query = "", before } = {}) {
  const page = await openPage(context);
  if (before) await page.addInitScript(before);
  await page.goto(`${base}/watch/${stream}${query}`);
  await page.evaluate(() => {
    window.reader = window.readPattern(document.querySelector("#video"));
  });
  return page;
}

/** Waits until the page's session is live; a failure says what the page says. */
export async function waitLive(page, timeout = 20_000) {
  await waitOnPage(page, () => window.whitewater?.state === "live", "to be live", timeout);
}

/** Waits until the viewer has read `count` more clocks. Returns all samples read. */
export async function waitClocks(page, count, timeout = 30_000) {
  const before = await page.evaluate(() => clocks());
  await waitOnPage(
    page,
    (goal) => clocks() >= goal,
    `to read ${count} clocks`,
    timeout,
    before + count,
  );
  return samples(page);
}

/** All samples that the page's reader took. */
export function samples(page) {
  return page.evaluate(() => window.reader.samples);
}

/** Forgets the samples taken so far. */
export function forget(page) {
  return page.evaluate(() => void (window.reader.samples.length = 0));
}

/** When the viewer showed a picture that was captured after this call: milliseconds since 1970. */
export async function newPicture(page, timeout = 60_000) {
  const from = Date.now();
  const isNew = (sample) => sample.time !== null && sample.shown - sample.age > from;
  const look = async () => (await samples(page)).find(isNew);
  return (await until("a new picture", look, timeout)).shown;
}

/** The stream as the API shows it; null where it is not live. */
export async function streamInfo(stream) {
  const response = await fetch(`${base}/api/v1/streams/${stream}`);
  return response.ok ? response.json() : null;
}

/** The video layers that arrive at the server now. */
export async function activeLayers(stream) {
  const info = await streamInfo(stream);
  const video = info?.tracks.find((track) => track.kind === "video");
  return video?.layers.filter((layer) => layer.active) ?? [];
}

/** Asks `check` every 100 ms until it gives something. */
export async function until(what, check, timeout = 20_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${timeout} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** One entry of the page's connection statistics. */
export function stat(page, type, kind) {
  return page.evaluate(
    async ([type, kind]) => {
      const report = await window.whitewater.pc.getStats();
      return [...report.values()].find(
        (entry) => entry.type === type && (kind === undefined || entry.kind === kind),
      );
    },
    [type, kind],
  );
}

async function openPage(context) {
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(error.message));
  await page.addInitScript(() => {
    window.clocks = () => window.reader.samples.filter((sample) => sample.time !== null).length;
  });
  return page;
}

async function waitOnPage(page, check, what, timeout, argument) {
  try {
    await page.waitForFunction(check, argument, { timeout, polling: 50 });
  } catch {
    const seen = await page.evaluate(() => ({
      state: window.whitewater?.state,
      line: document.querySelector("#state")?.textContent,
      problem: document.querySelector("#problem")?.textContent,
      figures: window.whitewater?.figures,
      video: (({ readyState, networkState, currentTime, src, error } = {}) => ({
        readyState,
        networkState,
        currentTime,
        src,
        error: error?.message,
      }))(document.querySelector("#video") ?? undefined),
      // What it asked for last, when, how long that took, and the status.
      requests: performance
        .getEntriesByType("resource")
        .slice(-15)
        .map(({ name, startTime, duration, responseStatus }) =>
          [name.slice(-60), Math.round(startTime), Math.round(duration), responseStatus].join(" "),
        ),
    }));
    throw new Error(
      `waited ${timeout} ms in vain for ${page.url()} ${what}: ${JSON.stringify({ ...seen, errors: page.problems })}`,
    );
  }
}
