// A benchmark's figures as one table: a row a task, a column a policy, the paired difference with its interval last.
import { h } from "./dom.js";
import { figure, signed } from "./format.js";

const FIRST = ["overall", "strict", "accuracy"];
const HIDDEN = ["num_wins", "num_losses", "num_ties", "win_rate"];

export function scoreTable() {
  const found = new Map(),
    element = h("div", {});
  const draw = () => {
    const columns = [...found.keys()]
      .filter((name) => name !== "difference")
      .concat(found.has("difference") ? ["difference"] : []);
    const names = [...new Set(columns.flatMap((column) => Object.keys(found.get(column).values)))].filter(
      (name) => !HIDDEN.includes(name),
    );
    const tasks = names.filter((name) => !FIRST.includes(name)).sort();
    const plain = [
      ...FIRST.filter((name) => names.includes(name)),
      ...tasks.filter((name) => !name.endsWith("_strict")),
    ];
    const strict = tasks.filter((name) => name.endsWith("_strict"));
    const any = found.get(columns[0]);
    element.replaceChildren(
      h(
        "p",
        { class: "u-small u-muted" },
        `${any.benchmark}, ${any.num_prompts} prompts × ${any.samples_per_prompt}; intervals at 95 %`,
      ),
      table(columns, plain, found),
      ...verdict(found.get("difference")),
      ...(strict.length
        ? [
            h(
              "details",
              { style: "margin-top:8px" },
              h(
                "summary",
                { class: "u-link", style: "cursor:pointer" },
                "Strict, by task: nothing extra in the picture",
              ),
              table(columns, strict, found),
            ),
          ]
        : []),
    );
  };
  return {
    element,
    isFilled: () => found.size > 0,
    take: (score) => {
      found.set(score.policy, score);
      draw();
    },
  };
}

function table(columns, names, found) {
  const cell = (column, name) => {
    const { values, intervals } = found.get(column),
      tell = column === "difference" ? signed : figure,
      interval = intervals[name];
    return h(
      "td",
      { class: "num" },
      tell(values[name]),
      interval ? h("div", { class: "u-small u-muted" }, `[${figure(interval[0])}, ${figure(interval[1])}]`) : null,
    );
  };
  return h(
    "table",
    { class: "u-table" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "task"),
        ...columns.map((column) => h("th", { scope: "col", class: "num" }, column)),
      ),
    ),
    h(
      "tbody",
      {},
      ...names.map((name) =>
        h(
          "tr",
          {},
          h("td", {}, name.replace(/_strict$/, "").replaceAll("_", " ")),
          ...columns.map((column) => cell(column, name)),
        ),
      ),
    ),
  );
}

function verdict(difference) {
  if (!difference) return [];
  const { num_wins: wins, num_losses: losses, num_ties: ties, win_rate: rate } = difference.values;
  const share = rate === undefined ? "" : `: the policy wins ${figure(rate)} of those that differ`;
  return [
    h(
      "p",
      { class: "u-small u-muted", style: "margin-top:8px" },
      `Picture by picture ${wins} wins, ${losses} losses, ${ties} ties${share}.`,
    ),
  ];
}
