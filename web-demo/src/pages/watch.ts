// The watch page: plays one stream, waits for it where it is not live, and shows how it arrives.

import { follow, type Followed } from "../events/follow";
import { wireCopyButtons } from "../page/copy";
import { byId, setText, viewersText } from "../page/page";
import { ServerClock } from "../server/clock";
import { nameProblem } from "../server/name";
import type { Status } from "../server/status";
import { withPageToken } from "../server/token";
import { FareBook } from "../watching/fare";
import { FigurePanel, type Figures } from "../watching/figures";
import { FrameWatch, latencyOfReceiver } from "../watching/frames";
import { LayerMenu } from "../watching/layer-menu";
import { Player } from "../watching/player";
import {
  dashPath,
  hlsPath,
  type Protocol,
  protocolText,
  ruleOf,
  titleOf,
  waitingText,
} from "../watching/protocol";
import { Timeline } from "../watching/timeline";
import { StatsReader } from "../webrtc/stats";
import { expose } from "./expose";

/** How long the picture may stand still before people are told that the publisher is away. */
const AWAY_AFTER_MS = 2_500;

const video = byId("video", HTMLVideoElement);
const screen = byId("screen", HTMLDivElement);
const cover = byId("cover", HTMLParagraphElement);
const stateLine = byId("state", HTMLParagraphElement);
const viewersLine = byId("viewers", HTMLParagraphElement);
const unmuteButton = byId("unmute", HTMLButtonElement);
const playButton = byId("play", HTMLButtonElement);
const muteButton = byId("mute", HTMLButtonElement);
const volume = byId("volume", HTMLInputElement);
const fullscreen = byId("fullscreen", HTMLButtonElement);
const protocolCard = byId("protocol-card", HTMLFieldSetElement);
const protocolLine = byId("protocol-line", HTMLParagraphElement);
const protocolDetail = byId("protocol-detail", HTMLParagraphElement);
const protocolRadios = protocolCard.querySelectorAll<HTMLInputElement>("input");
const otherRadio = byId("protocol-other", HTMLInputElement);

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const player = new Player({ name, video, rule: ruleOf(location.search) });
const clock = new ServerClock();
const frames = new FrameWatch(video, clock, () => player.segments?.playback?.playingMs ?? null);
const panel = new FigurePanel(byId("figures", HTMLDListElement));
const menu = new LayerMenu(player, video);
const timeline = new Timeline(video, () => player.segments?.playback ?? null, play);
const fare = new FareBook(name, player, video, {
  latencyMs: () => figures?.latencyMs ?? null,
  waits: () =>
    figures?.protocol === "whep" ? { count: figures.freezes, ms: figures.frozenS * 1_000 } : null,
});
let reader = new StatsReader();
let figures: Figures | null = null;
let followed: Followed = { phase: null, viewers: null, hlsViewers: 0, dashViewers: 0, tracks: [] };
let events: ReturnType<typeof follow> | null = null;
let status: Status = player.status;
/** Frames that were shown by the other protocol. */
let framesBefore = 0;
let liveSince = 0;

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
    return figures;
  },
  get events() {
    return events?.viaEvents ?? false;
  },
});

document.title = `${name} · Whitewater`;
setText(byId("title", HTMLHeadingElement), name);
video.setAttribute("aria-label", `Stream ${name}`);
// The address says which of both ways the segments come.
otherRadio.value = player.other;
otherRadio.title = titleOf(player.other);
showProtocol();
showShare();

player.onmedia = () => void play();
player.onstatus = (next) => {
  if (next.state === "live") {
    reader = new StatsReader();
    liveSince = performance.now();
  }
  status = next;
  fare.note(next.state);
  frames.reset();
  timeline.show();
  showState();
  showSound();
};
player.onprotocol = () => {
  framesBefore = frames.count;
  figures = null;
  showProtocol();
  menu.show();
};
player.onlevels = () => menu.show();

const wrong = nameProblem(name);
if (wrong === null) {
  player.start();
  void clock.sync();
  events = follow(name, {
    changed: (next) => {
      followed = next;
      showLayers();
      showViewers();
      showState();
    },
    // Not all at the same moment: a thousand pages learn of it at once.
    active: () => setTimeout(() => player.join(), Math.random() * 200),
    reconnect: () => setTimeout(() => player.reopen(), Math.random() * 400),
  });
} else {
  status = { state: "stopped", sentence: `There cannot be a stream of this name. ${wrong}` };
  protocolCard.hidden = true;
  showState();
}

addEventListener("pagehide", () => {
  fare.leave();
  player.leave();
});
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
addEventListener("online", () => player.retryNow());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) player.retryNow();
});
setInterval(() => void measure(), 1_000);

unmuteButton.onclick = muteButton.onclick = () => {
  video.muted = !video.muted;
  if (!video.muted && video.volume === 0) video.volume = 1;
  void play();
};
playButton.onclick = () => void play();
volume.oninput = () => {
  video.volume = Number(volume.value);
  video.muted = video.volume === 0;
};
video.onvolumechange = showSound;
video.onresize = showLayers;
fullscreen.onclick = () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void screen.requestFullscreen?.();
};
fullscreen.hidden = !document.fullscreenEnabled;
document.onfullscreenchange = () => {
  setText(fullscreen, document.fullscreenElement ? "Leave full screen" : "Full screen");
};
for (const radio of protocolRadios) radio.onchange = () => player.choose(radio.value as Protocol);
showSound();

async function play(): Promise<void> {
  try {
    await video.play();
    playButton.hidden = true;
  } catch (error) {
    // A newer source interrupts the older play(); only a refusal needs the viewer's click.
    playButton.hidden = !(error instanceof DOMException && error.name === "NotAllowedError");
  }
  showSound();
}

function showSound(): void {
  unmuteButton.hidden = !video.muted || !player.hasSound || !playButton.hidden;
  setText(muteButton, video.muted ? "Unmute" : "Mute");
  muteButton.setAttribute("aria-pressed", String(video.muted));
  volume.value = video.muted ? "0" : String(video.volume);
}

async function measure(): Promise<void> {
  showState();
  figures = status.state === "live" ? await figuresNow() : null;
  if (document.hidden) return;
  panel.show(player.protocol, figures);
  timeline.show();
  showLayers();
}

async function figuresNow(): Promise<Figures | null> {
  const pc = player.whep?.pc;
  if (pc) {
    const received = reader.viewer(await pc.getStats());
    const latencyMs = frames.latencyMs ?? latencyOfReceiver(pc, clock);
    return { protocol: "whep", ...received, latencyMs };
  }
  const playback = player.segments?.playback;
  const { protocol } = player;
  if (!playback || protocol === "whep") return null;
  return { protocol, ...playback.figures, latencyMs: frames.latencyMs };
}

function showState(): void {
  const { state, sentence, retryInMs } = status;
  const away = state === "live" && (followed.phase === "lost" || isAway());
  const text = away
    ? "The publisher is away: its connection is lost. The picture comes back by itself."
    : state === "waiting" && sentence === ""
      ? waitingText(player.protocol, followed.phase === "active")
      : sentence
        ? `${sentence}${retryInMs === undefined ? "" : ` Trying again in ${(retryInMs / 1_000).toFixed(1)} s.`}`
        : {
            idle: "",
            connecting: "Connecting…",
            live: "Live",
            waiting: "",
            reconnecting: "Reconnecting…",
            stopped: "Ended",
          }[state];
  stateLine.dataset["state"] = away ? "waiting" : state;
  setText(stateLine, text);
  setText(cover, state === "live" && !away ? coverText() : text);
}

/** What lies on the picture while the stream is live. */
function coverText(): string {
  if (!player.hasPicture) return "This stream has only sound.";
  if (frames.count <= framesBefore) return "Waiting for the first picture…";
  return player.protocol !== "whep" && standsStill() ? "Waiting for the next picture…" : "";
}

/** Whether frames stopped coming while the connection stands. A hidden page shows none, so nothing is said of it. */
function standsStill(): boolean {
  if (document.hidden || !player.hasPicture || frames.count === 0 || video.paused) return false;
  return performance.now() - Math.max(frames.lastAt, liveSince) > AWAY_AFTER_MS;
}

/** Whether that is because the publisher is away. */
function isAway(): boolean {
  if (!standsStill()) return false;
  // A publisher that vanished counts as live until its silence has lasted: its layers stop sooner.
  const picture = followed.tracks.find((track) => track.kind === "video");
  return followed.phase !== "active" || !picture?.layers.some((layer) => layer.active);
}

function showProtocol(): void {
  protocolCard.hidden = !player.hasChoice;
  for (const radio of protocolRadios) radio.checked = radio.value === player.protocol;
  setText(protocolLine, protocolText(player.protocol, player.why, player.other));
  setText(protocolDetail, player.detail);
  panel.show(player.protocol, figures);
}

function showLayers(): void {
  menu.take(followed.tracks.find((track) => track.kind === "video")?.layers ?? []);
}

function showViewers(): void {
  viewersLine.hidden = followed.viewers === null;
  const { viewers, hlsViewers, dashViewers } = followed;
  setText(viewersLine, viewers === null ? "" : viewersText(viewers, hlsViewers, dashViewers));
}

function showShare(): void {
  const path = encodeURIComponent(name);
  setText(byId("link", HTMLElement), `${location.origin}/watch/${path}`);
  setText(byId("hls-link", HTMLElement), `${location.origin}${hlsPath(name)}`);
  setText(byId("dash-link", HTMLElement), `${location.origin}${dashPath(name)}`);
  const recordings = byId("recordings", HTMLAnchorElement);
  recordings.href = withPageToken(`/recordings?stream=${path}`);
  setText(
    byId("embed", HTMLElement),
    `<iframe src="${location.origin}/embed/${path}" title="Stream ${name}" width="640" height="360" ` +
      `style="border: 0" allow="autoplay; fullscreen"></iframe>`,
  );
  wireCopyButtons(byId("copied", HTMLParagraphElement));
}
