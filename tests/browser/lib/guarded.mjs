// A server of a test's own on which nobody may do anything without a token, and a browser to try it with.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before } from "node:test";
import { base, launch, useServer } from "./browser.mjs";
import { environment, startServer } from "./server.mjs";

/**
 * Has both started before the tests of the present suite, and ended after them. `token(...options)` makes what
 * `whitewater token` makes. More configuration may be given, and options of the server.
 */
export function guarded({ toml = "", ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-guarded-"));
  const config = join(folder, "whitewater.toml");
  const shared = base;
  const suite = {
    browser: undefined,
    server: undefined,
    token: (...options) =>
      execFileSync(process.env.WHITEWATER_BIN, ["token", "--config", config, ...options], {
        encoding: "utf8",
        env: environment(),
      }).trim(),
    /** Starts the server, or another after it. */
    start: async (more = {}) => {
      suite.server = await startServer({ args: ["--config", config], ...options, ...more });
      useServer(suite.server.url);
    },
  };
  before(async () => {
    writeFileSync(config, `[auth]\njwt_secret = "0123456789abcdef0123456789abcdef"\n${toml}`);
    await suite.start();
    suite.browser = await launch();
  });
  afterEach(() => suite.browser.reset());
  after(async () => {
    await suite.browser?.close();
    await suite.server?.stop();
    useServer(shared);
    rmSync(folder, { recursive: true, force: true });
  });
  return suite;
}
