// Small elements every page is made of: h() builds, the rest are words and states in one look.
import { ago, shortId } from "./format.js";

/** An element: `h("p", { class: "x", onclick: f }, "text", child)`; null children are left out. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") element.style.cssText = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function show(root, ...children) {
  root.replaceChildren(...children.flat().filter(Boolean));
  root.removeAttribute("aria-busy");
}

export function status(name) {
  return h("span", { class: `u-status ${name}` }, name);
}

/** A relative time that keeps itself current; the exact one on hover. */
export function when(time) {
  return time ? h("time", { datetime: time, title: new Date(time).toLocaleString() }, ago(time)) : h("span", {}, "–");
}

setInterval(() => {
  for (const element of document.querySelectorAll(".u-part time[datetime]"))
    element.textContent = ago(element.dateTime);
}, 15000);

/** A short name that copies the whole one: an id's end, which tells ids of one moment apart, or a hash's beginning. */
export function identifier(id, beginning = 0) {
  const short = beginning ? id.slice(0, beginning) : shortId(id);
  const button = h("button", { class: "u-btn quiet u-mono", type: "button", title: `Copy ${id}` }, short);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(id);
    button.textContent = "copied";
    setTimeout(() => {
      button.textContent = short;
    }, 1200);
  });
  return button;
}

export function card(title, body, ...extras) {
  return h("section", { class: "u-card", "aria-label": title }, h("header", {}, h("h2", {}, title), ...extras), body);
}

export function empty(title, text, ...actions) {
  return h("div", { class: "u-empty" }, h("strong", {}, title), h("p", {}, text), ...actions);
}

/** What happened, to what, the cure, and the request id. */
export function failure(error, retry = null) {
  // The message has the first ones already.
  const untold = (error.problems ?? []).filter((item) => !error.message.includes(item.message));
  const problems = untold.map((item) => `${item.pointer || "the body"}: ${item.message}`);
  const id = error.requestId ? h("p", { class: "u-small u-muted" }, `Request ${error.requestId}`) : null;
  // The session has ended while the page was open; in another tab, what was typed here is not lost.
  const door = error.status === 401 ? h("p", {}, h("a", { href: "/sign-in", target: "_blank" }, "Sign in")) : null;
  const again = retry ? h("button", { class: "u-btn", type: "button", onclick: retry }, "Try again") : null;
  return h(
    "div",
    { class: "u-note u-error", role: "alert" },
    h("strong", {}, error.title ?? "Something went wrong"),
    h("p", {}, error.message),
    ...problems.map((text) => h("p", {}, text)),
    id,
    door,
    again,
  );
}

/** A button that answers at once, is busy while its promise runs, and says in a toast what failed. */
export function action(label, run, kind = "") {
  const button = h("button", { class: `u-btn ${kind}`, type: "button" }, label);
  button.addEventListener("click", async () => {
    if (button.dataset.busy) return;
    button.dataset.busy = "1";
    try {
      await run(button);
    } catch (error) {
      toast(failure(error));
    } finally {
      delete button.dataset.busy;
    }
  });
  return button;
}

/** A choice among `[value, text]`; it says its value when it changes. */
export function select(label, options, onChange) {
  const box = h("select", { class: "u-select", "aria-label": label, onchange: () => onChange(box.value) });
  setOptions(box, options);
  return box;
}

/** Other options for a choice; what is chosen stays so while it is among them. */
export function setOptions(box, options) {
  const chosen = box.value;
  box.replaceChildren(...options.map(([value, text]) => h("option", { value }, text)));
  if (options.some(([value]) => value === chosen)) box.value = chosen;
}

export function toast(content, seconds = 8) {
  let holder = document.querySelector(".u-toasts");
  if (!holder) document.body.append((holder = h("div", { class: "u-toasts", "aria-live": "polite" })));
  const item = typeof content === "string" ? h("div", { class: "u-note" }, content) : content;
  holder.append(item);
  setTimeout(() => item.remove(), seconds * 1000);
}

export function dialog(title, ...body) {
  const box = h(
    "dialog",
    { class: "u-dialog", "aria-label": title },
    h("h2", {}, title),
    ...body,
    h(
      "form",
      { method: "dialog", style: "margin-top:16px;text-align:right" },
      h("button", { class: "u-btn" }, "Close"),
    ),
  );
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
  return box;
}

export function titled(text) {
  document.title = text ? `${text} · Unmask Studio` : "Unmask Studio";
}

export function query(name) {
  return new URLSearchParams(location.search).get(name);
}
