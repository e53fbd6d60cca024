// The ways to play a stream, which of them an address asks for, and sentences that say why one is taken. No DOM.

import type { Cause } from "../server/status";

/** A way to play a stream in segments, about two seconds behind. */
export type SegmentProtocol = "hls" | "dash";

/** WebRTC, in real time, or segments. */
export type Protocol = "whep" | SegmentProtocol;

/** What an address says of it: `auto` begins with WHEP and falls over to HLS, `whep` never does. */
export type Rule = "auto" | Protocol;

/** Why a protocol is taken. */
export type Why =
  /** Nothing speaks against the first choice. */
  | "default"
  /** The address asks for it. */
  | "asked"
  /** The viewer chose it. */
  | "chosen"
  /** The browser has no WebRTC. */
  | "unable"
  /** The server gives no segments. */
  | "alone"
  | Cause;

/** So many failures in a row hand a viewer over who has watched by WHEP before: a network may be away for a while. */
const FAILURES_AFTER_LIVE = 3;

/** Reads `?protocol=` of an address. */
export function ruleOf(search: string): Rule {
  const asked = new URLSearchParams(search).get("protocol");
  return asked === "hls" || asked === "dash" || asked === "whep" ? asked : "auto";
}

/** The address of a stream's multivariant playlist on its server. */
export function hlsPath(name: string): string {
  return `/hls/${encodeURIComponent(name)}/index.m3u8`;
}

/** The address of a stream's DASH manifest on its server. */
export function dashPath(name: string): string {
  return `/dash/${encodeURIComponent(name)}/manifest.mpd`;
}

/** The name of a protocol as people write it. */
export function titleOf(protocol: Protocol): string {
  return { whep: "WebRTC", hls: "HLS", dash: "DASH" }[protocol];
}

/** Whether after so many failures in a row another way is taken. Whoever has not seen a picture yet does not wait. */
export function givesUp(failures: number, wasLive: boolean): boolean {
  return failures >= (wasLive ? FAILURES_AFTER_LIVE : 1);
}

/** What there is to say of a stream that plays in real time alone. */
export function noSegmentsText(protocol: SegmentProtocol): string {
  return `The stream is live, but there is no ${titleOf(protocol)} of it yet.`;
}

/** What there is to say while nothing can be played; `live` says whether the stream's media arrives at the server. */
export function waitingText(protocol: Protocol, live: boolean): string {
  if (protocol !== "whep" && live) return noSegmentsText(protocol);
  return "Not live yet. It starts here by itself.";
}

/**
 * Which way a stream is played and why, as a sentence. `segments` is the other way to real time: the one that the
 * server turned out not to give.
 */
export function protocolText(
  protocol: Protocol,
  why: Why,
  segments: SegmentProtocol = "hls",
): string {
  const title = titleOf(protocol);
  const how =
    protocol === "whep" ? `in real time over ${title}` : `${title}, about two seconds behind`;
  const alone = how.charAt(0).toUpperCase() + how.slice(1);
  switch (why) {
    case "default":
      return `${alone}.`;
    case "asked":
      return `${alone}, as the address asks.`;
    case "chosen":
      return `${alone}, as you chose.`;
    case "alone":
      return `This server gives no ${titleOf(segments)}: playing ${how}.`;
    case "unable":
      return `This browser has no WebRTC: playing ${how}.`;
    case "unconnected":
      return `WebRTC could not connect from here: playing ${how}.`;
    case "full":
      return `The server takes no more viewers in real time now: playing ${how}.`;
  }
}
