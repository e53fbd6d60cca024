// A server on which nobody may without a token: the pages take it from their link, and say what to do without.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { publish, uniqueName, until, waitClocks, watch } from "./lib/browser.mjs";
import { guarded } from "./lib/guarded.mjs";

describe("links with a token", () => {
  const suite = guarded();
  const { token } = suite;
  const state = (page) => page.textContent("#state");

  test("publish and watch with their own, and tell who has none what to do", async () => {
    const stream = uniqueName("token");
    const may = token("--stream", stream, "--publish");
    await publish(await suite.browser.context(), stream, { codec: "H264", token: may });

    const look = token("--stream", stream, "--watch");
    for (const query of [
      `#token=${look}`,
      `?protocol=hls&token=${look}`,
      `?protocol=dash&token=${look}`,
    ]) {
      const viewer = await watch(await suite.browser.context(), stream, { query });
      await waitClocks(viewer, 30, 60_000);
      // Its layers and events need permission as well.
      await until("events", () => viewer.evaluate(() => window.whitewater.events));
      await viewer.context().close();
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
      const viewer = await watch(await suite.browser.context(), stream, { query });
      await until(`a sentence for ${query || "none"}`, async () =>
        sentence.test((await state(viewer)) ?? ""),
      );
      await viewer.context().close();
    }
    const listed = await (await fetch(`${suite.server.url}/api/v1/streams`)).json();
    assert.deepEqual(listed, []);
  });
});
