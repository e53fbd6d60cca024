// The network changes under publishers and viewers, and the server goes away and comes back: the pages follow.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { newPicture, publish, uniqueName, useServer, waitClocks, watch } from "./lib/browser.mjs";
import { print } from "./lib/figures.mjs";
import { changeAddress, LAN, plugIn, pullOut } from "./lib/network.mjs";
import { startServer } from "./lib/server.mjs";
import { startVictim } from "./lib/victim.mjs";

const SETTINGS = { resolution: "360", simulcast: "0" };
const BACK_WITHIN_MS = 40_000;

describe("networks", () => {
  const network = JSON.parse(process.env.WHITEWATER_NETWORK);
  const address = `${LAN.address}:0`;
  let server, away, near;
  before(async () => {
    server = await startServer({ http: address, udp: address });
    useServer(server.url);
    [away, near] = await Promise.all([startVictim({ network: network.home }), startVictim()]);
  });
  afterEach(async () => {
    for (const { context } of [away, near]) {
      await Promise.all(
        context
          .pages()
          .slice(1)
          .map((page) => page.close()),
      );
    }
  });
  after(async () => {
    await Promise.all([away?.close(), near?.close()]);
    const { code } = (await server?.stop()) ?? {};
    assert.equal(code, 0, "the server did not stop cleanly");
  });

  for (const [what, change] of [
    ["moves to another cable", () => moveToCable(1)],
    ["moves back", () => moveToCable(0)],
    ["gets another address", () => changeAddress(network, 0, 2, 3)],
    ["loses its network for 5 s", () => pause(5_000)],
    ["loses its network for 40 s", () => pause(40_000)],
  ]) {
    test(`a publisher and a viewer whose network ${what} come back`, async () => {
      const [one, two] = [uniqueName("host-moves"), uniqueName("guest-moves")];
      await publish(away.context, one, SETTINGS);
      await publish(near.context, two, SETTINGS);
      const guest = await watch(away.context, two);
      const watched = await watch(near.context, one);
      await Promise.all([waitClocks(guest, 30), waitClocks(watched, 30)]);
      await change();
      const from = Date.now();
      const [viewerMs, publisherMs] = await Promise.all(
        [guest, watched].map(async (page) => (await newPicture(page)) - from),
      );
      print(`network ${what}`, { publisherBackMs: publisherMs, viewerBackMs: viewerMs });
      assert.ok(
        publisherMs < BACK_WITHIN_MS,
        `the publisher's picture came after ${publisherMs} ms`,
      );
      assert.ok(viewerMs < BACK_WITHIN_MS, `the viewer's picture came after ${viewerMs} ms`);
    });
  }

  for (const signal of ["SIGTERM", "SIGKILL"]) {
    test(`publisher and viewer come back after the server's ${signal}`, async () => {
      const stream = uniqueName(signal.toLowerCase());
      await publish(near.context, stream, SETTINGS);
      const viewer = await watch(near.context, stream);
      await waitClocks(viewer, 30);
      const http = new URL(server.url).host;
      const stopped = Date.now();
      const { code } = await server.stop(signal);
      const endedMs = Date.now() - stopped;
      if (signal === "SIGTERM") assert.equal(code, 0, "the server did not stop cleanly");
      server = await startServer({ http, udp: server.media });
      const from = Date.now();
      const pictureMs = (await newPicture(viewer)) - from;
      print(`server ends by ${signal}`, { endedMs, pictureMs });
      assert.ok(pictureMs < BACK_WITHIN_MS, `the picture came after ${pictureMs} ms`);
    });
  }

  function moveToCable(cable) {
    pullOut(network, 1 - cable);
    plugIn(network, cable);
  }

  async function pause(ms) {
    pullOut(network, 0);
    await new Promise((resolve) => setTimeout(resolve, ms));
    plugIn(network, 0);
  }
});
