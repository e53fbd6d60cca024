// A player that shows a stream in a video element: by WHEP, and by HLS where that does better or is asked for. DASH
// takes the place of HLS where the address asks for it.
//
//     const player = new Player({ name: "demo", video, rule: "auto" });
//     player.onmedia = () => void video.play();
//     player.onstatus = ({ state, sentence }) => console.log(player.protocol, state, sentence);
//     player.start();
//     addEventListener("pagehide", () => player.leave());

import { DashViewer } from "../segments/dash";
import { HlsViewer } from "../segments/hls";
import type { SegmentViewer } from "../segments/segment-viewer";
import type { Status } from "../server/status";
import { addressed } from "../server/token";
import { WhepViewer } from "../webrtc/whep";
import {
  dashPath,
  givesUp,
  hlsPath,
  type Protocol,
  type Rule,
  type SegmentProtocol,
  type Why,
} from "./protocol";

/** What is played, where, and by which rule. */
export interface PlayerOptions {
  readonly name: string;
  readonly video: HTMLVideoElement;
  readonly rule: Rule;
}

/** The first picture is not waited for as long as a connection may take: segments show one sooner. */
const CONNECT_WITHIN_MS = 6_000;

/** One stream in one video element. */
export class Player {
  /** Called on every change of the state. */
  onstatus: ((status: Status) => void) | null = null;
  /** Called when the protocol, the reason for it, or whether there is a choice is another one. */
  onprotocol: (() => void) | null = null;
  /** Called when there is something to play: on every connection, and with every epoch. */
  onmedia: (() => void) | null = null;
  /** Called when the qualities of segments are others. */
  onlevels: (() => void) | null = null;

  private present: Status = { state: "idle", sentence: "" };
  private taken: Protocol;
  private reason: Why;
  private told = "";
  private webrtc: WhepViewer | null = null;
  private segmented: SegmentViewer | null = null;
  private segmentsOffered: boolean;
  private wasLive = false;
  private failures = 0;

  /** The way that stands beside real time. */
  readonly other: SegmentProtocol;

  constructor(private readonly options: PlayerOptions) {
    const { rule } = options;
    const unable = !("RTCPeerConnection" in globalThis) && rule !== "whep";
    this.segmentsOffered = rule !== "whep";
    this.other = rule === "dash" ? "dash" : "hls";
    this.taken = rule === this.other || unable ? this.other : "whep";
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
    return this.segmentsOffered && "RTCPeerConnection" in globalThis;
  }

  /** The viewer over WHEP, while it is the one. */
  get whep(): WhepViewer | null {
    return this.webrtc;
  }

  /** The viewer of segments, while it is the one. */
  get segments(): SegmentViewer | null {
    return this.segmented;
  }

  /** Whether what plays has a picture, as far as that is known. */
  get hasPicture(): boolean {
    if (this.segmented) return this.segmented.playback?.hasPicture ?? true;
    const stream = this.options.video.srcObject;
    return !(stream instanceof MediaStream) || stream.getVideoTracks().length > 0;
  }

  /** Whether what plays has sound. */
  get hasSound(): boolean {
    if (this.segmented) {
      return this.segmented.playback?.hasSound ?? this.present.state === "live";
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
    this.segmented?.retryNow();
  }

  /** Tries at once. A session that stands is left alone: its publisher's first packets may still be on the way. */
  join(): void {
    if (this.present.state !== "live") this.retryNow();
  }

  /** Opens a new session in place of one that no longer fits the stream. Segments lead to a new epoch by themselves. */
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
    if (protocol === "whep") this.startWhep();
    else this.startSegments(protocol);
  }

  private startWhep(): void {
    const viewer = new WhepViewer({
      endpoint: `/whep/${encodeURIComponent(this.options.name)}`,
      connectWithinMs: this.segmentsOffered ? CONNECT_WITHIN_MS : undefined,
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
      const handOver = status.cause && this.segmentsOffered && givesUp(this.failures, this.wasLive);
      if (status.cause && handOver) return this.take(this.other, status.cause, status.sentence);
      this.change(status);
    };
    viewer.start();
  }

  private startSegments(protocol: SegmentProtocol): void {
    const { name, video } = this.options;
    const viewer: SegmentViewer =
      protocol === "hls"
        ? new HlsViewer({ url: addressed(hlsPath(name)), video })
        : new DashViewer({ url: addressed(dashPath(name)), video });
    this.segmented = viewer;
    viewer.onmedia = () => viewer === this.segmented && this.onmedia?.();
    viewer.onlevels = () => viewer === this.segmented && this.onlevels?.();
    viewer.onstatus = (status) => viewer === this.segmented && this.change(status);
    viewer.onabsent = () => {
      if (viewer !== this.segmented || !("RTCPeerConnection" in globalThis)) return;
      this.segmentsOffered = false;
      this.take("whep", "alone");
    };
    viewer.start();
  }

  private release(): void {
    const { webrtc, segmented } = this;
    this.webrtc = this.segmented = null;
    webrtc?.leave();
    segmented?.stop();
    this.options.video.srcObject = null;
  }

  private change(status: Status): void {
    this.present = status;
    this.onstatus?.(status);
  }
}
