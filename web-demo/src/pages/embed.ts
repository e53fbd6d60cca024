// The embed page: one stream's picture within another page, and the buttons that it cannot do without.
//
// The address may end in `?muted=0`, which tries to play with sound where the browser allows it, and in
// `?controls=0`, which leaves the bar out. The unmute button stays: without a click there is no sound.
// `?protocol=hls` and `?protocol=dash` play these, `?protocol=whep` plays in real time alone.

import { follow, type Phase } from "../events/follow";
import { byId, setText } from "../page/page";
import { nameProblem } from "../server/name";
import type { Status } from "../server/status";
import { FareBook } from "../watching/fare";
import { Player } from "../watching/player";
import { noSegmentsText, ruleOf } from "../watching/protocol";
import { expose } from "./expose";

const video = byId("video", HTMLVideoElement);
const screen = byId("screen", HTMLElement);
const cover = byId("state", HTMLParagraphElement);
const unmuteButton = byId("unmute", HTMLButtonElement);
const playButton = byId("play", HTMLButtonElement);
const bar = byId("bar", HTMLDivElement);
const muteButton = byId("mute", HTMLButtonElement);
const fullscreen = byId("fullscreen", HTMLButtonElement);

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const options = new URLSearchParams(location.search);
const player = new Player({ name, video, rule: ruleOf(location.search) });
let status: Status = player.status;
let phase: Phase | null = null;
let pictures = false;
let events: ReturnType<typeof follow> | null = null;

expose({
  get state() {
    return player.status.state;
  },
  get protocol() {
    return player.protocol;
  },
  get pc() {
    return player.whep?.pc ?? null;
  },
  get session() {
    return player.whep?.location ?? null;
  },
  get figures() {
    return null;
  },
  get events() {
    return events?.viaEvents ?? false;
  },
});

document.title = `${name} · Whitewater`;
video.setAttribute("aria-label", `Stream ${name}`);
video.muted = options.get("muted") !== "0";
bar.hidden = options.get("controls") === "0";

const fare = new FareBook(name, player, video);
player.onmedia = () => void play();
player.onstatus = (next) => {
  if (next.state !== "live") pictures = false;
  status = next;
  fare.note(next.state);
  show();
  showSound();
};
video.onplaying = video.onresize = () => {
  pictures = true;
  show();
};

const wrong = nameProblem(name);
if (wrong === null) {
  player.start();
  events = follow(name, {
    changed: (followed) => {
      phase = followed.phase;
      show();
    },
    active: () => setTimeout(() => player.join(), Math.random() * 200),
    reconnect: () => setTimeout(() => player.reopen(), Math.random() * 400),
  });
} else {
  status = { state: "stopped", sentence: `There cannot be a stream of this name. ${wrong}` };
  show();
}

addEventListener("pagehide", () => {
  fare.leave();
  player.leave();
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
addEventListener("online", () => player.retryNow());

unmuteButton.onclick = muteButton.onclick = () => {
  video.muted = !video.muted;
  showSound();
  // The button that was pressed is gone: the keyboard goes on with the one that undoes it.
  (video.muted ? unmuteButton : muteButton).focus({ preventScroll: true });
  void play();
};
playButton.onclick = () => void play();
video.onvolumechange = showSound;
fullscreen.hidden = !document.fullscreenEnabled;
fullscreen.onclick = () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void screen.requestFullscreen();
};
document.onfullscreenchange = () => {
  setText(fullscreen, document.fullscreenElement ? "Leave full screen" : "Full screen");
};
// A finger does not hover: a tap shows the bar for a while.
let hiding: ReturnType<typeof setTimeout> | undefined;
screen.onpointerup = ({ pointerType }) => {
  if (pointerType === "mouse") return;
  bar.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => bar.classList.remove("shown"), 3_000);
};
showSound();

async function play(): Promise<void> {
  playButton.hidden = true;
  try {
    await video.play();
  } catch (error) {
    const refused = error instanceof DOMException && error.name === "NotAllowedError";
    // Sound needs a click first. Without sound most browsers play at once.
    if (refused && !video.muted) {
      video.muted = true;
      return play();
    }
    playButton.hidden = !refused;
  }
  showSound();
}

function showSound(): void {
  unmuteButton.hidden = !video.muted || !player.hasSound || !playButton.hidden;
  muteButton.hidden = video.muted;
}

function show(): void {
  cover.dataset["state"] = status.state;
  setText(cover, text());
}

function text(): string {
  switch (status.state) {
    case "live":
      if (phase === "lost") return "The publisher is away.";
      return pictures || !player.hasPicture ? "" : "Waiting for the first picture…";
    case "waiting":
      if (status.sentence !== "") return status.sentence;
      if (player.protocol === "whep" || phase !== "active") return "Not live yet.";
      return noSegmentsText(player.protocol);
    case "reconnecting":
      return "Reconnecting…";
    case "stopped":
      return status.sentence || "Ended";
    case "idle":
    case "connecting":
      return "Connecting…";
  }
}
