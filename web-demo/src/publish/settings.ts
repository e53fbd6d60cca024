// The publish page's form: what a host publishes, and how. What is done with it is up to the page.

import { byId, setText } from "../page/page";
import { nameProblem } from "../server/name";
import { listDevices, type SourceKind, type SourceWish } from "../source/sources";
import {
  canScale,
  type EncodingWish,
  SCALABILITY_MODES,
  type Scalability,
  VIDEO_CODECS,
  type VideoCodec,
} from "../webrtc/encodings";

const SOURCE_HINTS: Readonly<Record<SourceKind, string>> = {
  camera: "",
  screen: "The browser asks which screen, window or tab to share.",
  pattern: "A moving picture with a clock, and a beep on every second. Needs no camera.",
};
const BITRATES_KBPS: Readonly<Record<string, string>> = {
  "360": "800",
  "720": "2500",
  "1080": "5000",
};

/** The form with its menus. */
export class Settings {
  readonly form = byId("settings", HTMLFormElement);
  /** The button that opens the chosen source. */
  readonly openButton = byId("open", HTMLButtonElement);

  /** Called when another kind of source is chosen. */
  onsource: ((kind: SourceKind) => void) | null = null;
  /** Called with the id when another camera or microphone is chosen. */
  ondevice: ((kind: "audio" | "video", id: string) => void) | null = null;
  /** Called when another resolution is chosen. */
  onresolution: (() => void) | null = null;

  private readonly devices = byId("devices", HTMLDivElement);
  private readonly sourceHint = byId("source-hint", HTMLParagraphElement);
  private readonly camera = byId("camera", HTMLSelectElement);
  private readonly microphone = byId("microphone", HTMLSelectElement);
  private readonly nameField = byId("name", HTMLInputElement);
  private readonly nameWrong = byId("name-problem", HTMLParagraphElement);
  private readonly codec = byId("codec", HTMLSelectElement);
  private readonly resolution = byId("resolution", HTMLSelectElement);
  private readonly bitrate = byId("bitrate", HTMLInputElement);
  private readonly bitrateWrong = byId("bitrate-problem", HTMLParagraphElement);
  private readonly scalability = byId("scalability", HTMLSelectElement);
  private readonly scalabilityRow = byId("scalability-row", HTMLLabelElement);
  private readonly simulcast = byId("simulcast", HTMLInputElement);
  private locked = false;

  constructor(query: URLSearchParams) {
    this.fillMenus();
    this.read(query);
    this.showSource();
    this.showScalability();
    void this.showDevices();
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.showDevices());
    this.listen();
  }

  /** The stream's name. */
  get name(): string {
    return this.nameField.value.trim();
  }

  /** The height to capture. */
  get height(): number {
    return Number(this.resolution.value);
  }

  /** The source to open. */
  get source(): SourceWish {
    return {
      kind: this.kind,
      height: this.height,
      camera: this.camera.value,
      microphone: this.microphone.value,
    };
  }

  /** How to encode it, whatever its size. */
  get encoding(): Omit<EncodingWish, "width" | "height"> {
    return {
      codec: this.chosenCodec,
      bitrateBps: Number(this.bitrate.value) * 1_000,
      simulcast: this.simulcast.checked,
      scalability: this.scalability.value as Scalability,
    };
  }

  /** Says what is wrong beside the fields, and returns the first of these; `null` where nothing is. */
  check(): HTMLElement | null {
    showWrong(this.nameField, this.nameWrong, nameProblem(this.name));
    showWrong(this.bitrate, this.bitrateWrong, this.bitrateProblem());
    return this.form.querySelector<HTMLElement>("[aria-invalid=true]");
  }

  /** Locks what cannot change while the stream is live, or unlocks it. */
  lock(locked: boolean): void {
    this.locked = locked;
    for (const control of [
      this.nameField,
      this.codec,
      this.resolution,
      this.bitrate,
      this.scalability,
      this.simulcast,
      ...this.sourceRadios(),
    ]) {
      control.disabled = locked;
    }
    if (!locked) this.showScalability();
  }

  /** Offers the devices that there are; their names are known once one of them was opened. */
  async showDevices(): Promise<void> {
    const { cameras, microphones } = await listDevices();
    fillDevices(this.camera, cameras, "Camera");
    fillDevices(this.microphone, microphones, "Microphone");
  }

  private listen(): void {
    this.nameField.oninput = () => showWrong(this.nameField, this.nameWrong, null);
    this.bitrate.oninput = () => showWrong(this.bitrate, this.bitrateWrong, null);
    for (const radio of this.sourceRadios()) {
      radio.onchange = () => {
        this.showSource();
        this.onsource?.(this.kind);
      };
    }
    this.camera.onchange = () => this.ondevice?.("video", this.camera.value);
    this.microphone.onchange = () => this.ondevice?.("audio", this.microphone.value);
    this.codec.onchange = this.scalability.onchange = () => this.showScalability();
    this.resolution.onchange = () => {
      this.bitrate.value = BITRATES_KBPS[this.resolution.value] ?? this.bitrate.value;
      this.onresolution?.();
    };
  }

  private fillMenus(): void {
    const able = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
    for (const each of VIDEO_CODECS) {
      const option = new Option(each === "H264" ? "H.264" : each, each);
      option.disabled = !able.some(
        ({ mimeType }) => mimeType.toLowerCase() === `video/${each.toLowerCase()}`,
      );
      this.codec.add(option);
    }
    for (const mode of SCALABILITY_MODES) this.scalability.add(new Option(modeText(mode), mode));
    const first = [...this.codec.options].find((option) => !option.disabled);
    if (first) first.selected = true;
  }

  private read(query: URLSearchParams): void {
    const select = (menu: HTMLSelectElement, value: string | null) => {
      if (value !== null && [...menu.options].some((option) => option.value === value))
        menu.value = value;
    };
    this.nameField.value = query.get("stream") ?? "";
    select(this.codec, query.get("codec"));
    select(this.scalability, query.get("svc"));
    select(this.resolution, query.get("resolution"));
    this.bitrate.value =
      query.get("bitrate") ?? BITRATES_KBPS[this.resolution.value] ?? this.bitrate.value;
    if (query.has("simulcast")) this.simulcast.checked = query.get("simulcast") === "1";
    for (const radio of this.sourceRadios()) {
      if (radio.value === query.get("source")) radio.checked = true;
    }
  }

  private showSource(): void {
    const { kind } = this;
    this.devices.hidden = kind !== "camera";
    setText(this.openButton, kind === "screen" ? "Choose a screen" : "Show preview");
    setText(this.sourceHint, SOURCE_HINTS[kind]);
  }

  /** Offers scalable pictures where the codec has them; they take the place of simulcast. */
  private showScalability(): void {
    const can = canScale(this.chosenCodec);
    this.scalabilityRow.hidden = !can;
    this.simulcast.disabled = this.locked || (can && this.scalability.value !== "");
  }

  private bitrateProblem(): string | null {
    const kbps = Number(this.bitrate.value);
    return kbps >= 100 && kbps <= 20_000 ? null : "Choose a bit rate from 100 to 20000 kbit/s.";
  }

  private get chosenCodec(): VideoCodec {
    return this.codec.value as VideoCodec;
  }

  private get kind(): SourceKind {
    return (this.sourceRadios().find((radio) => radio.checked)?.value ?? "camera") as SourceKind;
  }

  private sourceRadios(): HTMLInputElement[] {
    return [...this.form.querySelectorAll<HTMLInputElement>("input[name=source]")];
  }
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

/** A mode in words: L3T3_KEY is "3 sizes, 3 frame rates (L3T3_KEY)". */
function modeText(mode: string): string {
  const [, sizes, rates] = /^L(\d)T(\d)/.exec(mode) ?? [];
  const count = (many: string | undefined, noun: string) =>
    many === "1" ? `one ${noun}` : `${many} ${noun}s`;
  return `${count(sizes, "size")}, ${count(rates, "frame rate")} (${mode})`;
}

function showWrong(field: HTMLElement, place: HTMLElement, sentence: string | null): void {
  field.setAttribute("aria-invalid", String(sentence !== null));
  place.hidden = sentence === null;
  setText(place, sentence ?? "");
}
