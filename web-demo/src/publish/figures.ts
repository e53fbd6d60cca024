// The publish page's card of figures: what is sent, layer by layer.

import { bitrateText, byId, codecText, make, setText, sizeText } from "../page/page";
import { type LayerFigures, type Limit, type PublisherFigures, StatsReader } from "../webrtc/stats";

const COLUMNS = ["Resolution", "Frames/s", "Bit rate", "Keyframes", "Limit"];
const LIMITS: Readonly<Record<Limit, string>> = {
  none: "none",
  cpu: "limited by CPU",
  bandwidth: "limited by network",
  other: "limited by the browser",
};

/** The card, with what it shows as numbers. */
export class FigureCard {
  private readonly card = byId("figures", HTMLElement);
  private readonly rows = byId("layers", HTMLTableSectionElement);
  private readonly summary = byId("summary", HTMLParagraphElement);
  private reader = new StatsReader();
  private latest: PublisherFigures | null = null;

  /** What was measured last; `null` where nothing is sent. */
  get present(): PublisherFigures | null {
    return this.latest;
  }

  /** Begins to count anew: for another session. */
  begin(): void {
    this.reader = new StatsReader();
  }

  /** Forgets what was measured. */
  clear(): void {
    this.latest = null;
  }

  /** Takes the card off the page until the next measurement. */
  hide(): void {
    this.card.hidden = true;
  }

  /** Measures a connection, and shows it to whoever looks. */
  async measure(pc: RTCPeerConnection): Promise<void> {
    this.latest = this.reader.publisher(await pc.getStats());
    if (!document.hidden) this.show(this.latest);
  }

  private show({ layers, audioBps, roundTripMs, codec }: PublisherFigures): void {
    this.card.hidden = false;
    const rows = layers.map((layer) => {
      const head = make("th", "", layer.rid || "single");
      head.scope = "row";
      head.dataset["label"] = "Layer";
      const cells = layerCells(layer).map((text, i) => {
        const cell = make("td", "", text);
        cell.dataset["label"] = COLUMNS[i];
        return cell;
      });
      return make("tr", "", head, ...cells);
    });
    this.rows.replaceChildren(...rows);
    const parts = [
      codec && `Video ${codecText(codec)}`,
      audioBps > 0 && `sound ${bitrateText(audioBps)}`,
      roundTripMs !== null && `round trip ${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms`,
    ];
    setText(this.summary, parts.filter(Boolean).join(" · "));
  }
}

function layerCells(layer: LayerFigures): string[] {
  const size = sizeText(layer.width, layer.height);
  const keyframes = layer.keyframes === null ? "–" : String(layer.keyframes);
  const limit = layer.limit === null ? "–" : LIMITS[layer.limit];
  if (!layer.sending) return [size, "–", "not sent", keyframes, limit];
  return [size, layer.fps.toFixed(0), bitrateText(layer.bitrateBps), keyframes, limit];
}
