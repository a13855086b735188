// Has a sample's unmasking steps decoded when a replay opens that lacks them, and puts the true pictures into it.
import { get, post } from "./api.js";
import { failure } from "./dom.js";

// A worker that was killed is back within seconds. One that lives, which the studio itself watches, may take minutes
// for its first task on a busy machine.
const PATIENCE_MS = { refused: 20_000, still: 300_000 };
const PAUSES_MS = [150, 150, 300, 500, 1000];

/** Follows the decoding of the sample at `path`; `picture` is the stage that shows its frames. */
export async function decodeInto(path, picture) {
  try {
    await decoded(path, (frames) => picture.say(words(frames)));
    await picture.swap(await get(`${path}/trajectory`));
  } catch (error) {
    error.title = "Not decoded: this is the finished picture, masked cells covered";
    picture.say(failure(error, () => decodeInto(path, picture)));
  }
}

/** Resolves once the frames are decoded; rejects with what stands in the way. */
async function decoded(path, onState) {
  let mustAsk = true,
    refusedAt = null,
    seen = "",
    since = performance.now();
  onState(null);
  for (let round = 0; ; round += 1) {
    try {
      const frames = await (mustAsk ? post : get)(`${path}/frames`);
      if (frames.state === "decoded") return;
      // A run that was resumed has made the sample anew, and knows nothing of who asked before.
      mustAsk = frames.state === "composed";
      refusedAt = null;
      if (seen !== (seen = `${frames.state} ${frames.num_done}`)) {
        since = performance.now();
        onState(frames);
      }
    } catch (error) {
      if (error.status !== 503 && error.status !== 0) throw error;
      refusedAt ??= performance.now();
      if (performance.now() - refusedAt > PATIENCE_MS.refused) throw error;
      mustAsk = true;
    }
    const waited = performance.now() - since;
    if (waited > PATIENCE_MS.still) throw stuck(waited);
    await new Promise((resume) => setTimeout(resume, PAUSES_MS[Math.min(round, PAUSES_MS.length - 1)]));
  }
}

function words(frames) {
  const done = frames?.num_done ? ` ${frames.num_done} of ${frames.num_steps} …` : "";
  return `Decoding each step …${done} Until then: the finished picture, cells that are still masked covered.`;
}

function stuck(waited) {
  return new Error(
    `Nothing has moved for ${Math.round(waited / 1000)} s. The interactive worker may be busy with other requests: ` +
      "its lines in the studio's log say more. The request stands.",
  );
}
