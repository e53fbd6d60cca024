// Buttons that copy a text of the page.

import { byId } from "./page";

/** Makes every button with `data-copy` copy the text of the element of that id, and say so in `said`. */
export function wireCopyButtons(said: HTMLElement): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
    button.onclick = async () => {
      const element = byId(button.dataset["copy"] ?? "", HTMLElement);
      try {
        await navigator.clipboard.writeText(element.textContent ?? "");
        said.textContent = "Copied.";
      } catch {
        // Browsers hand the clipboard to secure pages only. Selected, the text is one key away.
        getSelection()?.selectAllChildren(element);
        said.textContent =
          "The browser does not let this page copy. The text is selected: copy it.";
      }
    };
  }
}
