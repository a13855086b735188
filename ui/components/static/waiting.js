// Why a queued run has not begun: nobody is there to work, or all who are have other runs in hand.
import { get } from "./api.js";
import { h, show } from "./dom.js";
import { plural } from "./format.js";

const LOOK_MS = 5000;

/** An element that says what a queued run waits for, and looks again until it is taken off the page. */
export function waitingNote(run) {
  const root = h("div", { role: "status", "aria-label": "What it waits for" });
  const look = async () => {
    const lists = await Promise.all([get("/workers"), get("/runs?status=queued&limit=100")]).catch(() => null);
    if (!root.isConnected) return;
    // What fails here is asked again in a moment; what is shown stays true as of then.
    if (lists) show(root, words(run, ...lists.map((page) => page.data)));
    setTimeout(look, LOOK_MS);
  };
  look();
  return root;
}

function words(run, workers, queued) {
  if (!workers.length) {
    const cure = h("p", {}, "It stays queued and begins by itself. Start a worker with ", h("code", {}, "unmask up"), "; if the studio runs already, its terminal says why the worker ended.");
    return h("div", { class: "u-note u-warning" }, h("strong", {}, "No worker has been heard from"), cure);
  }
  const ahead = queued.filter((each) => each.id !== run.id && each.created_at < run.created_at).length;
  const others = workers.map((worker) => worker.run_id).filter((id) => id && id !== run.id);
  if (others.length < workers.length) return null;
  const links = others.flatMap((id, place) => [place ? ", " : "", h("a", { class: "u-link", href: `/run?id=${id}` }, id.slice(-8))]);
  const behind = ahead ? ` ${plural(ahead, "queued run")} ${ahead === 1 ? "is" : "are"} before this one.` : "";
  return h("p", { class: "u-small u-muted" }, workers.length === 1 ? "The worker has another run in hand: " : "All workers have other runs in hand: ", ...links, `.${behind} A paused run makes room.`);
}
