// The chrome all pages share: navigation, theme, keyboard map, and the dialog that shows a page as an API call.
import { remove } from "./api.js";
import { action, dialog, h, svg } from "./dom.js";
import { tellMissingPictures } from "./gone.js";

const PAGES = [
  ["/", "Home", "h"],
  ["/runs", "Runs", "r"],
  ["/launch", "Launch", "l"],
  ["/try", "Try", "t"],
  ["/prompts", "Prompts", "p"],
  ["/rewards", "Rewards", "w"],
  ["/label", "Label", "v"],
  ["/models", "Models", "m"],
];
// Shown in the navigation beside the page that they belong to, while one of the two is open.
const INNER_PAGES = [["/pairs", "Pair sets", "s"]];
const BELONGS_TO = { "/run": "/runs", "/groups": "/runs", "/sample": "/runs", "/inpaint": "/runs", "/extend": "/runs", "/strip": "/runs", "/compare": "/runs", "/label-results": "/label", "/pairs": "/label", "/reward-test": "/rewards" };
const extraKeys = new Map();
// How this page was opened, where the studio asks: by a "session" or a "token".
const openedBy = document.querySelector("meta[name=unmask-opened-by]")?.content;
let calls = [];

/** Adds keys of a page to the map: `keys([["k", "what it does", handler]])`. */
export function keys(entries) {
  for (const [key, label, handler] of entries) extraKeys.set(key, { label, handler });
}

/** The API calls that this page stands for; shown by "as API call". */
export function apiCalls(list) {
  calls = list;
}

export function showCalls() {
  const origin = location.origin;
  const text = calls
    .map(({ method = "GET", path, body, stream }) => {
      const flags = [stream ? "-N" : "", method === "GET" ? "" : `-X ${method}`].filter(Boolean).join(" ");
      const data =
        body === undefined
          ? ""
          : ` \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`;
      const token = openedBy ? `-H "Authorization: Bearer $UNMASK_TOKEN" ` : "";
      return `curl ${flags ? `${flags} ` : ""}${token}'${origin}/api/v1${path}'${data}`;
    })
    .join("\n\n");
  const copy = h("button", { class: "u-btn", type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  });
  dialog(
    "This page as API calls",
    h("pre", { class: "u-code tall" }, text),
    h("p", { style: "margin-top:16px" }, copy),
  );
}

export function apiButton() {
  return h("button", { class: "u-btn quiet", type: "button", onclick: showCalls }, "as API call");
}

function themeNow() {
  return (
    document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
  );
}

function toggleTheme() {
  const next = themeNow() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("unmask-theme", next);
  labelTheme();
  dispatchEvent(new Event("unmask-theme"));
}

function labelTheme() {
  const button = document.querySelector("#u-theme");
  if (button) button.textContent = themeNow() === "dark" ? "Light" : "Dark";
}

function helpKeys() {
  const general = [
    ...[...PAGES, ...INNER_PAGES].map(([, name, key]) => [["g", key], `Go to ${name}`]),
    [["t"], "Light or dark"],
    [["?"], "This map"],
    [["Esc"], "Close"],
  ];
  const own = [...extraKeys].map(([key, { label }]) => [[key], label]);
  const line = ([list, label]) => [
    h("dt", {}, ...list.flatMap((key) => [h("span", { class: "u-kbd" }, key), " "])),
    h("dd", {}, label),
  ];
  dialog("Keys", h("dl", {}, ...[...own, ...general].flatMap(line)));
}

let isGoing = false;
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input:not([type=range]), textarea, select, [contenteditable]")) return;
  // Space and Enter on a control belong to the control.
  if ([" ", "Enter"].includes(event.key) && event.target.closest?.("button, a, summary, input")) return;
  if (isGoing) {
    isGoing = false;
    const page = [...PAGES, ...INNER_PAGES].find(([, , key]) => key === event.key);
    if (page) {
      location.href = page[0];
      return;
    }
  }
  if (event.key === "g") {
    isGoing = true;
    setTimeout(() => {
      isGoing = false;
    }, 1200);
    return;
  }
  if (event.key === "?") return helpKeys();
  if (event.key === "t") return toggleTheme();
  const own = extraKeys.get(event.key === " " ? "Space" : event.key);
  if (own) {
    event.preventDefault();
    own.handler();
  }
}

function logo() {
  const cells = [1, 0, 1, 0, 1, 0, 1, 0, 0].map((on, index) =>
    svg("rect", {
      x: 7 + 6.5 * (index % 3),
      y: 7 + 6.5 * Math.floor(index / 3),
      width: 5,
      height: 5,
      fill: "#fff",
      opacity: on ? 1 : 0.35,
    }),
  );
  return svg(
    "svg",
    { viewBox: "0 0 32 32", "aria-hidden": "true" },
    svg("rect", { width: 32, height: 32, rx: 8, fill: "#4338ca" }),
    ...cells,
  );
}

/** A way out for whoever came in by a session; a studio that asks for nothing has none. */
function signOut() {
  if (openedBy !== "session") return null;
  // A page that the browser kept for its Back button is asked for anew, which shows it to nobody who has signed out.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  const button = action("Sign out", async () => {
    await remove("/session");
    location.href = "/sign-in";
  });
  button.classList.add("quiet");
  return button;
}

function navigation() {
  const here = BELONGS_TO[location.pathname] ?? location.pathname;
  const inner = INNER_PAGES.filter(([path]) => BELONGS_TO[path] === here);
  const isInner = inner.some(([path]) => path === location.pathname);
  const links = PAGES.flatMap(([path, name]) => [
    h("a", { href: path, "aria-current": path === here ? (isInner ? "true" : "page") : null }, name),
    ...(path === here ? inner : []).map(([place, words]) => h("a", { class: "u-inner", href: place, "aria-current": place === location.pathname ? "page" : null }, words)),
  ]);
  return h(
    "nav",
    { class: "u-nav", "aria-label": "Studio" },
    h(
      "div",
      { class: "u-nav-in" },
      h("a", { class: "u-brand", href: "/", "aria-label": "Unmask Studio" }, logo(), h("span", {}, "Unmask Studio")),
      h("div", { class: "u-nav-links" }, ...links),
      h("span", { class: "u-space" }),
      h(
        "button",
        { class: "u-btn quiet", id: "u-theme", type: "button", title: "Light or dark (t)", onclick: toggleTheme },
        "",
      ),
      h(
        "button",
        { class: "u-btn quiet", type: "button", title: "Keys (?)", "aria-label": "Keys", onclick: helpKeys },
        "?",
      ),
      signOut(),
    ),
  );
}

/** Takes the skeleton away as soon as the page has what it waits for, and never puts it back. */
function awaitContent() {
  const skeleton = document.querySelector(".u-boot");
  if (!skeleton) return;
  const look = () => {
    if (!document.querySelector(skeleton.dataset.until)) return;
    watcher.disconnect();
    skeleton.remove();
  };
  const watcher = new MutationObserver(look);
  watcher.observe(document.body, { attributeFilter: ["aria-busy"], childList: true, subtree: true });
  look();
}

document.body.prepend(navigation());
// On a phone the pages' row is longer than the screen: the present page is in view.
const showHere = () =>
  document.querySelector(".u-nav-links a[aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
showHere();
// Once more when the styles are there: until then the links are narrower.
addEventListener("load", showHere);
awaitContent();
labelTheme();
tellMissingPictures();
addEventListener("keydown", press);
