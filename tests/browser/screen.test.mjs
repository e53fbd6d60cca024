// A shared screen on which nothing moves still arrives at 15 frames per second or more.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, launch, stat, uniqueName, waitLive } from "./lib/browser.mjs";
import { print, tenth } from "./lib/figures.mjs";

const LEAST_FPS = 15;
const SECONDS = 5;

test("a still screen keeps its frame rate", async () => {
  const browser = await launch();
  try {
    const stream = uniqueName("screen");
    const publisher = await (await browser.context()).newPage();
    await publisher.goto(`${base}/publish?stream=${stream}&simulcast=0&resolution=360`);
    await publisher.evaluate(shareStillPicture);
    await publisher.check("input[value=screen]", { force: true });
    await publisher.click("#live");
    await waitLive(publisher);
    const viewer = await (await browser.context()).newPage();
    await viewer.goto(`${base}/watch/${stream}`);
    await waitLive(viewer);
    await viewer.waitForFunction(() => window.whitewater.figures?.frames > 30);
    const before = await stat(viewer, "inbound-rtp", "video");
    await viewer.waitForTimeout(SECONDS * 1_000);
    const now = await stat(viewer, "inbound-rtp", "video");
    const fps =
      ((now.framesDecoded - before.framesDecoded) * 1_000) / (now.timestamp - before.timestamp);
    print("still screen", { fps: tenth(fps), size: `${now.frameWidth}x${now.frameHeight}` });
    assert.ok(fps >= LEAST_FPS, `${fps} frames/s`);
  } finally {
    await browser.close();
  }
});

/** In the page: a screen that gives one frame, as a real one does while nothing on it moves. */
function shareStillPicture() {
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = document.createElement("canvas");
    canvas.width = 640;
    canvas.height = 360;
    const context = canvas.getContext("2d");
    context.fillStyle = "#345";
    context.fillRect(0, 0, 640, 360);
    const stream = canvas.captureStream(0);
    const [track] = stream.getVideoTracks();
    for (const afterMs of [0, 100, 300]) {
      setTimeout(() => {
        context.fillStyle = "#fff";
        context.fillRect(40, 40, 100, 100);
        track.requestFrame();
      }, afterMs);
    }
    return stream;
  };
}
