// The watch page's menus of what of the picture one gets: layers and frame rates of WHEP, or qualities of segments.

import { bitrateText, byId, setText } from "../page/page";
import type { LayerInfo } from "../server/api";
import type { LayerChoice } from "../webrtc/whep";
import { ratesOf, type RateEntry, sizesOf } from "./layers";
import type { Player } from "./player";
import { RadioMenu } from "./radio-menu";

/** The card of menus. */
export class LayerMenu {
  private readonly card = byId("layers-card", HTMLFieldSetElement);
  private readonly legend = byId("layers-legend", HTMLLegendElement);
  private readonly list = byId("layers", HTMLDivElement);
  private readonly rateRow = byId("rate-row", HTMLLabelElement);
  private readonly rate = byId("rate", HTMLSelectElement);
  private readonly problem = byId("layer-problem", HTMLParagraphElement);
  private readonly menu = new RadioMenu(this.list, "layer", (key) => this.choose(key));
  private layers: readonly LayerInfo[] = [];

  constructor(
    private readonly player: Player,
    private readonly video: HTMLVideoElement,
  ) {
    this.rate.onchange = () => {
      const { temporalLayerId: _, ...choice } = this.player.whep?.selected ?? {};
      const { value } = this.rate;
      void this.select(value === "" ? choice : { ...choice, temporalLayerId: Number(value) });
    };
  }

  /** Takes in what the server tells of the picture's layers. */
  take(layers: readonly LayerInfo[]): void {
    this.layers = layers;
    this.show();
  }

  /** Shows what there is to choose, and what is given now. */
  show(): void {
    if (this.player.segments) this.showLevels();
    else this.showLayers();
  }

  private showLevels(): void {
    const viewer = this.player.segments;
    const levels = [...(viewer?.playback?.levels ?? [])].reverse();
    // Between two epochs the menu stays as it is.
    if (levels.length === 0 && this.list.childElementCount > 0 && !this.card.hidden) return;
    this.card.hidden = levels.length < 2;
    this.list.hidden = false;
    this.rateRow.hidden = true;
    this.problem.hidden = true;
    setText(this.legend, "Quality");
    const selected = levels.some(({ key }) => key === viewer?.selected) ? viewer?.selected : null;
    const entries = levels.map(({ key, bitrateBps }) => ({
      key,
      label: key,
      detail: bitrateText(bitrateBps),
    }));
    this.menu.show([this.auto(!selected), ...entries], selected ?? "");
  }

  private showLayers(): void {
    const sizes = sizesOf(this.layers);
    const rates = ratesOf(this.layers);
    const { selected = {} } = this.player.whep ?? {};
    this.card.hidden = sizes.length < 2 && rates.length < 2;
    this.list.hidden = sizes.length < 2;
    setText(this.legend, "Layer");
    const { rid, spatialLayerId } = selected;
    const chosen = sizes.find(
      ({ choice }) => choice.rid === rid && choice.spatialLayerId === spatialLayerId,
    );
    const given = this.auto(Object.keys(selected).length === 0);
    this.menu.show([given, ...sizes], chosen?.key ?? "");
    this.showRates(rates);
  }

  /** What Auto gives now, while it is chosen: the size of the picture. */
  private auto(chosen: boolean) {
    const { videoHeight } = this.video;
    const detail = chosen && videoHeight > 0 ? `${videoHeight}p now` : "";
    return { key: "", label: "Auto", detail };
  }

  private showRates(rates: readonly RateEntry[]): void {
    this.rateRow.hidden = rates.length === 0;
    const all = new Option("All frames", "");
    const options = rates
      .slice(0, -1)
      .map(({ temporalLayerId, fps }) => new Option(rateText(fps), String(temporalLayerId)));
    const known = [...this.rate.options].map(({ value }) => value).join();
    if (known === ["", ...options.map(({ value }) => value)].join()) return;
    this.rate.replaceChildren(all, ...options);
    this.rate.value = String(this.player.whep?.selected.temporalLayerId ?? "");
  }

  private choose(key: string): void {
    const { segments, whep } = this.player;
    if (segments) {
      segments.select(key === "" ? null : key);
      return this.show();
    }
    const choice = sizesOf(this.layers).find((size) => size.key === key)?.choice ?? {};
    const { temporalLayerId } = whep?.selected ?? {};
    void this.select(temporalLayerId === undefined ? choice : { ...choice, temporalLayerId });
  }

  private async select(choice: LayerChoice): Promise<void> {
    this.problem.hidden = true;
    try {
      await this.player.whep?.select(choice);
    } catch (error) {
      this.problem.hidden = false;
      setText(this.problem, error instanceof Error ? error.message : String(error));
    }
  }
}

/** Frame rates are halves of each other: what is measured is rounded to something steady. */
function rateText(fps: number): string {
  return `About ${fps < 10 ? fps.toFixed(0) : Math.round(fps / 5) * 5} frames/s`;
}
