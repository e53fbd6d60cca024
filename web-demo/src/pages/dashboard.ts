// The dashboard: what is live, how it fared in the last quarter of an hour, and what can be done about it.

import { Admin, type History, NotAllowed, type Session, sentenceOf } from "../dashboard/admin";
import { Chart } from "../dashboard/charts";
import { fill, SessionDialog } from "../dashboard/session-dialog";
import { matches, percentText, SessionTable } from "../dashboard/session-table";
import { confirmed } from "../page/confirm";
import {
  bitrateText,
  byId,
  durationText,
  make,
  pollWhileVisible,
  setText,
  viewersText,
} from "../page/page";
import type { StreamInfo } from "../server/api";
import { ADMIN_KEY as KEY } from "../server/recordings";
import { tokenIn } from "../server/token";

const ASK_EVERY_MS = 2_000;
const HISTORY_EVERY_MS = 5_000;

const state = byId("state", HTMLParagraphElement);
const content = byId("content", HTMLDivElement);
const signIn = byId("sign-in", HTMLFormElement);
const problem = byId("sign-in-problem", HTMLParagraphElement);
const field = byId("token", HTMLInputElement);
const filter = byId("filter", HTMLInputElement);
const tiles = byId("tiles", HTMLElement);
const list = byId("streams", HTMLUListElement);

const charts = (["layers", "viewers", "loss", "cpu"] as const).map(
  (kind) => new Chart(kind, byId(`chart-${kind}`, HTMLDivElement)),
);
const dialog = new SessionDialog(byId("session", HTMLDialogElement), () => admin);
const table = new SessionTable((session) => dialog.open(session, ridsOf(session.stream)));
byId("sessions", HTMLDivElement).append(table.element);

let admin = new Admin(firstToken());
let streams: readonly StreamInfo[] = [];
let sessions: readonly Session[] = [];
/** Recordings that go on, by stream. */
let recorded: ReadonlyMap<string, string> = new Map();
let history: History | null = null;
let historyAt = 0;
let locked = false;

/** The token of the link, which then leaves the address; or the one that this tab was given before. */
function firstToken(): string | null {
  const linked = tokenIn(location.search, location.hash);
  if (linked === null) return sessionStorage.getItem(KEY);
  sessionStorage.setItem(KEY, linked);
  window.history.replaceState(null, "", location.pathname);
  return linked;
}

signIn.onsubmit = (event) => {
  event.preventDefault();
  admin = new Admin(field.value.trim());
  field.value = "";
  locked = false;
  void refresh();
};

filter.oninput = showSessions;
pollWhileVisible(ASK_EVERY_MS, refresh);

async function refresh(): Promise<void> {
  if (locked) return;
  const asked = admin;
  try {
    const [live, open] = await Promise.all([asked.streams(), asked.sessions()]);
    const taken = await asked.recorded(live.map(({ name }) => name));
    const due = Date.now() - historyAt >= HISTORY_EVERY_MS;
    const past = due || history === null ? await asked.history() : null;
    if (asked !== admin) return;
    if (asked.token !== null) sessionStorage.setItem(KEY, asked.token);
    [streams, sessions, recorded] = [live, open, taken];
    if (past !== null) [history, historyAt] = [past, Date.now()];
    show(past !== null);
  } catch (error) {
    if (asked !== admin) return;
    if (error instanceof NotAllowed) lock(error.message);
    else setText(state, `${sentenceOf(error)} Trying again every 2 s; what is below is old.`);
  }
}

/** Asks for another token. */
function lock(why: string): void {
  locked = true;
  sessionStorage.removeItem(KEY);
  content.hidden = true;
  problem.hidden = admin.token === null;
  problem.textContent = why;
  signIn.hidden = false;
  setText(state, why);
  for (const open of document.querySelectorAll("dialog[open]")) (open as HTMLDialogElement).close();
  field.focus();
}

function show(anew: boolean): void {
  signIn.hidden = true;
  content.hidden = false;
  setText(state, "Connected.");
  if (anew && history !== null) for (const chart of charts) chart.show(history);
  showTiles();
  showStreams();
  showSessions();
  const shown = sessions.find((session) => session.id === dialog.shown);
  if (dialog.shown !== null) dialog.update(shown, ridsOf(shown?.stream ?? ""));
}

function showTiles(): void {
  const latest = <T>(values: readonly T[] | undefined) => values?.[values.length - 1];
  const hls = latest(history?.viewers.hls) ?? null;
  const dash = latest(history?.viewers.dash) ?? null;
  fill(tiles, [
    ["Streams", String(streams.filter((stream) => stream.live).length)],
    ["Viewers (WHEP)", String(sessions.filter((session) => session.side === "watch").length)],
    ["Viewers (HLS)", hls === null ? "–" : String(hls)],
    ["Viewers (DASH)", dash === null ? "–" : String(dash)],
    ["In", bitrateText(latest(history?.bitrate_in_bps) ?? 0)],
    ["Out", bitrateText(latest(history?.bitrate_out_bps) ?? 0)],
    ["Loss", percentText(latest(history?.loss) ?? null)],
  ]);
}

function showStreams(): void {
  byId("no-streams", HTMLParagraphElement).hidden = streams.length > 0;
  const names = new Set(streams.map((stream) => stream.name));
  for (const item of [...list.children] as HTMLLIElement[]) {
    if (!names.has(item.dataset["name"] ?? "")) item.remove();
  }
  streams.forEach((stream, at) => {
    const known = [...list.children].find(
      (item) => (item as HTMLLIElement).dataset["name"] === stream.name,
    );
    const item = (known as HTMLLIElement | undefined) ?? streamItem(stream.name);
    const layers = stream.tracks.flatMap((track) => track.layers).filter((layer) => layer.active);
    showRecord(item, stream);
    const about = [
      recorded.has(stream.name) ? "is being recorded" : "",
      stream.live ? `live for ${durationText(stream.uptime_ms)}` : "the publisher is away",
      viewersText(stream.viewers, stream.hls_viewers, stream.dash_viewers),
      layers.length === 1 ? "1 layer" : `${layers.length} layers`,
      bitrateText(layers.reduce((sum, layer) => sum + layer.bitrate_bps, 0)),
    ];
    setText(item.querySelector(".about")!, about.filter(Boolean).join(" · "));
    setText(item.querySelector(".warning")!, stream.warnings.join(" "));
    if (list.children[at] !== item) list.insertBefore(item, list.children[at] ?? null);
  });
}

function streamItem(name: string): HTMLLIElement {
  const link = make("a", "name", name);
  link.href = `/watch/${name}`;
  const past = make("a", "", "Recordings");
  past.href = `/recordings?stream=${encodeURIComponent(name)}`;
  past.setAttribute("aria-label", `Recordings of ${name}`);
  const told = make("span", "note");
  told.setAttribute("role", "status");
  const button = (text: string, act: () => Promise<string>) => {
    const made = make("button", "quiet", text);
    made.type = "button";
    made.setAttribute("aria-label", `${text} of ${name}`);
    made.onclick = async () => setText(told, await act().catch(sentenceOf));
    return made;
  };
  const only = button("Sessions", async () => {
    filter.value = name;
    showSessions();
    filter.focus();
    return "";
  });
  const keyframe = button("Keyframe", async () => {
    await admin.keyframe(name);
    return "The publisher is asked.";
  });
  const record = button("Record", async () => {
    const stop = recorded.has(name);
    await (stop ? admin.stopRecording(name) : admin.record(name));
    recorded = await admin.recorded(streams.map((stream) => stream.name));
    show(false);
    return stop ? "Its recording ends." : "Its recording begins.";
  });
  record.classList.add("record");
  const end = button("End", async () => {
    const what = "Its publisher is sent away. Viewers wait for it as long as its policy says.";
    if (!(await confirmed(`End ${name}?`, what, "End stream"))) return "";
    await admin.end(name);
    return "It has ended.";
  });
  end.classList.add("danger");
  const title = make("span", "title", link, past);
  const words = make("div", "words", title, make("span", "about"), make("span", "warning"), told);
  const item = make("li", "", words, make("div", "buttons", only, keyframe, record, end));
  item.dataset["name"] = name;
  return item;
}

/** The button starts a recording or ends the one that goes on. */
function showRecord(item: HTMLElement, { name, live }: StreamInfo): void {
  const button = item.querySelector<HTMLButtonElement>(".record")!;
  const text = recorded.has(name) ? "Stop recording" : "Record";
  setText(button, text);
  button.setAttribute(
    "aria-label",
    recorded.has(name) ? `Stop recording ${name}` : `Record ${name}`,
  );
  button.hidden = !live && !recorded.has(name);
}

function showSessions(): void {
  const wanted = sessions.filter((session) => matches(session, filter.value));
  const all = sessions.length === 1 ? "1 session" : `${sessions.length} sessions`;
  setText(
    byId("count", HTMLParagraphElement),
    wanted.length === sessions.length ? all : `${wanted.length} of ${all}`,
  );
  table.show(wanted);
}

function ridsOf(stream: string): string[] {
  const info = streams.find(({ name }) => name === stream);
  const video = info?.tracks.find((track) => track.kind === "video");
  return (video?.layers ?? []).flatMap((layer) => (layer.rid === null ? [] : [layer.rid]));
}
