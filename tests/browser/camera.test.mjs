// Camera and microphone, as a host uses them: by the page's own controls, with a change of device while live.

import assert from "node:assert/strict";
import { test } from "node:test";
import { base, launch, stat, uniqueName, until, waitLive } from "./lib/browser.mjs";
import { print } from "./lib/figures.mjs";

test("a host goes live with a camera, is heard, and changes devices without a new session", async () => {
  const browser = await launch();
  try {
    const stream = uniqueName("camera");
    const context = await browser.context();
    const publisher = await context.newPage();
    await publisher.goto(`${base}/publish`);
    await publisher.click("#live");
    assert.equal(await publisher.textContent("#name-problem"), "Give the stream a name.");
    await publisher.fill("#name", stream);
    await publisher.click("#open");
    await publisher.waitForFunction(() => document.querySelector("#level").value > 0.2);
    const menus = await publisher.evaluate(() =>
      ["#camera", "#microphone"].map((id) => document.querySelectorAll(`${id} option`).length),
    );
    assert.ok(menus[0] >= 3 && menus[1] >= 3, "the menus list devices after permission");
    await publisher.press("#name", "Enter");
    await waitLive(publisher);

    const viewer = await (await browser.context()).newPage();
    await viewer.goto(`${base}/watch/${stream}`);
    await waitLive(viewer);
    await viewer.click("#mute");
    const session = await publisher.evaluate(() => window.whitewater.session);
    const picture = await until("a moving picture", async () => {
      const video = await stat(viewer, "inbound-rtp", "video");
      return video?.framesDecoded > 60 && video;
    });
    const energy = async () => (await stat(viewer, "inbound-rtp", "audio"))?.totalAudioEnergy ?? 0;
    await until("sound", async () => (await energy()) > 0);

    for (const menu of ["#camera", "#microphone"]) {
      const value = await publisher.evaluate(
        (id) => [...document.querySelectorAll(`${id} option`)].at(-2).value,
        menu,
      );
      await publisher.selectOption(menu, value);
    }
    await publisher.waitForTimeout(1_500);
    const before = await energy();
    const frames = (await stat(viewer, "inbound-rtp", "video")).framesDecoded;
    await until("sound of the new microphone", async () => (await energy()) > before);
    await until("pictures of the new camera", async () => {
      return (await stat(viewer, "inbound-rtp", "video")).framesDecoded > frames + 30;
    });
    assert.equal(await publisher.textContent("#problem"), "");
    assert.equal(await publisher.evaluate(() => window.whitewater.session), session);
    print("camera", { size: `${picture.frameWidth}x${picture.frameHeight}`, menus });
  } finally {
    await browser.close();
  }
});
