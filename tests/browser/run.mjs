// A runner for the tests in real browsers.
//
//     WHITEWATER_URL=http://127.0.0.1:8080 WHITEWATER_BIN=.../whitewater node run.mjs [part of a file's name ...]
//
// The server at WHITEWATER_URL must be running. Files named *.lan.test.mjs run in network namespaces of their
// own, with servers that they start from WHITEWATER_BIN; that needs root. CHROMIUM and FIREFOX name other
// browsers than those in /usr/bin. Every test prints its figures as one line of JSON that starts with {"test":.
// What failed, and why, is added to the file WHITEWATER_FAILURES.

import { spawn } from "node:child_process";
import { appendFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { makeNetwork, removeNetwork } from "./lib/network.mjs";

const folder = fileURLToPath(new URL(".", import.meta.url));
const inside = process.env.WHITEWATER_NETWORK !== undefined;
const wanted = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".test.mjs"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .map((file) => folder + file);
const lan = files.filter((file) => file.endsWith(".lan.test.mjs"));

if (inside) {
  await runFiles(lan);
} else {
  const others = files.filter((file) => !lan.includes(file));
  if (others.length > 0) {
    await findServer(process.env.WHITEWATER_URL);
    await runFiles(others);
  }
  if (lan.length > 0) await runInNetwork();
}

/** So that whoever runs this can tell of it once more at its end. */
function noteFailure(name, message) {
  const file = process.env.WHITEWATER_FAILURES;
  if (file) appendFileSync(file, `${name}: ${String(message).replace(/\s+/g, " ").slice(0, 2_000)}\n`);
}

async function findServer(base) {
  if (!base) fail("WHITEWATER_URL must name the server, as in http://127.0.0.1:8080");
  const health = await fetch(new URL("/healthz", base)).catch(() => null);
  if (!health?.ok) fail(`no server answers at ${base}/healthz`);
}

/** One file after the other: encoders and decoders of two tests at once would measure each other. */
function runFiles(files) {
  return new Promise((resolve) => {
    run({ files, concurrency: 1, timeout: 600_000 })
      .on("test:fail", ({ name, details: { error } }) => {
        process.exitCode = 1;
        // A suite fails because a test of it does.
        if (error.failureType !== "subtestsFailed") noteFailure(name, error.cause?.message ?? error.message);
      })
      .on("end", resolve)
      .compose(spec)
      .pipe(process.stdout, { end: false });
  });
}

/** Runs this file once more, inside. */
async function runInNetwork() {
  const network = makeNetwork();
  try {
    const child = spawn(
      "ip",
      ["netns", "exec", network.lan, process.execPath, fileURLToPath(import.meta.url), ...wanted],
      { stdio: "inherit", env: { ...process.env, WHITEWATER_NETWORK: JSON.stringify(network) } },
    );
    // Whoever ends this ends what runs inside, and the namespaces go all the same.
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
    const code = await new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
    if (code !== 0) process.exitCode = code;
  } finally {
    removeNetwork(network);
  }
}

function fail(sentence) {
  console.error(sentence);
  process.exit(2);
}
