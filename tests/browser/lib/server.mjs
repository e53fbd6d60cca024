// A server of a test's own, which can be killed and started again at the same addresses.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const STARTS_WITHIN_MS = 20_000;

/** The environment without the variables of the tests, which look like configuration to the server. */
export function environment() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("WHITEWATER_")),
  );
}

/**
 * Starts a server. `http` and `udp` are addresses with ports; port 0 lets the system choose. It records
 * nothing unless it is told to. A `data` folder that is given outlives it.
 */
export async function startServer({
  http = "127.0.0.1:0",
  udp = "127.0.0.1:0",
  args = [],
  recording = false,
  data: given,
} = {}) {
  const binary = process.env.WHITEWATER_BIN;
  if (!binary) throw new Error("WHITEWATER_BIN must name the server's binary");
  const data = given ?? mkdtempSync(join(tmpdir(), "whitewater-"));
  const child = spawn(
    binary,
    ["serve", "--http", http, "--udp", udp, "--data", data, "--insecure-open", ...args],
    { env: { ...environment(), WHITEWATER_RECORDING_ENABLED: String(recording) }, stdio: ["ignore", "pipe", "pipe"] },
  );
  const log = [];
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log.push(text);
    if (log.length > 2_000) log.shift();
  });
  const ended = new Promise((resolve) =>
    child.on("exit", (code, signal) => resolve({ code, signal })),
  );
  const stop = async (signal = "SIGTERM") => {
    child.kill(signal);
    const how = await ended;
    if (!given) rmSync(data, { recursive: true, force: true });
    return how;
  };
  const said = await firstLine(child, ended, log);
  const [, url, media] = /^whitewater listens on (\S+) \(media: udp (\S+)\)/.exec(said) ?? [];
  if (!url) throw new Error(`the server said: ${said}`);
  return {
    url,
    media,
    pid: child.pid,
    stop,
    log: () => log.join(""),
    /** Its gauges. */
    gauges: async () => (await fetch(`${url}/api/v1/server`)).json(),
    /** Its resident memory in KiB. */
    residentKib: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]);
    },
  };
}

async function firstLine(child, ended, log) {
  let text = "";
  child.stdout.setEncoding("utf8");
  const line = new Promise((resolve) => {
    child.stdout.on("data", (more) => {
      text += more;
      if (text.includes("\n")) resolve(text.split("\n")[0]);
    });
  });
  const gone = ended.then(() => Promise.reject(new Error(`the server ended: ${log.join("")}`)));
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the server says nothing")), STARTS_WITHIN_MS);
  });
  try {
    return await Promise.race([line, gone, late]);
  } finally {
    clearTimeout(timer);
    gone.catch(() => undefined);
  }
}
