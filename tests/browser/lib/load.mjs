// Publishers that are no browsers: `whitewater load whip` in a process of its own.

import { spawn } from "node:child_process";
import { base } from "./browser.mjs";

/** Starts a publisher with the manners of `like`; `stop()` ends it and waits until it has gone. */
export function publishLike(like, stream, { layers, gop }) {
  const binary = process.env.WHITEWATER_BIN;
  if (!binary) throw new Error("WHITEWATER_BIN must name the program");
  const options = { like, layers, gop, url: `${base}/whip/${stream}`, seconds: 240 };
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const environment = { ...process.env };
  delete environment.WHITEWATER_URL;
  delete environment.WHITEWATER_BIN;
  const child = spawn(binary, ["load", "whip", "--json", ...flags], {
    stdio: ["ignore", "ignore", "inherit"],
    env: environment,
  });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const stop = () => {
    child.kill("SIGINT");
    return ended;
  };
  return { stop };
}
