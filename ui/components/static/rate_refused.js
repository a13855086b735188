// What a rater did and the studio did not take, for a reason that nobody foresaw: kept in the browser under keys of its
// own, told as long as it is there, sent again or taken along as a file. Knows no request.
import { h } from "./dom.js";
import { plural } from "./format.js";
import { KeptItems } from "./rate_store.js";

const NAMES = { vote: "vote", undo: "undo", flag: "flag" };

export class Refused {
  /** `changed()` is told when another tab has refused items, or has sent them again. */
  constructor(token, changed) {
    this.kept = new KeptItems(`unmask-rating-refused/${token}/`);
    addEventListener("storage", ({ key }) => key?.startsWith(this.kept.prefix) && changed());
  }

  items() {
    return this.kept.all();
  }

  add(item, { status, code, message, requestId }) {
    this.kept.add({ ...item, why: { status, code, message, request_id: requestId }, refused_at: new Date().toISOString() });
  }

  /** The rater has taken it back, so nobody misses it. */
  drop(id) {
    for (const item of this.items()) if (item.id === id) this.kept.remove(item);
  }

  /** Gives each to `send`, the oldest first, and keeps it no longer once that has it. */
  handOver(send) {
    for (const item of this.items()) {
      const { why: _, refused_at: __, ...done } = item;
      send(done);
      this.kept.remove(item);
    }
  }
}

/** What is not in the studio and will not come there by itself, and what to do about it; null where there is nothing. */
export function untaken(refused, unsent, retry) {
  if (!refused.length && !unsent.length) return null;
  const reasons = [...new Set(refused.map(({ why }) => why.message.replace(/\.?$/, ".")))].join(" ");
  const line = (items, what, why) => (items.length ? h("p", {}, h("strong", {}, `${counted(items)} ${what}: `), why) : null);
  const button = (name, run) => h("button", { class: "u-btn", type: "button", onclick: run }, name);
  return h(
    "section",
    { class: "u-note u-error u-rate-untaken", role: "alert" },
    line(refused, "not accepted", reasons),
    line(unsent, "not sent", "this link opens nothing any more."),
    h("p", {}, "Kept in this browser. Where trying again does not help, send the file to whoever gave you the link."),
    h("div", { class: "u-row" }, button("Try again", retry), button("Download", () => download([...refused, ...unsent]))),
  );
}

function counted(items) {
  const numbers = Object.keys(NAMES).map((kind) => [kind, items.filter((item) => item.kind === kind).length]);
  return numbers.filter(([, number]) => number).map(([kind, number]) => plural(number, NAMES[kind])).join(", ");
}

/** Without the link's token, so that the file can be sent to whoever owns the task. */
function download(items) {
  const told = items.map(({ key: _, ...item }) => item);
  const file = new Blob([`${JSON.stringify(told, null, 1)}\n`], { type: "application/json" });
  const link = h("a", { href: URL.createObjectURL(file), download: "votes-not-taken.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
