// The publish page: chooses a source, goes live, and says how it goes.
//
// For automation it takes its settings from the address:
// ?stream=NAME&source=pattern&codec=VP8&resolution=720&bitrate=2500&simulcast=1&red=1&autostart=1
// and for VP9 and AV1 &svc=L3T3

import { wireCopyButtons } from "../page/copy";
import {
  bitrateText,
  byId,
  codecText,
  make,
  pollWhileVisible,
  setText,
  sizeText,
} from "../page/page";
import { Claim } from "../publish/claim";
import { fetchStream } from "../server/api";
import { nameProblem } from "../server/name";
import type { Status } from "../server/status";
import { LevelMeter } from "../source/level";
import {
  listDevices,
  openDevice,
  openSource,
  type Source,
  type SourceKind,
} from "../source/sources";
import { hlsPath } from "../watching/protocol";
import {
  canScale,
  encodingsFor,
  SCALABILITY_MODES,
  type Scalability,
  VIDEO_CODECS,
  type VideoCodec,
} from "../webrtc/encodings";
import { type LayerFigures, type Limit, type PublisherFigures, StatsReader } from "../webrtc/stats";
import { WhipPublisher } from "../webrtc/whip";
import { expose } from "./expose";

const preview = byId("preview", HTMLVideoElement);
const empty = byId("empty", HTMLParagraphElement);
const problem = byId("problem", HTMLParagraphElement);
const stateLine = byId("state", HTMLParagraphElement);
const settings = byId("settings", HTMLFormElement);
const liveButton = byId("live", HTMLButtonElement);
const stopButton = byId("stop", HTMLButtonElement);
const openButton = byId("open", HTMLButtonElement);
const devices = byId("devices", HTMLDivElement);
const sourceHint = byId("source-hint", HTMLParagraphElement);
const camera = byId("camera", HTMLSelectElement);
const microphone = byId("microphone", HTMLSelectElement);
const nameField = byId("name", HTMLInputElement);
const nameWrong = byId("name-problem", HTMLParagraphElement);
const codec = byId("codec", HTMLSelectElement);
const resolution = byId("resolution", HTMLSelectElement);
const bitrate = byId("bitrate", HTMLInputElement);
const bitrateWrong = byId("bitrate-problem", HTMLParagraphElement);
const scalability = byId("scalability", HTMLSelectElement);
const scalabilityRow = byId("scalability-row", HTMLLabelElement);
const simulcast = byId("simulcast", HTMLInputElement);
const share = byId("share", HTMLElement);
const watchLink = byId("watch-link", HTMLAnchorElement);
const hlsLink = byId("hls-link", HTMLElement);
const figuresCard = byId("figures", HTMLElement);
const layerRows = byId("layers", HTMLTableSectionElement);
const summary = byId("summary", HTMLParagraphElement);
const warning = byId("warning", HTMLParagraphElement);
const levelBar = byId("level", HTMLMeterElement);

const SOURCE_HINTS: Readonly<Record<SourceKind, string>> = {
  camera: "",
  screen: "The browser asks which screen, window or tab to share.",
  pattern: "A moving picture with a clock, and a beep on every second. Needs no camera.",
};
const COLUMNS = ["Resolution", "Frames/s", "Bit rate", "Keyframes", "Limit"];
const BITRATES_KBPS: Readonly<Record<string, string>> = {
  "360": "800",
  "720": "2500",
  "1080": "5000",
};
const LIMITS: Readonly<Record<Limit, string>> = {
  none: "none",
  cpu: "limited by CPU",
  bandwidth: "limited by network",
  other: "limited by the browser",
};

let source: Source | null = null;
let publisher: WhipPublisher | null = null;
let claim: Claim | null = null;
let openings = 0;
let goingLive = false;
let figures: PublisherFigures | null = null;
let reader = new StatsReader();
const level = new LevelMeter((share) => {
  levelBar.value = share;
});

expose({
  get state() {
    return publisher?.status.state ?? "idle";
  },
  get pc() {
    return publisher?.pc ?? null;
  },
  get session() {
    return publisher?.location ?? null;
  },
  get figures() {
    return figures;
  },
});

fillMenus();
const query = new URLSearchParams(location.search);
readQuery(query);
showSource();
showScalability();
void showDevices();
navigator.mediaDevices?.addEventListener("devicechange", () => void showDevices());

settings.onsubmit = (event) => {
  event.preventDefault();
  void goLive();
};
stopButton.onclick = () => void stop();
openButton.onclick = () => void open();
nameField.oninput = () => showWrong(nameField, nameWrong, null);
bitrate.oninput = () => showWrong(bitrate, bitrateWrong, null);
for (const radio of sourceRadios()) {
  radio.onchange = () => {
    showSource();
    close();
    // Not the screen: whoever moves through the choices by keyboard would meet the browser's question.
    if (radio.value === "pattern") void open();
  };
}
camera.onchange = () => void changeDevice("video", camera.value);
microphone.onchange = () => void changeDevice("audio", microphone.value);
codec.onchange = scalability.onchange = showScalability;
resolution.onchange = () => {
  bitrate.value = BITRATES_KBPS[resolution.value] ?? bitrate.value;
  if (source && source.kind !== "screen") void open();
};
wireCopyButtons(byId("copied", HTMLParagraphElement));

addEventListener("pagehide", () => publisher?.leave());
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) location.reload();
});
addEventListener("online", () => publisher?.retryNow());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) publisher?.retryNow();
});
setInterval(() => void measure(), 1_000);
pollWhileVisible(5_000, showWarnings);

if (query.get("autostart") === "1") void goLive();

/** Opens the chosen source and shows it. */
async function open(): Promise<boolean> {
  close();
  const turn = openings;
  showProblem("");
  openButton.disabled = true;
  try {
    const opened = await openSource({
      kind: chosenSource(),
      height: Number(resolution.value),
      camera: camera.value,
      microphone: microphone.value,
    });
    if (turn !== openings) {
      opened.stop();
      return false;
    }
    source = opened;
    for (const track of opened.stream.getTracks()) watchEnd(track);
  } catch (error) {
    if (turn === openings) showProblem(error instanceof Error ? error.message : String(error));
    return false;
  } finally {
    if (turn === openings) openButton.disabled = false;
  }
  showPreview();
  // Not awaited: a browser may list devices only once the page is in view.
  void showDevices();
  return true;
}

/** Lets the source go, and one that is still being opened. */
function close(): void {
  openings++;
  openButton.disabled = false;
  source?.stop();
  source = null;
  showPreview();
}

async function goLive(): Promise<void> {
  if (publisher || goingLive) return;
  const name = nameField.value.trim();
  showWrong(nameField, nameWrong, nameProblem(name));
  showWrong(bitrate, bitrateWrong, bitrateProblem());
  const wrong = settings.querySelector<HTMLElement>("[aria-invalid=true]");
  if (wrong) return wrong.focus();
  showProblem("");
  goingLive = true;
  try {
    if (source || (await open())) await publish(name);
  } finally {
    goingLive = false;
  }
}

async function publish(name: string): Promise<void> {
  claim = await Claim.take(name);
  if (!source) return claim.release();
  const [video] = source.stream.getVideoTracks();
  const [audio] = source.stream.getAudioTracks();
  const chosenCodec = codec.value as VideoCodec;
  publisher = new WhipPublisher({
    endpoint: `/whip/${name}`,
    audio,
    video,
    codec: chosenCodec,
    redundantSound: query.get("red") === "1",
    encodings: encodingsFor({
      codec: chosenCodec,
      width: source.width,
      height: source.height,
      bitrateBps: Number(bitrate.value) * 1_000,
      simulcast: simulcast.checked,
      scalability: scalability.value as Scalability,
    }),
    replaces: claim.session,
  });
  reader = new StatsReader();
  publisher.onstatus = (status) => onStatus(name, status);
  showRunning(true, name);
  publisher.start();
}

async function stop(): Promise<void> {
  const ended = publisher;
  publisher = null;
  figures = null;
  if (ended) ended.onstatus = null;
  showRunning(false, nameField.value.trim());
  showState("idle", "Not live");
  claim?.keep(null);
  claim?.release();
  await ended?.stop();
}

function onStatus(name: string, { state, sentence, retryInMs }: Status): void {
  claim?.keep(publisher?.location ?? null);
  if (state === "stopped") {
    claim?.release();
    publisher = null;
    figures = null;
    showRunning(false, name);
    showProblem(sentence);
    showState("stopped", "Not live");
    return;
  }
  const retry =
    retryInMs === undefined ? "" : ` Trying again in ${(retryInMs / 1_000).toFixed(1)} s.`;
  const words = {
    idle: "Not live",
    live: "Live",
    waiting: "Waiting",
    connecting: "Connecting…",
    reconnecting: "Reconnecting…",
  };
  showState(state, sentence ? `${sentence}${retry}` : words[state]);
}

/** Changes a device; while live, the session goes on with the new track. */
async function changeDevice(kind: "audio" | "video", id: string): Promise<void> {
  if (source?.kind !== "camera") return;
  const old = source.stream.getTracks().find((track) => track.kind === kind);
  if (!publisher) return void (await open());
  if (!old || id === "none") {
    if (old) old.enabled = id !== "none";
    else showProblem("Stop first: a live stream cannot gain or lose its picture or sound.");
    return;
  }
  try {
    const track = await openDevice(kind, id, Number(resolution.value));
    await publisher.replaceTrack(kind, track);
    source.stream.removeTrack(old);
    old.stop();
    source.stream.addTrack(track);
    watchEnd(track);
    showProblem("");
    showPreview();
  } catch (error) {
    showProblem(error instanceof Error ? error.message : String(error));
  }
}

function watchEnd(track: MediaStreamTrack): void {
  track.onended = () => {
    if (!source?.stream.getTracks().includes(track)) return;
    const what =
      source.kind === "screen"
        ? "Screen sharing"
        : track.kind === "audio"
          ? "The microphone"
          : "The camera";
    showProblem(
      source.kind === "screen"
        ? `${what} was ended in the browser. Stop, and go live again with another source.`
        : `${what} was unplugged or taken away. Choose another one in the menu.`,
    );
  };
}

async function measure(): Promise<void> {
  const pc = publisher?.pc;
  if (!pc || publisher?.status.state !== "live") return;
  figures = reader.publisher(await pc.getStats());
  if (!document.hidden) showFigures(figures);
}

/** What the server finds wrong with what it gets. */
async function showWarnings(): Promise<void> {
  const live = publisher?.status.state === "live";
  const info = live ? await fetchStream(nameField.value.trim()).catch(() => null) : null;
  const sentence = info?.warnings.join(" ") ?? "";
  warning.hidden = sentence === "";
  setText(warning, sentence);
}

function showFigures({ layers, audioBps, roundTripMs, codec }: PublisherFigures): void {
  figuresCard.hidden = false;
  const rows = layers.map((layer) => {
    const head = make("th", "", layer.rid || "single");
    head.scope = "row";
    head.dataset["label"] = "Layer";
    const cells = layerCells(layer).map((text, i) => {
      const cell = make("td", "", text);
      cell.dataset["label"] = COLUMNS[i];
      return cell;
    });
    return make("tr", "", head, ...cells);
  });
  layerRows.replaceChildren(...rows);
  const parts = [
    codec && `Video ${codecText(codec)}`,
    audioBps > 0 && `sound ${bitrateText(audioBps)}`,
    roundTripMs !== null && `round trip ${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms`,
  ];
  setText(summary, parts.filter(Boolean).join(" · "));
}

function layerCells(layer: LayerFigures): string[] {
  const size = sizeText(layer.width, layer.height);
  const keyframes = layer.keyframes === null ? "–" : String(layer.keyframes);
  const limit = layer.limit === null ? "–" : LIMITS[layer.limit];
  if (!layer.sending) return [size, "–", "not sent", keyframes, limit];
  return [size, layer.fps.toFixed(0), bitrateText(layer.bitrateBps), keyframes, limit];
}

function showPreview(): void {
  const stream = source?.stream ?? null;
  preview.srcObject = stream;
  empty.hidden = (stream?.getVideoTracks().length ?? 0) > 0;
  setText(empty, stream ? "There is only sound." : "The preview shows here.");
  level.follow(stream?.getAudioTracks()[0]);
  openButton.hidden = source !== null;
}

function showSource(): void {
  const kind = chosenSource();
  devices.hidden = kind !== "camera";
  setText(openButton, kind === "screen" ? "Choose a screen" : "Show preview");
  setText(sourceHint, SOURCE_HINTS[kind]);
}

async function showDevices(): Promise<void> {
  const { cameras, microphones } = await listDevices();
  fillDevices(camera, cameras, "Camera");
  fillDevices(microphone, microphones, "Microphone");
}

function fillDevices(
  menu: HTMLSelectElement,
  found: readonly MediaDeviceInfo[],
  noun: string,
): void {
  const chosen = menu.value;
  const named = found.filter((device) => device.deviceId !== "default");
  menu.replaceChildren(
    new Option("Default", ""),
    ...named.map((device, i) => new Option(device.label || `${noun} ${i + 1}`, device.deviceId)),
    new Option("None", "none"),
  );
  menu.value = [...menu.options].some((option) => option.value === chosen) ? chosen : "";
}

function fillMenus(): void {
  const able = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
  for (const each of VIDEO_CODECS) {
    const option = new Option(each === "H264" ? "H.264" : each, each);
    option.disabled = !able.some(
      ({ mimeType }) => mimeType.toLowerCase() === `video/${each.toLowerCase()}`,
    );
    codec.add(option);
  }
  for (const mode of SCALABILITY_MODES) scalability.add(new Option(modeText(mode), mode));
  const first = [...codec.options].find((option) => !option.disabled);
  if (first) first.selected = true;
}

/** A mode in words: L3T3_KEY is "3 sizes, 3 frame rates (L3T3_KEY)". */
function modeText(mode: string): string {
  const [, sizes, rates] = /^L(\d)T(\d)/.exec(mode) ?? [];
  const count = (many: string | undefined, noun: string) =>
    many === "1" ? `one ${noun}` : `${many} ${noun}s`;
  return `${count(sizes, "size")}, ${count(rates, "frame rate")} (${mode})`;
}

function readQuery(query: URLSearchParams): void {
  const select = (menu: HTMLSelectElement, value: string | null) => {
    if (value !== null && [...menu.options].some((option) => option.value === value))
      menu.value = value;
  };
  nameField.value = query.get("stream") ?? "";
  select(codec, query.get("codec"));
  select(scalability, query.get("svc"));
  select(resolution, query.get("resolution"));
  bitrate.value = query.get("bitrate") ?? BITRATES_KBPS[resolution.value] ?? bitrate.value;
  if (query.has("simulcast")) simulcast.checked = query.get("simulcast") === "1";
  for (const radio of sourceRadios()) {
    if (radio.value === query.get("source")) radio.checked = true;
  }
}

/** Offers scalable pictures where the codec has them; they take the place of simulcast. */
function showScalability(): void {
  const can = canScale(codec.value as VideoCodec);
  scalabilityRow.hidden = !can;
  simulcast.disabled = publisher !== null || (can && scalability.value !== "");
}

function showRunning(running: boolean, name: string): void {
  // Whoever pressed a button that goes away finds the focus on its counterpart.
  const focused = document.activeElement;
  const moveFocus = focused === liveButton || focused === stopButton || settings.contains(focused);
  liveButton.hidden = running;
  stopButton.hidden = !running;
  share.hidden = !running;
  if (!running) figuresCard.hidden = true;
  for (const control of [
    nameField,
    codec,
    resolution,
    bitrate,
    scalability,
    simulcast,
    ...sourceRadios(),
  ]) {
    control.disabled = running;
  }
  if (!running) showScalability();
  watchLink.href = `/watch/${name}`;
  watchLink.textContent = watchLink.href;
  hlsLink.textContent = location.origin + hlsPath(name);
  setText(byId("copied", HTMLParagraphElement), "");
  if (moveFocus) (running ? stopButton : liveButton).focus({ preventScroll: true });
}

function showState(state: string, text: string): void {
  stateLine.dataset["state"] = state;
  setText(stateLine, text);
}

function showProblem(sentence: string): void {
  problem.hidden = sentence === "";
  setText(problem, sentence);
}

function showWrong(field: HTMLElement, place: HTMLElement, sentence: string | null): void {
  field.setAttribute("aria-invalid", String(sentence !== null));
  place.hidden = sentence === null;
  setText(place, sentence ?? "");
}

function bitrateProblem(): string | null {
  const kbps = Number(bitrate.value);
  return kbps >= 100 && kbps <= 20_000 ? null : "Choose a bit rate from 100 to 20000 kbit/s.";
}

function chosenSource(): SourceKind {
  return (sourceRadios().find((radio) => radio.checked)?.value ?? "camera") as SourceKind;
}

function sourceRadios(): HTMLInputElement[] {
  return [...settings.querySelectorAll<HTMLInputElement>("input[name=source]")];
}
