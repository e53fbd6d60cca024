// A dialog that shows one session, and what can be done about it.

import { confirmed } from "../page/confirm";
import { bitrateText, codecText, durationText, make, setText } from "../page/page";
import { type Admin, type Session, sentenceOf } from "./admin";
import { layerText, percentText, tripText } from "./session-table";

/** The dialog of one session at a time. */
export class SessionDialog {
  readonly #dialog: HTMLDialogElement;
  readonly #admin: () => Admin;
  readonly #facts = make("dl", "facts");
  readonly #tracks = make("ul", "tracks");
  readonly #told = make("p", "note");
  readonly #title = make("h2");
  readonly #layer = make("select");
  readonly #choice = make("form", "row");
  #session: Session | null = null;
  #rids = "";

  constructor(dialog: HTMLDialogElement, admin: () => Admin) {
    this.#dialog = dialog;
    this.#admin = admin;
    this.#title.id = "session-title";
    this.#told.setAttribute("role", "status");
    const label = make("label", "grow", make("span", "label", "Layer"), this.#layer);
    const apply = make("button", "", "Apply");
    this.#choice.append(label, apply);
    this.#choice.onsubmit = (event) => {
      event.preventDefault();
      const rid = this.#layer.value === "" ? null : this.#layer.value;
      const told = rid === null ? "Its network decides again." : `It gets ${rid} from now on.`;
      void this.#do((admin, session) => admin.choose(session.id, rid), told);
    };
    const keyframe = make("button", "quiet", "Ask for a keyframe");
    keyframe.onclick = () =>
      void this.#do((admin, session) => admin.keyframe(session.stream), "The publisher is asked.");
    const end = make("button", "quiet danger", "End this session");
    end.onclick = () => void this.#end();
    const close = make("button", "quiet", "Close");
    close.onclick = () => this.#dialog.close();
    for (const button of [keyframe, end, close]) button.type = "button";
    dialog.replaceChildren(
      this.#title,
      this.#facts,
      this.#tracks,
      this.#choice,
      this.#told,
      make("div", "buttons", keyframe, end, close),
    );
  }

  /** Opens on a session; `rids` are the layers of its stream. */
  open(session: Session, rids: readonly string[]): void {
    this.#session = session;
    setText(this.#told, "");
    this.#rids = "";
    this.#draw(session, rids);
    this.#dialog.showModal();
  }

  /** Shows how the session fares now; `undefined` where it has ended. */
  update(session: Session | undefined, rids: readonly string[]): void {
    if (!this.#dialog.open || this.#session === null) return;
    if (session === undefined) setText(this.#told, "The session has ended.");
    else this.#draw(session, rids);
  }

  /** The id of the session that is shown. */
  get shown(): string | null {
    return this.#dialog.open ? (this.#session?.id ?? null) : null;
  }

  #draw(session: Session, rids: readonly string[]): void {
    this.#session = session;
    const side = session.side === "publish" ? "Publisher of" : "Viewer of";
    setText(this.#title, `${side} ${session.stream}`);
    const expires = session.expires_in_s;
    const facts: [string, string][] = [
      ["State", session.state],
      ["Address", session.address ?? "–"],
      ["Transport", session.transport?.toUpperCase() ?? "–"],
      ["Since", durationText(session.uptime_ms)],
      ["Sends us", bitrateText(session.bitrate_in_bps)],
      ["Is sent", bitrateText(session.bitrate_out_bps)],
      ["Loss", percentText(session.loss)],
      ["Round trip", tripText(session.round_trip_ms)],
      ["Layer", layerText(session)],
      ["Token", expires === null ? "without an end" : `${durationText(expires * 1000)} left`],
      ["Id", session.id],
    ];
    fill(this.#facts, facts);
    this.#tracks.replaceChildren(
      ...session.tracks.map((track) => {
        const name = track.kind === "audio" ? "Sound" : "Picture";
        const parts = [codecText(track.codec ?? "–"), bitrateText(track.bitrate_bps)];
        if (track.loss !== null) parts.push(`${percentText(track.loss)} lost`);
        return make("li", "", `${name}: ${parts.join(" · ")}`);
      }),
    );
    this.#choice.hidden = session.side === "publish" || rids.length < 2;
    if (this.#rids !== rids.join(" ")) {
      // Not while somebody is choosing.
      this.#rids = rids.join(" ");
      const options = ["", ...rids].map((rid) => new Option(rid || "Automatic", rid));
      this.#layer.replaceChildren(...options);
      const layer = session.tracks.find((track) => track.layer !== null)?.layer;
      if (layer && !layer.automatic) this.#layer.value = layer.rid ?? "";
    }
  }

  async #end(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const what =
      session.side === "publish"
        ? "Its viewers wait for its publisher, who may come back."
        : "Whoever has a valid token may come back.";
    if (!(await confirmed("End this session?", what, "End session"))) return;
    if (await this.#do((admin, { id }) => admin.kick(id), "It has ended.")) this.#dialog.close();
  }

  async #do(
    what: (admin: Admin, session: Session) => Promise<void>,
    told: string,
  ): Promise<boolean> {
    if (this.#session === null) return false;
    try {
      await what(this.#admin(), this.#session);
      setText(this.#told, told);
      return true;
    } catch (error) {
      setText(this.#told, sentenceOf(error));
      return false;
    }
  }
}

/** Fills a list of names and values, and keeps what has not changed. */
export function fill(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  if (list.children.length !== facts.length) {
    list.replaceChildren(
      ...facts.map(([name]) => make("div", "", make("dt", "", name), make("dd"))),
    );
  }
  facts.forEach(([, value], at) => setText(list.children[at]!.lastElementChild!, value));
}
