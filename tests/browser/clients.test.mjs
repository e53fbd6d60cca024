// Publishers of every kind in a real browser: FFmpeg, and sound that repeats itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  launch,
  publish,
  samples,
  stat,
  streamInfo,
  uniqueName,
  until,
  watch,
} from "./lib/browser.mjs";
import { publishFfmpeg } from "./lib/load.mjs";
import { print, tenth } from "./lib/figures.mjs";

test("FFmpeg's picture and sound arrive", async () => {
  const browser = await launch();
  const stream = uniqueName("ffmpeg");
  const publisher = publishFfmpeg(stream);
  try {
    await until("the stream", () => streamInfo(stream));
    const viewer = await watch(await browser.context(), stream);
    await until("a picture", async () => (await samples(viewer)).length > 60);
    const video = await stat(viewer, "inbound-rtp", "video");
    const audio = await sound(viewer);
    print("FFmpeg publishes", {
      frames: video.framesDecoded,
      size: `${video.frameWidth}x${video.frameHeight}`,
      lost: video.packetsLost,
      audioEnergy: audio.totalAudioEnergy,
    });
    assert.equal(video.frameWidth, 640);
  } finally {
    await publisher.stop();
    await browser.close();
  }
});

test("sound that repeats itself is heard by who reads it and by who does not", async () => {
  const browser = await launch();
  const stream = uniqueName("red");
  try {
    const settings = { resolution: "360", simulcast: "0", red: "1" };
    const publisher = await publish(await browser.context(), stream, settings);
    const answer = await publisher.evaluate(() => window.whitewater.pc.remoteDescription.sdp);
    assert.match(answer, /^m=audio \d+ \S+ 63 111\r?$/m);
    const figures = {};
    for (const [name, script] of [
      ["reads", null],
      ["does not", dropRed],
    ]) {
      const context = await browser.context();
      if (script) await context.addInitScript(script);
      const viewer = await watch(context, stream);
      const audio = await sound(viewer);
      const packet = audio.bytesReceived / audio.packetsReceived;
      figures[name] = { bytesPerPacket: tenth(packet), concealed: audio.concealedSamples };
      await context.close();
    }
    print("sound that repeats itself", figures);
    // Each packet carries a frame once or twice.
    const [once, twice] = [figures["does not"].bytesPerPacket, figures.reads.bytesPerPacket];
    assert.ok(twice > 1.4 * once, `${twice} bytes in a packet, without repetition ${once}`);
  } finally {
    await browser.close();
  }
});

/** Waits until a viewer's page has heard something. */
async function sound(viewer) {
  await viewer.evaluate(() => void (document.querySelector("#video").muted = false));
  return until("sound", async () => {
    const found = await stat(viewer, "inbound-rtp", "audio");
    return found?.totalAudioEnergy > 0.0001 && found.packetsReceived > 100 && found;
  });
}

/** In the page: a viewer that cannot read repeated sound. */
function dropRed() {
  const real = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (kind, init) {
    const transceiver = real.call(this, kind, init);
    if (kind === "audio") {
      const { codecs } = RTCRtpReceiver.getCapabilities("audio");
      const others = codecs.filter((codec) => codec.mimeType.toLowerCase() !== "audio/red");
      transceiver.setCodecPreferences(others);
    }
    return transceiver;
  };
}
