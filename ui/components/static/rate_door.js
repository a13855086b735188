// The one way from a rater's page to the studio: requests under the token of the link, and pictures decoded.
import { request } from "./api.js";
import { h } from "./dom.js";

const LIMIT_MS = 15000,
  LONGEST_REASON = 120,
  GONE = 410;

export class Door {
  /** `kept` has pictures of an earlier look at the same pairs; they never change. */
  constructor(token, kept) {
    Object.assign(this, { token, kept });
  }

  async call(method, path, body, headers = {}) {
    const options = AbortSignal.timeout ? { signal: AbortSignal.timeout(LIMIT_MS) } : {};
    const answer = await request(method, path, body, { Authorization: `Bearer ${this.token}`, ...headers }, options);
    // The page of a hotel's network, say, which answers in the studio's place and takes no vote.
    if (typeof answer.data !== "object") throw Object.assign(new Error("the studio did not answer"), { status: 0 });
    return answer;
  }

  /** Sends what was done: any number of times is once, for each has an id of its own. */
  send({ kind, id, body }) {
    if (kind === "vote") return this.call("PUT", `/rating/votes/${id}`, body);
    if (kind === "undo") return this.call("DELETE", `/rating/votes/${id}`);
    return this.call("POST", "/rating/flags", body, { "Idempotency-Key": id });
  }

  /** Tells the task's owner, as a flag on the pair, that a vote was not taken. Nothing depends on it. */
  tell({ id, pair_id }, { status, message }) {
    const reason = `A vote was not accepted (${status}): ${message}`.slice(0, LONGEST_REASON);
    this.send({ kind: "flag", id: `refused-${id}`, body: { pair_id, reason } }).catch(() => {});
  }

  /**
   * A decoded picture whose bytes are its `blob`, or words in its place where its file is gone: the pair can still be
   * flagged or skipped.
   */
  async picture(url) {
    const blob = (await this.kept.picture(url)) ?? (await this.fetched(url));
    if (!blob) return missing();
    const image = Object.assign(h("img", { src: URL.createObjectURL(blob), draggable: "false" }), { blob });
    try {
      await image.decode();
    } catch {
      return missing();
    }
    // A small picture is shown as it is, cell by cell; a large one is scaled smoothly.
    image.classList.toggle("small", image.naturalWidth < 256);
    return image;
  }

  async fetched(url) {
    const response = await fetch(url, { headers: { Authorization: `Bearer ${this.token}` } });
    if (response.status === 404 || response.status === GONE) return null;
    if (!response.ok) throw Object.assign(new Error("the picture did not come"), { status: response.status });
    return response.blob();
  }
}

function missing() {
  return h("span", { class: "u-rate-missing", role: "img" }, "This picture is missing: skip the pair, or flag it.");
}
