// Publishers that are no browsers, each in a process of its own.

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
  return running(child);
}

/** Starts FFmpeg as a publisher of a test picture and a tone. */
export function publishFfmpeg(stream) {
  const cache = process.env.XDG_CACHE_HOME ?? `${process.env.HOME}/.cache`;
  const media =
    "-re -f lavfi -i testsrc2=size=640x360:rate=30 -f lavfi -i sine=frequency=440 -c:v libx264 " +
    "-preset ultrafast -tune zerolatency -profile:v baseline -bf 0 -g 60 -pix_fmt yuv420p " +
    "-c:a libopus -ar 48000 -ac 2 -f whip";
  const flags = ["-nostdin", "-loglevel", "error", ...media.split(" "), `${base}/whip/${stream}`];
  return running(spawn(`${cache}/whitewater/ffmpeg/ffmpeg`, flags, { stdio: "inherit" }));
}

function running(child) {
  const ended = new Promise((resolve, reject) => {
    child.on("exit", resolve);
    child.on("error", reject);
  });
  const stop = () => {
    child.kill("SIGINT");
    return ended;
  };
  return { stop };
}
