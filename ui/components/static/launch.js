// The launch page's heading. The form is Gradio's; this part only names the page and shows it as an API call.
import { h, show, titled } from "./dom.js";
import { apiCalls, showCalls } from "./shell.js";

/**
 * Gradio's text fields tell of a change when a key was pressed. What is pasted, cut, deleted, dropped or dictated presses
 * none: it is told by a key without a name, or the form would go on with what stood there before.
 */
function tellEveryChange() {
  let isPressed = false;
  const isField = (target) => target.matches?.(".u-form textarea, .u-form input[type=text]");
  document.addEventListener("keypress", (event) => {
    isPressed = event.isTrusted && isField(event.target);
  });
  document.addEventListener("input", ({ target }) => {
    if (isField(target) && !isPressed) target.dispatchEvent(new KeyboardEvent("keypress", { key: "Unidentified", bubbles: true }));
    isPressed = false;
  });
}

export function mount(root) {
  titled("Launch");
  tellEveryChange();
  const calls = () => {
    const request = document.querySelector("#launch-side [data-request]")?.dataset.request;
    apiCalls([{ path: "/recipes" }, { method: "POST", path: "/runs", body: request ? JSON.parse(request) : {} }]);
    showCalls();
  };
  show(
    root,
    h(
      "div",
      { class: "u-head", style: "margin-bottom:0" },
      h(
        "div",
        {},
        h("h1", {}, "Launch a run"),
        h(
          "p",
          { class: "u-muted" },
          "Start from a recipe, change what you like; the exact configuration stands beside the form.",
        ),
      ),
      h("button", { class: "u-btn quiet", type: "button", onclick: calls }, "as API call"),
    ),
  );
}
