// The publish page: chooses a source, goes live, and says how it goes.
//
// For automation it takes its settings from the address:
// ?stream=NAME&source=pattern&codec=VP8&resolution=720&bitrate=2500&simulcast=1&red=1&autostart=1
// and for VP9 and AV1 &svc=L3T3

import { wireCopyButtons } from "../page/copy";
import { byId, pollWhileVisible, setText } from "../page/page";
import { Claim } from "../publish/claim";
import { FigureCard } from "../publish/figures";
import { Settings } from "../publish/settings";
import { fetchStream } from "../server/api";
import type { Status } from "../server/status";
import { LevelMeter } from "../source/level";
import { openDevice, openSource, type Source } from "../source/sources";
import { hlsPath } from "../watching/protocol";
import { encodingsFor } from "../webrtc/encodings";
import { WhipPublisher } from "../webrtc/whip";
import { expose } from "./expose";

const preview = byId("preview", HTMLVideoElement);
const empty = byId("empty", HTMLParagraphElement);
const problem = byId("problem", HTMLParagraphElement);
const stateLine = byId("state", HTMLParagraphElement);
const liveButton = byId("live", HTMLButtonElement);
const stopButton = byId("stop", HTMLButtonElement);
const share = byId("share", HTMLElement);
const watchLink = byId("watch-link", HTMLAnchorElement);
const hlsLink = byId("hls-link", HTMLElement);
const warning = byId("warning", HTMLParagraphElement);
const levelBar = byId("level", HTMLMeterElement);

const query = new URLSearchParams(location.search);
const settings = new Settings(query);
const { openButton } = settings;
const figures = new FigureCard();

let source: Source | null = null;
let publisher: WhipPublisher | null = null;
let claim: Claim | null = null;
let openings = 0;
let goingLive = false;
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
    return figures.present;
  },
});

settings.form.onsubmit = (event) => {
  event.preventDefault();
  void goLive();
};
stopButton.onclick = () => void stop();
openButton.onclick = () => void open();
settings.onsource = (kind) => {
  close();
  // Not the screen: whoever moves through the choices by keyboard would meet the browser's question.
  if (kind === "pattern") void open();
};
settings.ondevice = (kind, id) => void changeDevice(kind, id);
settings.onresolution = () => {
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
    const opened = await openSource(settings.source);
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
  void settings.showDevices();
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
  const { name } = settings;
  const wrong = settings.check();
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
  const { encoding } = settings;
  publisher = new WhipPublisher({
    endpoint: `/whip/${name}`,
    audio,
    video,
    codec: encoding.codec,
    redundantSound: query.get("red") === "1",
    encodings: encodingsFor({ ...encoding, width: source.width, height: source.height }),
    replaces: claim.session,
  });
  figures.begin();
  publisher.onstatus = (status) => onStatus(name, status);
  showRunning(true, name);
  publisher.start();
}

async function stop(): Promise<void> {
  const ended = publisher;
  publisher = null;
  figures.clear();
  if (ended) ended.onstatus = null;
  showRunning(false, settings.name);
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
    figures.clear();
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
    const track = await openDevice(kind, id, settings.height);
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
  await figures.measure(pc);
}

/** What the server finds wrong with what it gets. */
async function showWarnings(): Promise<void> {
  const live = publisher?.status.state === "live";
  const info = live ? await fetchStream(settings.name).catch(() => null) : null;
  const sentence = info?.warnings.join(" ") ?? "";
  warning.hidden = sentence === "";
  setText(warning, sentence);
}

function showPreview(): void {
  const stream = source?.stream ?? null;
  preview.srcObject = stream;
  empty.hidden = (stream?.getVideoTracks().length ?? 0) > 0;
  setText(empty, stream ? "There is only sound." : "The preview shows here.");
  level.follow(stream?.getAudioTracks()[0]);
  openButton.hidden = source !== null;
}

function showRunning(running: boolean, name: string): void {
  // Whoever pressed a button that goes away finds the focus on its counterpart.
  const focused = document.activeElement;
  const moveFocus =
    focused === liveButton || focused === stopButton || settings.form.contains(focused);
  liveButton.hidden = running;
  stopButton.hidden = !running;
  share.hidden = !running;
  if (!running) figures.hide();
  settings.lock(running);
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
