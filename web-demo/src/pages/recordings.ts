// The recordings page: what there is of which stream, newest first, to play, to download and to delete.
//
// The address may end in `?stream=NAME`, which shows one stream's, and in `&play=ID`, which plays one at once.

import { confirmed } from "../page/confirm";
import { byId, make, pollWhileVisible, setText } from "../page/page";
import { Replay } from "../recordings/replay";
import { bytesText, dateText, lengthText, qualityText, stateText } from "../recordings/words";
import { fetchStreams } from "../server/api";
import { nameProblem } from "../server/name";
import {
  bearer,
  continued,
  deleteRecording,
  fetchRecording,
  fetchRecordings,
  type Recording,
  renewed,
} from "../server/recordings";
import { addressed } from "../server/token";

/** So many are asked for at once. */
const LIMIT = 25;
/** So often the server is asked while something is being recorded. */
const ASK_EVERY_MS = 3_000;
/** And so often while nothing is. */
const ASK_ANYHOW_MS = 15_000;

const state = byId("state", HTMLParagraphElement);
const list = byId("recordings", HTMLUListElement);
const empty = byId("empty", HTMLElement);
const more = byId("more", HTMLButtonElement);
const filter = byId("filter", HTMLFormElement);
const field = byId("stream", HTMLInputElement);
const filterProblem = byId("filter-problem", HTMLParagraphElement);
const problem = byId("problem", HTMLParagraphElement);
const names = byId("names", HTMLDataListElement);
const player = byId("player", HTMLElement);
const video = byId("video", HTMLVideoElement);
const cover = byId("cover", HTMLParagraphElement);
const playing = byId("playing", HTMLHeadingElement);
const qualityRow = byId("quality-row", HTMLLabelElement);
const quality = byId("quality", HTMLSelectElement);

const items = new Map<string, ReturnType<typeof recordingItem>>();
/** The stream whose recordings are shown; `null` for all. */
let stream: string | null = null;
let known: readonly Recording[] = [];
let next: string | null = null;
let asked = -Infinity;
/** Whether older ones are being asked for. */
let loading = false;
let replay: Replay | null = null;
/** The recording that plays. */
let shown: Recording | null = null;

takeAddress();
pollWhileVisible(ASK_EVERY_MS, async () => {
  const busy = known.some((recording) => recording.state === "recording");
  if (performance.now() - asked >= (busy ? 0 : ASK_ANYHOW_MS)) await refresh();
});
void offerNames();

addEventListener("popstate", takeAddress);
filter.onsubmit = (event) => {
  event.preventDefault();
  const name = field.value.trim();
  const wrong = name === "" ? null : nameProblem(name);
  filterProblem.hidden = wrong === null;
  setText(filterProblem, wrong ?? "");
  field.setAttribute("aria-invalid", String(wrong !== null));
  if (wrong === null) go(name === "" ? null : name, null);
};
// A search field's own cross empties it.
field.addEventListener("search", () => field.value === "" && stream !== null && go(null, null));
more.onclick = () => void showMore();
byId("close", HTMLButtonElement).onclick = () => {
  const from = shown;
  go(stream, null);
  if (from) items.get(from.id)?.play.focus();
};
quality.onchange = () => replay?.select(Number(quality.value));

/** Another address of this page. What else is in it, such as a token, stays. */
function addressOf(to: string | null, play: string | null): string {
  const query = new URLSearchParams(location.search);
  for (const [key, value] of [
    ["stream", to],
    ["play", play],
  ] as const) {
    if (value === null) query.delete(key);
    else query.set(key, value);
  }
  const search = query.size > 0 ? `?${query}` : "";
  return location.pathname + search + location.hash;
}

/** Goes there. */
function go(to: string | null, play: string | null): void {
  history.pushState(null, "", addressOf(to, play));
  takeAddress();
}

/** Shows what the address says. */
function takeAddress(): void {
  const query = new URLSearchParams(location.search);
  const asks = query.get("stream") || null;
  const plays = query.get("play");
  if (asks !== stream) {
    stream = asks;
    known = [];
    next = null;
    asked = -Infinity;
    show();
    setText(state, "Asking the server…");
    void refresh();
  }
  field.value = stream ?? "";
  document.title = stream === null ? "Recordings · Whitewater" : `${stream} · Recordings`;
  if (plays === (shown?.id ?? null)) return;
  if (plays === null) close();
  else void open(plays);
}

async function refresh(): Promise<void> {
  const of = stream;
  asked = performance.now();
  try {
    const page = await fetchRecordings(of, null, LIMIT);
    if (of !== stream) return;
    const all = renewed(known, page);
    // Who has not asked for older ones goes on after these.
    if (all.length === page.items.length) next = page.next;
    known = await withOldOnes(all, page.items.length);
    if (of !== stream) return;
    show();
  } catch (error) {
    if (of === stream) setText(state, sentenceOf(error));
  }
}

/** Asks one by one for those behind the first page that are still being recorded. */
async function withOldOnes(all: readonly Recording[], from: number): Promise<Recording[]> {
  const news = await Promise.all(
    all.map((recording, at) =>
      at >= from && recording.state === "recording" ? fetchRecording(recording.id) : recording,
    ),
  );
  return news.filter((recording) => recording !== null);
}

async function showMore(): Promise<void> {
  const of = stream;
  if (loading) return;
  loading = true;
  try {
    const page = await fetchRecordings(of, next, LIMIT);
    if (of !== stream) return;
    const before = known.length;
    known = continued(known, page);
    next = page.next;
    show();
    // The button may be gone: the keyboard goes on with the first that came.
    const first = known[before];
    if (next === null && first) items.get(first.id)?.play.focus();
  } catch (error) {
    setText(state, sentenceOf(error));
  } finally {
    loading = false;
  }
}

function show(): void {
  const ids = new Set(known.map(({ id }) => id));
  for (const [id, item] of items) {
    if (ids.has(id)) continue;
    item.element.remove();
    items.delete(id);
  }
  known.forEach((recording, at) => {
    const item = items.get(recording.id) ?? recordingItem(recording);
    items.set(recording.id, item);
    item.update(recording);
    if (list.children[at] !== item.element) {
      list.insertBefore(item.element, list.children[at] ?? null);
    }
  });
  more.hidden = next === null;
  empty.hidden = known.length > 0 || asked === -Infinity;
  const count = known.length === 1 ? "1 recording" : `${known.length} recordings`;
  const of = stream === null ? "" : ` of ${stream}`;
  setText(
    state,
    known.length === 0
      ? `There are no recordings${of} yet.`
      : next === null
        ? `${count}${of}.`
        : `The latest ${count}${of}.`,
  );
  if (shown) {
    const now = known.find(({ id }) => id === shown?.id);
    if (now) showPlaying(now);
  }
}

function recordingItem(first: Recording) {
  let recording = first;
  const name = make("a", "name", recording.stream);
  name.href = addressOf(recording.stream, null);
  name.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(recording.stream, null);
  };
  const badge = make("span", "badge");
  const about = make("span", "about");
  const qualities = make("span", "about");
  const wrong = make("p", "problem");
  wrong.setAttribute("role", "alert");
  wrong.hidden = true;
  const play = make("button", "quiet", "Play");
  const remove = make("button", "quiet danger", "Delete");
  play.type = remove.type = "button";
  const download = make("a", "button quiet", "Download");
  download.setAttribute("download", "");
  play.onclick = () => go(stream, recording.id);
  remove.onclick = async () => {
    setText(wrong, (await erase(recording)) ?? "");
    wrong.hidden = wrong.textContent === "";
  };
  const words = make("div", "words", make("span", "title", name, badge), about, qualities);
  const element = make("li", "", words, make("div", "buttons", play, download, remove), wrong);
  const update = (now: Recording) => {
    recording = now;
    element.dataset["id"] = now.id;
    element.dataset["state"] = now.state;
    setText(badge, stateText(now));
    setText(about, aboutText(now));
    setText(qualities, qualityText(now.renditions));
    const which = `${now.stream}, ${dateText(now.began)}`;
    play.setAttribute("aria-label", `Play ${which}`);
    download.setAttribute("aria-label", `Download ${which}`);
    remove.setAttribute("aria-label", `Delete ${which}`);
    // What is being recorded can be watched, but not taken away yet.
    const grows = now.state === "recording";
    play.hidden = now.duration_s <= 0;
    download.hidden = grows || now.duration_s <= 0;
    remove.hidden = grows;
    const href = addressed(now.download, bearer());
    if (download.getAttribute("href") !== href) download.href = href;
    if (now.error !== null) {
      setText(wrong, now.error);
      wrong.hidden = false;
    }
  };
  return { element, play, remove, update };
}

function aboutText({ began, duration_s, bytes }: Recording): string {
  return [dateText(began), lengthText(duration_s), bytesText(bytes)].join(" · ");
}

/** Asks, and deletes; gives a sentence where that did not work. */
async function erase(recording: Recording): Promise<string | null> {
  const what =
    `${recording.stream} of ${dateText(recording.began)}: ${lengthText(recording.duration_s)}, ` +
    `${bytesText(recording.bytes)}. It cannot be brought back.`;
  if (!(await confirmed("Delete this recording?", what, "Delete recording"))) return null;
  try {
    await deleteRecording(recording.id);
  } catch (error) {
    return sentenceOf(error);
  }
  const at = known.findIndex(({ id }) => id === recording.id);
  known = known.filter(({ id }) => id !== recording.id);
  if (shown?.id === recording.id) go(stream, null);
  show();
  // The button that was pressed is gone: the keyboard goes on with its neighbour.
  const neighbour = known[Math.min(at, known.length - 1)];
  const place = neighbour ? items.get(neighbour.id) : undefined;
  (place && !place.remove.hidden ? place.remove : (place?.play ?? field)).focus();
  return null;
}

/** Plays a recording by its id, whether it is on the list or not. */
async function open(id: string): Promise<void> {
  close();
  let recording: Recording | null;
  try {
    recording = known.find((one) => one.id === id) ?? (await fetchRecording(id));
  } catch (error) {
    return complain(sentenceOf(error));
  }
  if (new URLSearchParams(location.search).get("play") !== id) return;
  if (recording === null) return complain("There is no recording at this address: it was deleted.");
  player.hidden = false;
  setText(cover, "Loading…");
  showPlaying(recording);
  replay = new Replay(video, addressed(recording.hls, bearer()), {
    levels: (levels) => {
      const options = levels.map(({ key }, at) => new Option(key, String(at))).reverse();
      quality.replaceChildren(new Option("Automatic quality", "-1"), ...options);
      qualityRow.hidden = levels.length < 2;
    },
    started: () => {
      setText(cover, "");
      // Not before: a new source takes back what an older play() asked for. Browsers refuse it to who came by a
      // link: the button in the picture is theirs.
      video.play().catch(() => undefined);
    },
    failed: (sentence) => setText(cover, sentence),
  });
  player.scrollIntoView({ block: "nearest" });
  playing.focus({ preventScroll: true });
}

/** Says what is wrong with what was to be played; nothing is. */
function complain(sentence: string): void {
  problem.hidden = sentence === "";
  setText(problem, sentence);
}

function showPlaying(recording: Recording): void {
  shown = recording;
  for (const [id, { element }] of items) {
    if (id === recording.id) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  }
  const grows = recording.state === "recording" ? " · being recorded" : "";
  setText(playing, `${recording.stream} · ${dateText(recording.began)}${grows}`);
  video.setAttribute("aria-label", `Recording of ${recording.stream}`);
}

function close(): void {
  complain("");
  replay?.destroy();
  replay = null;
  shown = null;
  player.hidden = true;
  qualityRow.hidden = true;
  for (const { element } of items.values()) element.removeAttribute("aria-current");
}

/** Offers the names of what is live beside those that are on the list. */
async function offerNames(): Promise<void> {
  const live = await fetchStreams().catch(() => []);
  const all = new Set([...live.map(({ name }) => name), ...known.map((one) => one.stream)]);
  names.replaceChildren(...[...all].sort().map((name) => new Option(name, name)));
}

function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
