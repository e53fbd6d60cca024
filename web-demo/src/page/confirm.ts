// A question that is asked before something is ended.

import { byId, make } from "./page";

/** Asks, and tells whether the answer was yes. Escape is no. */
export function confirmed(title: string, what: string, yes: string): Promise<boolean> {
  const dialog = byId("confirm", HTMLDialogElement);
  const heading = make("h2", "", title);
  heading.id = "confirm-title";
  const cancel = make("button", "quiet", "Cancel");
  const end = make("button", "quiet danger", yes);
  cancel.type = end.type = "button";
  cancel.onclick = () => dialog.close("");
  end.onclick = () => dialog.close("yes");
  dialog.replaceChildren(heading, make("p", "", what), make("div", "buttons", cancel, end));
  dialog.returnValue = "";
  dialog.showModal();
  cancel.focus();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}
