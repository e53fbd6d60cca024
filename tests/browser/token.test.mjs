// A server on which nobody may without a token: the pages take it from their link, and say what to do without.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import {
  base,
  launch,
  publish,
  uniqueName,
  until,
  useServer,
  waitClocks,
  watch,
} from "./lib/browser.mjs";
import { environment, startServer } from "./lib/server.mjs";

describe("links with a token", () => {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-token-"));
  const config = join(folder, "whitewater.toml");
  const shared = base;
  let browser;
  let server;
  before(async () => {
    writeFileSync(config, '[auth]\njwt_secret = "0123456789abcdef0123456789abcdef"\n');
    server = await startServer({ args: ["--config", config] });
    useServer(server.url);
    browser = await launch();
  });
  afterEach(() => browser.reset());
  after(async () => {
    await browser?.close();
    await server?.stop();
    useServer(shared);
    rmSync(folder, { recursive: true, force: true });
  });

  const token = (...options) => {
    const args = ["token", "--config", config, ...options];
    return execFileSync(process.env.WHITEWATER_BIN, args, {
      encoding: "utf8",
      env: environment(),
    }).trim();
  };
  const state = (page) => page.textContent("#state");

  test("publish and watch with their own, and tell who has none what to do", async () => {
    const stream = uniqueName("token");
    const may = token("--stream", stream, "--publish");
    await publish(await browser.context(), stream, { codec: "H264", token: may });

    const look = token("--stream", stream, "--watch");
    for (const query of [
      `#token=${look}`,
      `?protocol=hls&token=${look}`,
      `?protocol=dash&token=${look}`,
    ]) {
      const viewer = await watch(await browser.context(), stream, { query });
      await waitClocks(viewer, 30, 60_000);
      // Its layers and events need permission as well.
      await until("events", () => viewer.evaluate(() => window.whitewater.events));
    }

    const other = token("--stream", "another", "--watch");
    const old = token("--stream", stream, "--watch", "--ttl", "0s");
    await new Promise((resolve) => setTimeout(resolve, 6_500));
    for (const [query, sentence] of [
      ["", /not open to everybody: ask its host/],
      [`#token=${other}`, /for something else/],
      [`#token=${old}`, /expired/],
      ["?protocol=hls", /not open to everybody: ask its host/],
    ]) {
      const viewer = await watch(await browser.context(), stream, { query });
      await until(`a sentence for ${query || "none"}`, async () =>
        sentence.test((await state(viewer)) ?? ""),
      );
    }
    const listed = await (await fetch(`${server.url}/api/v1/streams`)).json();
    assert.deepEqual(listed, []);
  });
});
