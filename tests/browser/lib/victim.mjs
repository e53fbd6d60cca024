// A browser that accidents happen to: it is killed, stopped and woken with all its processes, lives in a network
// namespace where one is named, and can be started again with the same profile.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { base, FLAGS } from "./browser.mjs";
import { installReader } from "./reader.mjs";

/** Starts Chromium with a profile on disk. `network` names a namespace; none is the test's own. */
export async function startVictim({ network } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "whitewater-victim-"));
  const victim = new Victim(folder, network);
  await victim.start();
  return victim;
}

class Victim {
  constructor(folder, network) {
    this.folder = folder;
    this.network = network;
    this.context = null;
  }

  /** Starts the browser, anew where it was killed. */
  async start() {
    const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    const enter = this.network ? `ip netns exec ${this.network} ` : "";
    const starter = join(this.folder, "start");
    // Every exec keeps the process id that is written here.
    const lines = [
      "#!/bin/sh",
      `echo $$ >'${this.folder}/pid'`,
      `exec ${enter}${chromiumPath} "$@"`,
    ];
    writeFileSync(starter, lines.join("\n"), { mode: 0o755 });
    this.context = await chromium.launchPersistentContext(join(this.folder, "profile"), {
      executablePath: starter,
      // The server's address in the namespaces is not the loopback one: it has to count as secure.
      args: [...FLAGS, `--unsafely-treat-insecure-origin-as-secure=${base}`],
      ignoreDefaultArgs: ["--mute-audio"],
      viewport: { width: 1280, height: 900 },
      permissions: ["camera", "microphone"],
    });
    await this.context.addInitScript(installReader);
    this.pid = Number(readFileSync(join(this.folder, "pid"), "utf8"));
  }

  /** Kills it with all that it started, as a power cut does. */
  async kill() {
    const closed = new Promise((resolve) => this.context.once("close", resolve));
    this.signal("SIGKILL");
    await closed;
  }

  /** Stops all of it for a while, as sleep does. */
  async sleep(ms) {
    this.signal("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.signal("SIGCONT");
  }

  async close() {
    await this.context?.close().catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  signal(name) {
    for (const pid of familyOf(this.pid)) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended by itself.
      }
    }
  }
}

/** A process and all that descend from it, parents first. */
function familyOf(pid) {
  const children = new Map();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let status;
    try {
      status = readFileSync(`/proc/${entry}/stat`, "utf8");
    } catch {
      continue;
    }
    const parent = Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const family = [pid];
  for (const member of family) family.push(...(children.get(member) ?? []));
  return family;
}
