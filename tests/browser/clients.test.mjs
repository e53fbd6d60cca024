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
    const audio = await until("sound", async () => {
      const found = await stat(viewer, "inbound-rtp", "audio");
      return found?.totalAudioEnergy > 0 && found;
    });
    print("FFmpeg publishes", {
      frames: video.framesDecoded,
      size: `${video.frameWidth}x${video.frameHeight}`,
      lost: video.packetsLost,
      audioEnergy: tenth(audio.totalAudioEnergy),
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
    const sent = await codecOf(publisher, "outbound-rtp");
    assert.match(sent, /red/, "the publisher does not repeat its sound");
    const figures = {};
    for (const [name, script] of [
      ["reads", null],
      ["does not", dropRed],
    ]) {
      const context = await browser.context();
      if (script) await context.addInitScript(script);
      const viewer = await watch(context, stream);
      const audio = await until("sound", async () => {
        const found = await stat(viewer, "inbound-rtp", "audio");
        return found?.totalAudioEnergy > 0.001 && found;
      });
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

/** The codec that a page sends its sound with. */
function codecOf(page, type) {
  return page.evaluate(async (type) => {
    for (let tries = 0; tries < 100; tries++) {
      const report = await window.whitewater.pc.getStats();
      const entries = [...report.values()];
      const rtp = entries.find((entry) => entry.type === type && entry.kind === "audio");
      const codec = rtp?.codecId && report.get(rtp.codecId);
      if (codec) return codec.mimeType;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return "none";
  }, type);
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
