// A player that shows a stream in a video element: by WHEP, and by HLS where that does better or is asked for.
//
//     const player = new Player({ name: "demo", video, rule: "auto" });
//     player.onmedia = () => void video.play();
//     player.onstatus = ({ state, sentence }) => console.log(player.protocol, state, sentence);
//     player.start();
//     addEventListener("pagehide", () => player.leave());

import { HlsViewer } from "./hls";
import { givesUp, hlsPath, type Protocol, type Rule, type Why } from "./protocol";
import type { Status } from "./session";
import { addressed } from "./token";
import { WhepViewer } from "./whep";

/** What is played, where, and by which rule. */
export interface PlayerOptions {
  readonly name: string;
  readonly video: HTMLVideoElement;
  readonly rule: Rule;
}

/** The first picture is not waited for as long as a connection may take: HLS shows one sooner. */
const CONNECT_WITHIN_MS = 6_000;

/** One stream in one video element. */
export class Player {
  /** Called on every change of the state. */
  onstatus: ((status: Status) => void) | null = null;
  /** Called when the protocol, the reason for it, or whether there is a choice is another one. */
  onprotocol: (() => void) | null = null;
  /** Called when there is something to play: on every connection, and with every epoch. */
  onmedia: (() => void) | null = null;
  /** Called when the qualities of HLS are others. */
  onlevels: (() => void) | null = null;

  private present: Status = { state: "idle", sentence: "" };
  private taken: Protocol;
  private reason: Why;
  private told = "";
  private webrtc: WhepViewer | null = null;
  private segments: HlsViewer | null = null;
  private hlsOffered: boolean;
  private wasLive = false;
  private failures = 0;

  constructor(private readonly options: PlayerOptions) {
    const { rule } = options;
    const unable = !("RTCPeerConnection" in globalThis) && rule !== "whep";
    this.hlsOffered = rule !== "whep";
    this.taken = rule === "hls" || unable ? "hls" : "whep";
    this.reason = rule !== "auto" ? "asked" : unable ? "unable" : "default";
  }

  /** The present state. */
  get status(): Status {
    return this.present;
  }

  /** How it plays. */
  get protocol(): Protocol {
    return this.taken;
  }

  /** Why it plays that way. */
  get why(): Why {
    return this.reason;
  }

  /** What was said of the other way when it failed; empty where it did not. */
  get detail(): string {
    return this.told;
  }

  /** Whether there is another way to choose. */
  get hasChoice(): boolean {
    return this.hlsOffered && "RTCPeerConnection" in globalThis;
  }

  /** The viewer over WHEP, while it is the one. */
  get whep(): WhepViewer | null {
    return this.webrtc;
  }

  /** The viewer over HLS, while it is the one. */
  get hls(): HlsViewer | null {
    return this.segments;
  }

  /** Whether what plays has a picture, as far as that is known. */
  get hasPicture(): boolean {
    if (this.segments) return this.segments.playback?.hasPicture ?? true;
    const stream = this.options.video.srcObject;
    return !(stream instanceof MediaStream) || stream.getVideoTracks().length > 0;
  }

  /** Whether what plays has sound. */
  get hasSound(): boolean {
    if (this.segments) {
      return this.segments.playback?.hasSound ?? this.present.state === "live";
    }
    const stream = this.options.video.srcObject;
    return stream instanceof MediaStream && stream.getAudioTracks().length > 0;
  }

  /** Plays, and comes back for ever. */
  start(): void {
    this.take(this.taken, this.reason);
  }

  /** Ends it while its page goes away. */
  leave(): void {
    this.release();
  }

  /** Plays it the other way because the viewer says so. */
  choose(protocol: Protocol): void {
    if (protocol !== this.taken) this.take(protocol, "chosen");
  }

  /** Tries again at once: the network or the page has come back. */
  retryNow(): void {
    this.webrtc?.retryNow();
    this.segments?.retryNow();
  }

  /** Tries at once. A session that stands is left alone: its publisher's first packets may still be on the way. */
  join(): void {
    if (this.present.state !== "live") this.retryNow();
  }

  /** Opens a new session in place of one that no longer fits the stream. HLS sees a new epoch by itself. */
  reopen(): void {
    this.webrtc?.reopen();
  }

  private take(protocol: Protocol, why: Why, detail = ""): void {
    this.release();
    this.taken = protocol;
    this.reason = why;
    this.told = detail;
    this.wasLive = false;
    this.failures = 0;
    this.onprotocol?.();
    if (protocol === "hls") this.startHls();
    else this.startWhep();
  }

  private startWhep(): void {
    const viewer = new WhepViewer({
      endpoint: `/whep/${encodeURIComponent(this.options.name)}`,
      connectWithinMs: this.hlsOffered ? CONNECT_WITHIN_MS : undefined,
    });
    this.webrtc = viewer;
    viewer.onmedia = (stream) => {
      if (viewer !== this.webrtc) return;
      this.options.video.srcObject = stream;
      this.onmedia?.();
    };
    viewer.onstatus = (status) => {
      if (viewer !== this.webrtc) return;
      if (status.state === "live") {
        this.wasLive = true;
        this.failures = 0;
      }
      if (status.cause) this.failures++;
      const handOver = status.cause && this.hlsOffered && givesUp(this.failures, this.wasLive);
      if (status.cause && handOver) return this.take("hls", status.cause, status.sentence);
      this.change(status);
    };
    viewer.start();
  }

  private startHls(): void {
    const { name, video } = this.options;
    const viewer = new HlsViewer({ url: addressed(hlsPath(name)), video });
    this.segments = viewer;
    viewer.onmedia = () => viewer === this.segments && this.onmedia?.();
    viewer.onlevels = () => viewer === this.segments && this.onlevels?.();
    viewer.onstatus = (status) => viewer === this.segments && this.change(status);
    viewer.onabsent = () => {
      if (viewer !== this.segments || !("RTCPeerConnection" in globalThis)) return;
      this.hlsOffered = false;
      this.take("whep", "alone");
    };
    viewer.start();
  }

  private release(): void {
    const { webrtc, segments } = this;
    this.webrtc = this.segments = null;
    webrtc?.leave();
    segments?.stop();
    this.options.video.srcObject = null;
  }

  private change(status: Status): void {
    this.present = status;
    this.onstatus?.(status);
  }
}
