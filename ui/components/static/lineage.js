// A lineage drawn from left to right: a row a thing, further right what was made later, lines for what went into what.
import { h, show, svg } from "./dom.js";

const ROW = 44,
  TOP = 20,
  LEFT = 12,
  DOT = 4, // So far a mark's middle stands above its name's baseline.
  ASIDE = 9, // So far right of the marks the dashed lines go down: between marks and names, through neither.
  LABEL = 200, // Room that the text beside the deepest dot has at least.
  LONGEST_STEP = 150,
  SHORTEST_STEP = 14;
const WORDS = {
  started_from: "starts from",
  rewarded_by: "rewarded by",
  prompted_by: "prompts of",
  learned_from: "learned from",
};
const COLOURS = {
  base: "var(--u-muted)",
  imported: "var(--u-muted)",
  run: "var(--u-accent)",
  reward_model: "var(--u-series-purple)",
  prompt_set: "var(--u-series-green)",
  pair_set: "var(--u-series-orange)",
};

/** Draws a lineage into an element, and anew whenever the element's width changes. */
export function lineageDrawing(element, lineage) {
  const draw = () => show(element, drawing(lineage, element.clientWidth || 640), ...remarks(lineage));
  element.lineageWatch?.disconnect();
  let width = element.clientWidth;
  element.lineageWatch = new ResizeObserver(() => {
    if (element.clientWidth === width) return;
    width = element.clientWidth;
    draw();
  });
  element.lineageWatch.observe(element);
  draw();
}

function remarks(lineage) {
  if (lineage.is_cut) return [h("p", { class: "u-small u-muted" }, "There is more than is drawn: choose a younger model.")];
  if (lineage.nodes.length === 1)
    return [h("p", { class: "u-small u-muted" }, "It was made from nothing that is here, and nothing was made from it yet.")];
  return [
    h(
      "p",
      { class: "u-small u-muted" },
      "Whole lines: what a run started from. Dashed: rewards, prompts and votes that went into it. Squares are sets, diamonds reward models.",
    ),
  ];
}

/** Depth of each node, and its row: each below what it started from, in one walk. */
export function placed({ nodes, edges }) {
  const into = (id) => edges.filter((edge) => edge.product === id);
  const depths = new Map();
  const depth = (id, path = []) => {
    if (path.includes(id)) return 0;
    if (!depths.has(id)) depths.set(id, Math.max(0, ...into(id).map((edge) => 1 + depth(edge.origin, [...path, id]))));
    return depths.get(id);
  };
  nodes.forEach((node) => depth(node.id));
  const rows = [];
  const visit = (node) => {
    if (rows.includes(node)) return;
    rows.push(node);
    const children = edges.filter((edge) => edge.origin === node.id && edge.relation === "started_from");
    for (const { product } of children) visit(nodes.find((each) => each.id === product));
  };
  const isMaterial = (node) => edges.some((edge) => edge.origin === node.id && edge.relation !== "started_from");
  const roots = nodes.filter((node) => !into(node.id).length);
  [...roots.filter(isMaterial), ...roots, ...nodes].forEach(visit);
  return rows.map((node, row) => ({ node, row, depth: depths.get(node.id) }));
}

function drawing(lineage, width) {
  const places = placed(lineage);
  const deepest = Math.max(...places.map((place) => place.depth), 1);
  const step = Math.min(LONGEST_STEP, Math.max(SHORTEST_STEP, (width - LABEL - LEFT) / deepest));
  const at = new Map(places.map(({ node, row, depth }) => [node.id, { x: LEFT + depth * step, y: TOP + row * ROW }]));
  const height = TOP + places.length * ROW - 8;
  return svg(
    "svg",
    { class: "u-lineage", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told(lineage) },
    ...lineage.edges.map((edge) => line(edge, at.get(edge.origin), at.get(edge.product))),
    ...places.map(({ node }) => mark(node, at.get(node.id), lineage, width)),
  );
}

function line(edge, from, to) {
  const start = from.y - DOT,
    end = to.y - DOT;
  const isMaterial = edge.relation !== "started_from";
  const x = from.x + (isMaterial ? ASIDE : 0);
  const path = `M${from.x} ${start} H${x} V${end - Math.sign(end - start) * 8} Q${x} ${end} ${x + 8} ${end} H${to.x}`;
  return svg(
    "path",
    { d: path, class: isMaterial ? "material" : "" },
    svg("title", {}, `${WORDS[edge.relation]} ${edge.ref}`),
  );
}

function mark(node, { x, y }, lineage, width) {
  const isFocus = node.id === lineage.focus;
  const room = Math.floor((width - x - 16) / 7);
  const name = svg("text", { x: x + 14, y: y + 1, class: isFocus ? "focus" : "" }, cut(node.name, room));
  const link = node.run_id ? svg("a", { href: `/run?id=${node.run_id}` }, name) : name;
  return svg(
    "g",
    {},
    svg("title", {}, [node.name, node.detail, node.id].filter(Boolean).join(", ")),
    shape(node, x, y, isFocus),
    link,
    svg("text", { x: x + 14, y: y + 16, class: "small" }, cut(words(node, lineage), Math.floor(room * 1.05))),
  );
}

function shape(node, x, y, isFocus) {
  const look = { fill: COLOURS[node.kind], class: isFocus ? "focus" : "" };
  if (node.kind.endsWith("_set")) return svg("rect", { x: x - 5, y: y - DOT - 5, width: 10, height: 10, ...look });
  if (node.kind === "reward_model")
    return svg("rect", { x: x - 5, y: y - DOT - 5, width: 10, height: 10, transform: `rotate(45 ${x} ${y - DOT})`, ...look });
  return svg("circle", { cx: x, cy: y - DOT, r: 6, ...look });
}

function words(node, { edges }) {
  const own = edges.filter((edge) => edge.product === node.id && edge.relation === "started_from" && edge.ref.includes("@"));
  const from = own.map((edge) => `from step ${edge.ref.split("@")[1]}`);
  const kind = node.detail || node.kind.replaceAll("_", " ");
  const state = node.status && node.status !== "succeeded" ? [node.status] : [];
  return [...node.aliases.map((name) => `★ ${name}`), kind, ...from, ...state].join(" · ");
}

const cut = (text, room) => (text.length > room ? `${text.slice(0, Math.max(room - 1, 4))}…` : text);

function told({ nodes, edges }) {
  const name = (id) => nodes.find((node) => node.id === id)?.name ?? id;
  const sentences = edges.map((edge) => `${name(edge.product)} ${WORDS[edge.relation]} ${name(edge.origin)}`);
  return sentences.length ? sentences.join("; ") : `${nodes[0].name}, alone`;
}
