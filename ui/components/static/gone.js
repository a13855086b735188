// Pictures that do not come, because their file is gone or the studio is away, say so in their own place.
const WORDS = "This picture did not come: its file may be gone.";

export function tellMissingPictures() {
  // Neither event bubbles, so both are caught on their way down.
  addEventListener("error", ({ target }) => missing(target), true);
  addEventListener("load", ({ target }) => found(target), true);
}

function missing(image) {
  if (image.tagName !== "IMG" || image.classList.contains("u-gone")) return;
  image.dataset.alt = image.alt;
  image.alt = `${WORDS} ${image.alt}`;
  image.classList.add("u-gone");
}

/** An element that showed nothing may be given another address, and then shows that. */
function found(image) {
  if (image.tagName !== "IMG" || !image.classList.contains("u-gone")) return;
  image.alt = image.dataset.alt;
  image.classList.remove("u-gone");
}
