// The keys of the rater's page. A key that is held down is one choice, and typing into a field is none.

const CHOICES = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "tie", ArrowDown: "both_bad", s: "skip" };

/** `on.hasPair()` says whether there is something to choose; then `on.choose(choice)`, `on.why()`, and always `on.undo()`. */
export function onKeys(on) {
  addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest?.("input, textarea")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key in CHOICES && on.hasPair()) on.choose(CHOICES[key]);
    else if (key === "u") on.undo();
    else if (key === "f" && on.hasPair()) on.why();
    else return;
    event.preventDefault();
  });
}
