// The words about a recording: when, how long, how large, in which qualities. No DOM.

import { codecText } from "../page/page";
import type { Recording, RenditionInfo } from "../server/recordings";

/** "Recording", "Ready", "Failed". */
export function stateText({ state }: Recording): string {
  return { recording: "Recording now", ready: "Ready", failed: "Failed" }[state];
}

/** "12 s", "3:05 min", "2:05:09 h". */
export function lengthText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)} min`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)} h`;
}

/** "640 kB", "1.2 MB", "3.4 GB". */
export function bytesText(bytes: number): string {
  const units = ["kB", "MB", "GB", "TB"];
  let [value, at] = [bytes / 1e3, 0];
  while (value >= 999.5 && at < units.length - 1) [value, at] = [value / 1e3, at + 1];
  return `${value.toFixed(at > 0 && value < 9.95 ? 1 : 0)} ${units[at]}`;
}

/** "29 Nov 2026, 07:00" as this browser's people write it. */
export function dateText(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "–";
  return at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

/** "720p, 360p · H.264 and AAC"; empty where nothing is known yet. */
export function qualityText(renditions: readonly RenditionInfo[]): string {
  const heights = renditions
    .filter(({ kind }) => kind === "video")
    .map(({ height }) => height ?? 0)
    .sort((a, b) => b - a);
  const sizes = [...new Set(heights)].filter((height) => height > 0).map((height) => `${height}p`);
  const families = new Set([
    ...renditions.filter(({ kind }) => kind === "video").map(({ codecs }) => familyText(codecs)),
    ...renditions.filter(({ kind }) => kind === "audio").map(({ codecs }) => familyText(codecs)),
  ]);
  return [sizes.join(", "), [...families].join(" and ")].filter(Boolean).join(" · ");
}

/** The codec of an RFC 6381 string as people write it. */
export function familyText(codecs: string): string {
  const [family = ""] = codecs.toLowerCase().split(".");
  const names: Record<string, string> = {
    avc1: "H264",
    avc3: "H264",
    hvc1: "H265",
    hev1: "H265",
    av01: "AV1",
    vp09: "VP9",
    mp4a: "AAC",
    opus: "OPUS",
  };
  return codecText(names[family] ?? codecs);
}
