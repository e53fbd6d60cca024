// A runner for the tests in a real browser.
//
//     WHITEWATER_URL=http://127.0.0.1:8080 node run.mjs [part of a file's name ...]
//
// The server must be running. CHROMIUM names another browser than /usr/bin/chromium. Every test prints its
// figures as one line of JSON that starts with {"test":.

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const folder = fileURLToPath(new URL(".", import.meta.url));
const base = process.env.WHITEWATER_URL;
if (!base) {
  console.error("WHITEWATER_URL must name the server, as in http://127.0.0.1:8080");
  process.exit(2);
}
const health = await fetch(new URL("/healthz", base)).catch(() => null);
if (!health?.ok) {
  console.error(`no server answers at ${base}/healthz`);
  process.exit(2);
}

const wanted = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".test.mjs"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .map((file) => folder + file);

// One file after the other: encoders and decoders of two tests at once would measure each other.
run({ files, concurrency: 1, timeout: 300_000 })
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(spec)
  .pipe(process.stdout);
