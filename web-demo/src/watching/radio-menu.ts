// A menu of radio buttons whose entries come and go without taking the focus from whoever stands on one.

import { make, setText } from "../page/page";

/** One line of a menu. */
export interface MenuEntry {
  /** Tells it from the others. */
  readonly key: string;
  readonly label: string;
  readonly detail: string;
}

/** The radio buttons in one element. */
export class RadioMenu {
  constructor(
    private readonly list: HTMLElement,
    private readonly name: string,
    /** Called with the key that a viewer chose. */
    private readonly onchoose: (key: string) => void,
  ) {}

  /** Shows these entries with one of them chosen. Only what differs is touched. */
  show(entries: readonly MenuEntry[], selected: string): void {
    const inputs = [...this.list.querySelectorAll("input")];
    const same = entries.map(({ key }) => key).join("\n") === inputs.map((i) => i.value).join("\n");
    if (!same) this.list.replaceChildren(...entries.map((entry) => this.option(entry)));
    entries.forEach(({ key, label, detail }, at) => {
      const option = this.list.children[at];
      const input = option?.querySelector("input");
      if (!option || !input) return;
      if (input.checked !== (key === selected)) input.checked = key === selected;
      for (const [part, text] of [
        [".name", label],
        [".detail", detail],
      ] as const) {
        const place = option.querySelector(part);
        if (place) setText(place, text);
      }
    });
  }

  private option({ key }: MenuEntry): HTMLElement {
    const input = make("input");
    input.type = "radio";
    input.name = this.name;
    input.value = key;
    input.onchange = () => this.onchoose(key);
    return make("label", "", input, make("span", "name"), make("span", "detail"));
  }
}
