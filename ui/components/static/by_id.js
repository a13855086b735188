// A page that stands for one thing, named by its address: which one, when it is named; what to do, when it is not.
import { empty, failure, h, query, show } from "./dom.js";

/** Opens the thing that `?id=` names. `missing` says what to do without it: question, hint, and a link. */
export async function openById(root, missing, open, id = query("id")) {
  if (!id) {
    const link = h("a", { class: "u-btn u-main", href: missing.href }, missing.link);
    return show(root, empty(missing.question, missing.hint, link));
  }
  try {
    await open(encodeURIComponent(id));
  } catch (error) {
    show(
      root,
      failure(error, () => openById(root, missing, open, id)),
    );
  }
}

export const ALL_RUNS = { href: "/runs", link: "All runs" };
