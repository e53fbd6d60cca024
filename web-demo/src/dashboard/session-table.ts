// A table of sessions that keeps no more rows in the page than can be seen, however many there are.

import { bitrateText, codecText, durationText, make, setText } from "../page/page";
import type { Session } from "./admin";

/** A column: its heading, its class, and what a session has in it. */
interface Column {
  readonly title: string;
  readonly name: string;
  readonly text: (session: Session) => string;
}

const COLUMNS: readonly Column[] = [
  { title: "Stream", name: "stream", text: (it) => it.stream },
  { title: "Side", name: "side", text: (it) => (it.side === "publish" ? "publishes" : "watches") },
  { title: "State", name: "standing", text: (it) => it.state },
  { title: "Address", name: "address", text: (it) => it.address ?? "–" },
  { title: "Layer", name: "layer", text: layerText },
  { title: "Bit rate", name: "rate", text: (it) => rateText(it) },
  { title: "Loss", name: "loss", text: (it) => percentText(it.loss) },
  { title: "Round trip", name: "trip", text: (it) => tripText(it.round_trip_ms) },
  { title: "Since", name: "since", text: (it) => durationText(it.uptime_ms) },
];

/** "h", "automatic h", or a dash. */
export function layerText(session: Session): string {
  if (session.side === "publish") {
    const rids = session.tracks.flatMap((track) => track.rids);
    return rids.length > 0 ? rids.join(" ") : "–";
  }
  const layer = session.tracks.find((track) => track.layer !== null)?.layer;
  if (!layer) return "–";
  const parts = [
    layer.rid ?? "single",
    layer.spatial_layer_id === null ? "" : `S${layer.spatial_layer_id}`,
    layer.temporal_layer_id === null ? "" : `T${layer.temporal_layer_id}`,
    layer.automatic ? "" : "(chosen)",
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** The bit rate of the direction that the session's media goes. */
export function rateText(session: Session): string {
  return bitrateText(session.side === "publish" ? session.bitrate_in_bps : session.bitrate_out_bps);
}

/** "1.2 %", or a dash where it is not known. */
export function percentText(share: number | null): string {
  return share === null ? "–" : `${(share * 100).toFixed(1)} %`;
}

/** "12 ms", or a dash where it is not known. */
export function tripText(ms: number | null): string {
  return ms === null ? "–" : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** Whether all words of a filter occur in a session. */
export function matches(session: Session, filter: string): boolean {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return true;
  const codecs = session.tracks.map((track) => codecText(track.codec ?? ""));
  const cells = COLUMNS.slice(0, 5).map((column) => column.text(session));
  const text = [...cells, ...codecs, session.id, session.transport ?? ""].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

/** The table. Arrow keys go from row to row, Enter opens one. */
export class SessionTable {
  readonly element: HTMLElement;
  readonly #body = make("div", "rows");
  readonly #spacer = make("div", "spacer");
  readonly #rows: HTMLElement[] = [];
  readonly #opened: (session: Session) => void;
  #sessions: readonly Session[] = [];
  /** The session that the keyboard is on: it stays where the list changes. */
  #current: string | null = null;
  #drawing = false;

  constructor(opened: (session: Session) => void) {
    this.#opened = opened;
    const head = make("div", "session head");
    head.setAttribute("role", "row");
    for (const column of COLUMNS) {
      const cell = make("span", column.name, column.title);
      cell.setAttribute("role", "columnheader");
      head.append(cell);
    }
    this.#body.append(this.#spacer);
    this.#body.setAttribute("role", "rowgroup");
    this.#body.addEventListener("scroll", () => this.#soon(), { passive: true });
    this.#body.addEventListener("keydown", (event) => this.#key(event));
    new ResizeObserver(() => this.#soon()).observe(this.#body);
    this.element = make("div", "sessions", head, this.#body);
    this.element.setAttribute("role", "table");
    this.element.setAttribute("aria-label", "Sessions");
  }

  show(sessions: readonly Session[]): void {
    this.#sessions = sessions;
    this.element.setAttribute("aria-rowcount", String(sessions.length + 1));
    this.#spacer.style.height = `${sessions.length * ROW_PX}px`;
    this.#draw();
  }

  #soon(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  #draw(): void {
    const first = Math.max(0, Math.floor(this.#body.scrollTop / ROW_PX) - SPARE);
    const fits = Math.ceil(this.#body.clientHeight / ROW_PX) + 2 * SPARE;
    const count = Math.max(0, Math.min(fits, this.#sessions.length - first));
    while (this.#rows.length < count) this.#rows.push(this.#row());
    const current = this.#index();
    this.#rows.forEach((row, place) => {
      const index = first + place;
      const session = place < count ? this.#sessions[index] : undefined;
      row.hidden = session === undefined;
      if (session === undefined) return;
      row.style.transform = `translateY(${index * ROW_PX}px)`;
      row.dataset["id"] = session.id;
      row.dataset["state"] = session.state;
      row.tabIndex = index === current || (current < 0 && index === 0) ? 0 : -1;
      row.setAttribute("aria-rowindex", String(index + 2));
      COLUMNS.forEach((column, at) => setText(row.children[at]!, column.text(session)));
    });
  }

  #row(): HTMLElement {
    const cells = COLUMNS.map((column) => {
      const cell = make("span", column.name);
      cell.setAttribute("role", "cell");
      return cell;
    });
    const row = make("div", "session", ...cells);
    row.setAttribute("role", "row");
    row.onclick = () => this.#open(row.dataset["id"]);
    row.onfocus = () => {
      this.#current = row.dataset["id"] ?? null;
    };
    this.#body.append(row);
    return row;
  }

  #index(): number {
    return this.#current === null
      ? -1
      : this.#sessions.findIndex((session) => session.id === this.#current);
  }

  #open(id: string | undefined): void {
    const session = this.#sessions.find((session) => session.id === id);
    if (session !== undefined) this.#opened(session);
  }

  #key(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.#body.clientHeight / ROW_PX) - 1);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.#open(this.#current ?? undefined);
      return;
    }
    const step = steps[event.key];
    if (step === undefined || this.#sessions.length === 0) return;
    event.preventDefault();
    const last = this.#sessions.length - 1;
    const next = Math.min(last, Math.max(0, Math.max(0, this.#index()) + step));
    this.#current = this.#sessions[next]!.id;
    const top = next * ROW_PX;
    if (top < this.#body.scrollTop) this.#body.scrollTop = top;
    const bottom = top + ROW_PX - this.#body.clientHeight;
    if (bottom > this.#body.scrollTop) this.#body.scrollTop = bottom;
    this.#draw();
    this.#rows
      .find((row) => !row.hidden && row.dataset["id"] === this.#current)
      ?.focus({ preventScroll: true });
  }
}

/** As the style sheet has it. */
const ROW_PX = 36;
/** Rows above and below what can be seen. */
const SPARE = 4;
