// Browsers are killed, and sleep for seconds and longer than the server waits: everybody comes back by themselves.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  newPicture,
  publish,
  streamInfo,
  uniqueName,
  until,
  useServer,
  waitClocks,
  watch,
} from "./lib/browser.mjs";
import { print } from "./lib/figures.mjs";
import { LAN } from "./lib/network.mjs";
import { startServer } from "./lib/server.mjs";
import { startVictim } from "./lib/victim.mjs";

const SETTINGS = { resolution: "360", simulcast: "0" };
// A browser that was stopped first catches up with all that it missed, on a machine that has other things to do.
const BACK_WITHIN_MS = 40_000;
// What the server waits for a silent peer, and once more for good measure.
const GONE_WITHIN_MS = 60_000;

describe("accidents", () => {
  let server, idle, idleKib;
  const open = [];
  const victim = async () => {
    const started = await startVictim();
    open.push(started);
    return started;
  };
  before(async () => {
    const address = `${LAN.address}:0`;
    server = await startServer({ http: address, udp: address });
    useServer(server.url);
    idle = await gauges(server);
    idleKib = server.residentKib();
  });
  afterEach(() => Promise.all(open.splice(0).map((each) => each.close())));
  after(async () => {
    if (!server) return;
    const found = await until(
      "the gauges to come back",
      async () => {
        const now = await gauges(server);
        return JSON.stringify(now) === JSON.stringify(idle) && now;
      },
      GONE_WITHIN_MS,
    );
    const residentKib = server.residentKib();
    print("gauges afterwards", { ...found, idleKib, residentKib });
    assert.ok(residentKib < idleKib + 32 * 1_024, `${residentKib} KiB are resident afterwards`);
    const { code } = await server.stop();
    assert.equal(code, 0, "the server did not stop cleanly");
  });

  test("a publisher whose browser was killed takes its name back from the same profile", async () => {
    const stream = uniqueName("kill");
    const [host, guest] = await Promise.all([victim(), victim()]);
    await publish(host.context, stream, SETTINGS);
    const viewer = await watch(guest.context, stream);
    await waitClocks(viewer, 30);
    // A browser writes what a page stores to disk some seconds later.
    await host.context.pages()[1].waitForTimeout(8_000);
    const session = await viewer.evaluate(() => window.whitewater.session);
    await host.kill();
    const killed = Date.now();
    await host.start();
    const started = Date.now();
    await publish(host.context, stream, SETTINGS);
    const liveMs = Date.now() - started;
    const pictureMs = (await newPicture(viewer)) - started;
    const same = session === (await viewer.evaluate(() => window.whitewater.session));
    const restartMs = started - killed;
    print("publisher killed", { restartMs, liveMs, pictureMs, sameViewerSession: same });
    assert.ok(pictureMs < BACK_WITHIN_MS, `the picture came after ${pictureMs} ms`);
  });

  test("a viewer whose browser was killed is forgotten, and watches again at once", async () => {
    const stream = uniqueName("viewer");
    const [host, guest] = await Promise.all([victim(), victim()]);
    await publish(host.context, stream, SETTINGS);
    await waitClocks(await watch(guest.context, stream), 30);
    await guest.kill();
    const killed = Date.now();
    await guest.start();
    const started = Date.now();
    const viewer = await watch(guest.context, stream);
    await waitClocks(viewer, 1);
    const pictureMs = Date.now() - started;
    await until("one viewer", async () => (await streamInfo(stream)).viewers === 1, GONE_WITHIN_MS);
    print("viewer killed", { pictureMs, forgottenMs: Date.now() - killed });
  });

  for (const seconds of [5, 15, 40]) {
    test(`after ${seconds} s of sleep publisher and viewer come back without a reload`, async () => {
      const [one, two] = [uniqueName("host-sleeps"), uniqueName("guest-sleeps")];
      const [sleeper, awake] = await Promise.all([victim(), victim()]);
      // The sleeper publishes one stream and watches the other.
      await publish(sleeper.context, one, SETTINGS);
      await publish(awake.context, two, SETTINGS);
      const watching = await watch(sleeper.context, two);
      const watched = await watch(awake.context, one);
      await Promise.all([waitClocks(watching, 30), waitClocks(watched, 30)]);
      const session = await watched.evaluate(() => window.whitewater.session);
      await sleeper.sleep(seconds * 1_000);
      const woken = Date.now();
      const [guestMs, hostMs] = await Promise.all(
        [watching, watched].map(async (page) => (await newPicture(page)) - woken),
      );
      const same = session === (await watched.evaluate(() => window.whitewater.session));
      print(`asleep for ${seconds} s`, {
        publisherBackMs: hostMs,
        viewerBackMs: guestMs,
        sameViewerSession: same,
      });
      assert.ok(hostMs < BACK_WITHIN_MS, `the publisher's picture came after ${hostMs} ms`);
      assert.ok(guestMs < BACK_WITHIN_MS, `the viewer's picture came after ${guestMs} ms`);
    });
  }
});

async function gauges(server) {
  const { shards } = await server.gauges();
  const names = ["sessions", "streams", "addresses"];
  return Object.fromEntries(
    names.map((name) => [name, shards.reduce((sum, shard) => sum + shard[name], 0)]),
  );
}
