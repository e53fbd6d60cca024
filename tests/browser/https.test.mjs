// The pages over HTTPS with HTTP/2: publish, watch, and eight tabs over one connection.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  launch,
  publish,
  stat,
  streamInfo,
  uniqueName,
  until,
  useServer,
  waitClocks,
  watch,
} from "./lib/browser.mjs";
import { print } from "./lib/figures.mjs";
import { startServer } from "./lib/server.mjs";

const TABS = 8;

describe("HTTPS", () => {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-tls-"));
  let server, browser;
  before(async () => {
    const [certificate, key] = ["cert.pem", "key.pem"].map((name) => join(folder, name));
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const files = ["-keyout", key, "-out", certificate];
    execFileSync("openssl", ["req", "-x509", "-days", "2", ...kind, ...subject, ...files], {
      stdio: "pipe",
    });
    server = await startServer({ args: ["--tls-cert", certificate, "--tls-key", key] });
    assert.match(server.url, /^https:/);
    // Nobody vouches for the certificate; this process asks nobody else.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    useServer(server.url);
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    const { code } = (await server?.stop()) ?? {};
    rmSync(folder, { recursive: true, force: true });
    assert.equal(code, 0, "the server did not stop cleanly");
  });

  test("a stream is published and watched in eight tabs, all over HTTP/2", async () => {
    const stream = uniqueName("tls");
    const context = () => browser.context({ ignoreHTTPSErrors: true });
    const publisher = await publish(await context(), stream, { resolution: "360", simulcast: "0" });
    const guests = await context();
    const tabs = [];
    for (let i = 0; i < TABS; i++) tabs.push(await watch(guests, stream));
    await Promise.all(tabs.map((tab) => waitClocks(tab, 5, 60_000)));
    for (const tab of tabs) {
      await until("60 frames", async () => {
        return (await stat(tab, "inbound-rtp", "video"))?.framesDecoded > 60;
      });
    }
    const { viewers } = await until("eight viewers", async () => {
      const info = await streamInfo(stream);
      return info?.viewers === TABS && info;
    });
    const protocols = new Set();
    for (const page of [publisher, ...tabs]) {
      assert.equal(await page.evaluate(() => window.isSecureContext), true);
      for (const each of await page.evaluate(protocolsOf)) protocols.add(each);
      assert.deepEqual(page.problems, []);
    }
    print("HTTPS", { viewers, protocols: [...protocols] });
    assert.deepEqual([...protocols], ["h2"]);
  });
});

/** In the page: by which protocols it and all that it asked for came. */
function protocolsOf() {
  const entries = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
  return entries.map((entry) => entry.nextHopProtocol).filter((name) => name !== "");
}
