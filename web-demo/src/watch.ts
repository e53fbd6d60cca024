// The watch page: plays one stream, waits for it where it is not live, and shows how it arrives.

import { localMs, ServerClock } from "./clock";
import { wireCopyButtons } from "./copy";
import { follow, type Followed } from "./follow";
import { type RateEntry, ratesOf, type SizeEntry, sizesOf } from "./layers";
import { nameProblem } from "./name";
import { bitrateText, byId, codecText, expose, make, setText, sizeText, viewersText } from "./page";
import type { Status } from "./session";
import { latencyMs, median, StatsReader, unixOfCapture, type ViewerFigures } from "./stats";
import { type LayerChoice, WhepViewer } from "./whep";

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
const layersCard = byId("layers-card", HTMLFieldSetElement);
const layerList = byId("layers", HTMLDivElement);
const rateRow = byId("rate-row", HTMLLabelElement);
const rate = byId("rate", HTMLSelectElement);
const layerProblem = byId("layer-problem", HTMLParagraphElement);
const figureList = byId("figures", HTMLDListElement);

const name = decodeURIComponent(location.pathname.split("/")[2] ?? "");
const viewer = new WhepViewer({ endpoint: `/whep/${encodeURIComponent(name)}` });
const clock = new ServerClock();
const latencies: number[] = [];
const rows = new Map<string, HTMLElement>();
let reader = new StatsReader();
let figures: (ViewerFigures & { latencyMs: number | null }) | null = null;
let followed: Followed = { phase: null, viewers: null, tracks: [] };
let events: ReturnType<typeof follow> | null = null;
let status: Status = viewer.status;
let frames = 0;
let lastFrameAt = 0;

expose({
  get state() {
    return viewer.status.state;
  },
  get pc() {
    return viewer.pc;
  },
  get session() {
    return viewer.location;
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
showFigures();
showShare();

viewer.onmedia = (stream) => {
  video.srcObject = stream;
  void play();
};
viewer.onstatus = (next) => {
  if (next.state === "live") reader = new StatsReader();
  status = next;
  latencies.length = 0;
  showState();
};

const wrong = nameProblem(name);
if (wrong === null) {
  viewer.start();
  void clock.sync();
  events = follow(name, {
    changed: (next) => {
      followed = next;
      showLayers();
      showViewers();
      showState();
    },
    // Not all at the same moment: a thousand pages learn of it at once.
    active: () => setTimeout(join, Math.random() * 200),
    reconnect: () => setTimeout(() => viewer.reopen(), Math.random() * 400),
  });
} else {
  status = { state: "stopped", sentence: `There cannot be a stream of this name. ${wrong}` };
  showState();
}

addEventListener("pagehide", () => viewer.leave());
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
addEventListener("online", () => viewer.retryNow());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) viewer.retryNow();
});
setInterval(() => void measure(), 1_000);
followFrames();

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
fullscreen.onclick = () => {
  if (document.fullscreenElement) void document.exitFullscreen();
  else void screen.requestFullscreen?.();
};
rate.onchange = () => {
  const { temporalLayerId: _, ...choice } = viewer.selected;
  void chooseLayer(rate.value === "" ? choice : { ...choice, temporalLayerId: Number(rate.value) });
};
fullscreen.hidden = !document.fullscreenEnabled;
document.onfullscreenchange = () => {
  setText(fullscreen, document.fullscreenElement ? "Leave full screen" : "Full screen");
};
showSound();

/** Tries at once. A session that stands is left alone: its publisher's first packets may still be on the way. */
function join(): void {
  if (viewer.status.state !== "live") viewer.retryNow();
}

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
  const hasSound =
    video.srcObject instanceof MediaStream && video.srcObject.getAudioTracks().length > 0;
  unmuteButton.hidden = !video.muted || !hasSound || !playButton.hidden;
  setText(muteButton, video.muted ? "Unmute" : "Mute");
  muteButton.setAttribute("aria-pressed", String(video.muted));
  volume.value = video.muted ? "0" : String(video.volume);
}

/** Follows the frames on the screen: their number, and their age by the capture time they carry. */
function followFrames(): void {
  if (!("requestVideoFrameCallback" in video)) return;
  const onframe: VideoFrameRequestCallback = (now, metadata) => {
    video.requestVideoFrameCallback(onframe);
    frames = metadata.presentedFrames;
    lastFrameAt = now;
    const offset = clock.current;
    // A browser reckons the capture time of a remote frame by its own wall clock: it is the sender's time.
    if (offset === null || metadata.captureTime === undefined) return;
    const latency = latencyMs({
      shownMs: performance.timeOrigin + now,
      capturedMs: performance.timeOrigin + metadata.captureTime,
      offsetMs: offset.offsetMs,
    });
    if (latency === null) return;
    latencies.push(latency);
    if (latencies.length > 60) latencies.shift();
  };
  video.requestVideoFrameCallback(onframe);
}

/** The age of the newest frame by the receiver's own books, for browsers whose frames carry no capture time. */
function latencyOfReceiver(): number | null {
  const offset = clock.current;
  const receiver = viewer.pc?.getReceivers().find(({ track }) => track.kind === "video");
  const newest = receiver?.getSynchronizationSources()[0] as
    (RTCRtpSynchronizationSource & { captureTimestamp?: number; timestamp: number }) | undefined;
  if (offset === null || newest?.captureTimestamp === undefined) return null;
  return latencyMs({
    shownMs: newest.timestamp > 1e12 ? newest.timestamp : localMs(),
    capturedMs: unixOfCapture(newest.captureTimestamp),
    offsetMs: offset.offsetMs,
  });
}

async function measure(): Promise<void> {
  showState();
  const pc = viewer.pc;
  if (!pc || status.state !== "live") {
    figures = null;
    return showFigures();
  }
  const received = reader.viewer(await pc.getStats());
  figures = { ...received, latencyMs: median(latencies) ?? latencyOfReceiver() };
  if (!document.hidden) showFigures();
}

function showState(): void {
  const { state, sentence, retryInMs } = status;
  const away = state === "live" && (followed.phase === "lost" || isAway());
  const text = away
    ? "The publisher is away: its connection is lost. The picture comes back by itself."
    : state === "waiting" && sentence === ""
      ? "Not live yet. It starts here by itself."
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
  const playing = state === "live" && (frames > 0 || !hasVideo());
  setText(
    cover,
    playing && !away
      ? hasVideo()
        ? ""
        : "This stream has only sound."
      : state === "live" && !away
        ? "Waiting for the first picture…"
        : text,
  );
}

/** Whether frames stopped coming while the connection stands. A hidden page shows none, so nothing is said of it. */
function isAway(): boolean {
  if (document.hidden || !hasVideo() || frames === 0 || video.paused) return false;
  if (performance.now() - lastFrameAt <= AWAY_AFTER_MS) return false;
  // A publisher that vanished counts as live until its silence has lasted: its layers stop sooner.
  const picture = followed.tracks.find((track) => track.kind === "video");
  return followed.phase !== "active" || !picture?.layers.some((layer) => layer.active);
}

function hasVideo(): boolean {
  const stream = video.srcObject;
  return !(stream instanceof MediaStream) || stream.getVideoTracks().length > 0;
}

function showFigures(): void {
  const f = figures;
  const at = (value: (f: ViewerFigures & { latencyMs: number | null }) => string) =>
    f ? value(f) : "–";
  row(
    "Latency",
    at((f) => (f.latencyMs === null ? "–" : `${Math.round(f.latencyMs)} ms`)),
  );
  row(
    "Resolution",
    at((f) => sizeText(f.width, f.height)),
  );
  row(
    "Frames/s",
    at((f) => f.fps.toFixed(0)),
  );
  row(
    "Frames",
    at((f) => f.frames.toLocaleString("en")),
  );
  row(
    "Bit rate",
    at((f) => bitrateText(f.videoBps + f.audioBps)),
  );
  row(
    "Freezes",
    at((f) => (f.freezes === 0 ? "none" : `${f.freezes}, ${f.frozenS.toFixed(1)} s`)),
  );
  row(
    "Lost packets",
    at((f) => (f.lost === 0 ? "none" : `${f.lost} (${(f.lostShare * 100).toFixed(2)} %)`)),
  );
  row(
    "Jitter buffer",
    at((f) => (f.jitterBufferMs === null ? "–" : `${f.jitterBufferMs.toFixed(0)} ms`)),
  );
  row(
    "Round trip",
    at((f) =>
      f.roundTripMs === null ? "–" : `${f.roundTripMs.toFixed(f.roundTripMs < 10 ? 1 : 0)} ms`,
    ),
  );
  row(
    "Codec",
    at((f) => codecText(f.codec) || "–"),
  );
}

function row(label: string, text: string): void {
  let value = rows.get(label);
  if (!value) {
    value = make("dd");
    rows.set(label, value);
    figureList.append(make("div", rows.size === 1 ? "chief" : "", make("dt", "", label), value));
  }
  setText(value, text);
}

function showViewers(): void {
  viewersLine.hidden = followed.viewers === null;
  setText(viewersLine, followed.viewers === null ? "" : viewersText(followed.viewers));
}

function showShare(): void {
  const path = encodeURIComponent(name);
  setText(byId("link", HTMLElement), `${location.origin}/watch/${path}`);
  setText(
    byId("embed", HTMLElement),
    `<iframe src="${location.origin}/embed/${path}" title="Stream ${name}" width="640" height="360" ` +
      `style="border: 0" allow="autoplay; fullscreen"></iframe>`,
  );
  wireCopyButtons(byId("copied", HTMLParagraphElement));
}

function showLayers(): void {
  const layers = followed.tracks.find((track) => track.kind === "video")?.layers ?? [];
  const sizes = sizesOf(layers);
  const rates = ratesOf(layers);
  layersCard.hidden = sizes.length < 2 && rates.length < 2;
  layerList.hidden = sizes.length < 2;
  const wanted = ["", ...sizes.map(({ key }) => key)];
  const shown = [...layerList.querySelectorAll("input")].map((input) => input.value);
  if (wanted.join() !== shown.join()) {
    const auto = { key: "", choice: {}, label: "Auto", detail: "" };
    layerList.replaceChildren(...[auto, ...sizes].map((entry) => layerOption(entry)));
  }
  for (const { key, detail } of sizes) {
    const option = layerList.querySelector<HTMLElement>(`[data-rid="${CSS.escape(key)}"]`);
    const place = option?.querySelector(".detail");
    if (place) setText(place, detail);
  }
  showAutomatic();
  showRates(rates);
}

/** What Auto gives now, while it is chosen: the size of the picture. */
function showAutomatic(): void {
  const detail = layerList.querySelector('[data-rid=""] .detail');
  const given = Object.keys(viewer.selected).length === 0 && video.videoHeight > 0;
  if (detail) setText(detail, given ? `${video.videoHeight}p now` : "");
}

function showRates(rates: readonly RateEntry[]): void {
  rateRow.hidden = rates.length === 0;
  const all = new Option("All frames", "");
  const options = rates
    .slice(0, -1)
    .map(({ temporalLayerId, fps }) => new Option(rateText(fps), String(temporalLayerId)));
  const known = [...rate.options].map(({ value }) => value).join();
  if (known === ["", ...options.map(({ value }) => value)].join()) return;
  rate.replaceChildren(all, ...options);
  rate.value = String(viewer.selected.temporalLayerId ?? "");
}

/** Frame rates are halves of each other: what is measured is rounded to something steady. */
function rateText(fps: number): string {
  return `About ${fps < 10 ? fps.toFixed(0) : Math.round(fps / 5) * 5} frames/s`;
}

function layerOption({ key, choice, label: text }: SizeEntry): HTMLElement {
  const input = make("input");
  input.type = "radio";
  input.name = "layer";
  input.value = key;
  const { rid, spatialLayerId } = viewer.selected;
  input.checked = choice.rid === rid && choice.spatialLayerId === spatialLayerId;
  input.onchange = () => {
    const { temporalLayerId } = viewer.selected;
    void chooseLayer(temporalLayerId === undefined ? choice : { ...choice, temporalLayerId });
  };
  const label = make("label", "", input, make("span", "", text), make("span", "detail"));
  label.dataset["rid"] = key;
  return label;
}

async function chooseLayer(choice: LayerChoice): Promise<void> {
  layerProblem.hidden = true;
  try {
    await viewer.select(choice);
  } catch (error) {
    layerProblem.hidden = false;
    setText(layerProblem, error instanceof Error ? error.message : String(error));
  }
}
