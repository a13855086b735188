// Which two of an evaluation's policies the page is about: what all others are compared to, and which one is looked at.
import { labelsOf, nameOf } from "./compare_names.js";
import { h, select } from "./dom.js";

/** Two choices of the policies' labels; `state` has both, and `onChoice()` is told when they are others. */
export function policyChoice(config, state, onChoice) {
  const options = labelsOf(config).map((label) => [label, nameOf(label)]);
  const box = (title, name, other) => {
    const chosen = select(title, options, (value) => {
      // Two of them, always: whoever chooses the other one has them change places.
      if (value === state[other]) state[other] = state[name];
      state[name] = value;
      for (const [each, key] of boxes) each.value = state[key];
      onChoice();
    });
    chosen.value = state[name];
    return chosen;
  };
  const boxes = [
    [box("Compared to", "base", "policy"), "base"],
    [box("Policy", "policy", "base"), "policy"],
  ];
  const [[base], [policy]] = boxes;
  return h("div", { class: "u-row", role: "group", "aria-label": "Policies" }, h("span", { class: "u-small u-muted" }, "Compared to"), base, h("span", { class: "u-muted" }, "→"), policy);
}
