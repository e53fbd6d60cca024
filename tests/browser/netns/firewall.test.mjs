// A browser behind a firewall that lets no UDP through publishes and watches over TCP.
//
// scripts/firewall-test.sh puts it there; in any other place these tests fail.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { base, launch, publish, uniqueName, until, waitClocks, watch } from "../lib/browser.mjs";
import { median, print, tenth } from "../lib/figures.mjs";
import { elapsedMs } from "../lib/reader.mjs";

/** Both ends of the pair of candidates that the page sends on. */
function selectedPair(page) {
  return page.evaluate(async () => {
    const report = await window.whitewater.pc.getStats();
    const transport = [...report.values()].find((entry) => entry.type === "transport");
    const pair = report.get(transport?.selectedCandidatePairId);
    if (!pair) return null;
    const end = ({ protocol, tcpType, candidateType, address, port }) => ({
      protocol,
      tcpType,
      candidateType,
      address,
      port,
    });
    return {
      local: end(report.get(pair.localCandidateId)),
      remote: end(report.get(pair.remoteCandidateId)),
      sent: pair.bytesSent,
      received: pair.bytesReceived,
    };
  });
}

/** Waits for a pair, which has to be one of TCP towards the media port. */
async function assertTcp(page, who) {
  const pair = await until(`${who}'s pair of candidates`, () => selectedPair(page));
  assert.equal(pair.local.protocol, "tcp", `${who} sends over ${JSON.stringify(pair)}`);
  assert.equal(pair.local.tcpType, "active", who);
  assert.equal(pair.remote.protocol, "tcp", who);
  assert.equal(pair.remote.address, new URL(base).hostname, who);
  return pair;
}

/** The sum of one of the shards' counts. */
async function count(name) {
  const server = await (await fetch(`${base}/api/v1/server`)).json();
  return server.shards.reduce((sum, shard) => sum + shard[name], 0);
}

describe("a network without UDP", () => {
  let browser;
  before(async () => {
    // Pages of a server that is not on this machine are not trusted over HTTP.
    browser = await launch([`--unsafely-treat-insecure-origin-as-secure=${new URL(base).origin}`]);
  });
  afterEach(() => browser.reset());
  after(() => browser?.close());

  for (const codec of ["VP8", "H264"]) {
    test(`${codec} is published and watched over TCP, and the clock in the picture goes on`, async () => {
      const stream = uniqueName("firewall");
      const began = Date.now();
      const settings = { resolution: "360", codec, simulcast: "0" };
      const publisher = await publish(await browser.context(), stream, settings);
      const liveMs = Date.now() - began;
      const opened = Date.now();
      const viewer = await watch(await browser.context(), stream);
      await waitClocks(viewer, 5);
      const firstPicturesMs = Date.now() - opened;
      const taken = await waitClocks(viewer, 100);
      const read = taken.filter((sample) => sample.time !== null);
      const wentOnMs = elapsedMs(read[0].time, read.at(-1).time);
      const tookMs = read.at(-1).shown - read[0].shown;
      assert.ok(
        Math.abs(wentOnMs - tookMs) < 1_000,
        `the clock went on by ${wentOnMs} ms in ${tookMs} ms`,
      );
      const pairs = {
        publisher: await assertTcp(publisher, "the publisher"),
        viewer: await assertTcp(viewer, "the viewer"),
      };
      assert.equal(await count("tcp_connections"), 2);
      print(`${codec} without UDP`, {
        publisherLiveMs: liveMs,
        firstPicturesMs,
        clockWentOnMs: Math.round(wentOnMs),
        ageMedianMs: tenth(median(read.map((sample) => sample.age))),
        publisherBytes: pairs.publisher.sent,
        viewerBytes: pairs.viewer.received,
      });
    });
  }
});
