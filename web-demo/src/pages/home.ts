// The home page: which streams are live, and how to publish one.

import { type StreamEvent } from "../events/hub";
import { listen } from "../events/listen";
import { wireCopyButtons } from "../page/copy";
import {
  bitrateText,
  byId,
  codecText,
  durationText,
  make,
  pollWhileVisible,
  setText,
  sizeText,
  viewersText,
} from "../page/page";
import { fetchStreams, type StreamInfo } from "../server/api";
import { nameProblem } from "../server/name";
import { hlsPath } from "../watching/protocol";

const state = byId("state", HTMLParagraphElement);
const list = byId("streams", HTMLUListElement);
const items = new Map<string, ReturnType<typeof streamItem>>();

/** While events do not come, the API is asked so often. */
const ASK_EVERY_MS = 2_000;
/** And so often where they do. */
const ASK_ANYHOW_MS = 30_000;
/** Streams that start or end together are asked for together. */
const SETTLE_MS = 100;

/** What the API answered last and when, with what events have told since. */
let known: { streams: readonly StreamInfo[]; at: number } = { streams: [], at: 0 };
let stale = true;
let asking = false;
let settling: ReturnType<typeof setTimeout> | undefined;

const listening = listen(["*"], {
  event: (event) => {
    // The answer that is on its way may be older.
    stale ||= asking;
    if (event.type === "inactive") {
      known = { ...known, streams: known.streams.filter(({ name }) => name !== event.stream) };
      show();
    } else if (known.streams.some(({ name }) => name === event.stream)) {
      const update = (info: StreamInfo) =>
        info.name === event.stream ? { ...info, ...partOf(event) } : info;
      known = { ...known, streams: known.streams.map(update) };
      show();
    } else {
      stale = true;
      clearTimeout(settling);
      if (!document.hidden) settling = setTimeout(() => void ask(), SETTLE_MS);
    }
  },
  up: () => {
    stale = true;
  },
});

/** What an event tells of a stream that is on the list. */
function partOf(event: StreamEvent): Partial<StreamInfo> {
  switch (event.type) {
    case "active":
    case "lost":
      return { live: event.type === "active" };
    case "viewercount":
      return event.viewercount === undefined ? {} : { viewers: event.viewercount };
    case "hlsviewercount":
      return event.hlsviewercount === undefined ? {} : { hls_viewers: event.hlsviewercount };
    case "dashviewercount":
      return event.dashviewercount === undefined ? {} : { dash_viewers: event.dashviewercount };
    case "layers":
      return { tracks: (event.tracks ?? []) as StreamInfo["tracks"] };
    case "inactive":
    case "reconnect":
      return {};
  }
}

pollWhileVisible(ASK_EVERY_MS, async () => {
  listening.revive();
  // Events tell no warnings.
  const old = Date.now() - known.at > ASK_ANYHOW_MS;
  if (stale || old || !listening.up) await ask();
  else show();
});

async function ask(): Promise<void> {
  stale = false;
  asking = true;
  try {
    const streams = await fetchStreams();
    known = { streams, at: Date.now() };
    show();
  } catch {
    stale = true;
    setText(state, "The server cannot be reached. Asking again every 2 s.");
  } finally {
    asking = false;
  }
}

const form = byId("watch", HTMLFormElement);
const name = byId("name", HTMLInputElement);
const problem = byId("name-problem", HTMLParagraphElement);
form.onsubmit = (event) => {
  event.preventDefault();
  const wrong = nameProblem(name.value.trim());
  problem.hidden = wrong === null;
  problem.textContent = wrong;
  name.setAttribute("aria-invalid", String(wrong !== null));
  if (wrong === null) location.assign(`/watch/${name.value.trim()}`);
  else name.focus();
};

const whip = `${location.origin}/whip/NAME`;
byId("whip-url", HTMLElement).textContent = whip;
byId("ffmpeg", HTMLElement).textContent =
  `ffmpeg -re -i FILE -c:v libx264 -profile:v baseline -bf 0 -g 60 -c:a libopus -ar 48000 -ac 2 -f whip ${whip}`;

byId("hls-url", HTMLElement).textContent = location.origin + hlsPath("NAME");

wireCopyButtons(byId("copied", HTMLParagraphElement));

function show(): void {
  const streams = known.streams;
  setText(
    state,
    streams.length === 0
      ? "No stream is live."
      : streams.length === 1
        ? "1 stream is live."
        : `${streams.length} streams are live.`,
  );
  const names = new Set(streams.map((stream) => stream.name));
  for (const [known, item] of items) {
    if (names.has(known)) continue;
    item.element.remove();
    items.delete(known);
  }
  streams.forEach((stream, at) => {
    const item = items.get(stream.name) ?? streamItem(stream.name);
    items.set(stream.name, item);
    item.update({ ...stream, uptime_ms: stream.uptime_ms + Date.now() - known.at });
    if (list.children[at] !== item.element)
      list.insertBefore(item.element, list.children[at] ?? null);
  });
}

function streamItem(name: string) {
  const viewers = make("span", "viewers");
  const about = make("span", "about");
  const link = make("a", "", make("span", "name", name), viewers, about);
  link.href = `/watch/${name}`;
  const warning = make("p", "problem");
  const update = (stream: StreamInfo) => {
    setText(viewers, viewersText(stream.viewers, stream.hls_viewers, stream.dash_viewers));
    setText(about, aboutText(stream));
    warning.hidden = stream.warnings.length === 0;
    setText(warning, stream.warnings.join(" "));
  };
  return { element: make("li", "", link, warning), update };
}

function aboutText(stream: StreamInfo): string {
  const video = stream.tracks.find((track) => track.kind === "video");
  const audio = stream.tracks.find((track) => track.kind === "audio");
  const layers = video?.layers.filter((layer) => layer.active) ?? [];
  const best = layers[0];
  const total = stream.tracks.flatMap((track) => track.layers);
  const parts = [
    stream.live ? `live for ${durationText(stream.uptime_ms)}` : "the publisher is away",
    [video, audio]
      .map((track) => codecText(track?.codec ?? ""))
      .filter(Boolean)
      .join(" and "),
    best?.width ? sizeText(best.width, best.height) : "",
    layers.length > 1 ? `${layers.length} layers` : "",
    bitrateText(total.reduce((sum, layer) => sum + layer.bitrate_bps, 0)),
  ];
  return parts.filter((part) => part !== "").join(" · ");
}
