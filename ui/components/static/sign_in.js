// The sign-in page: the token goes to the API once, which gives the browser a session; then the page that was wanted.
import { get, post } from "./api.js";

/** Where to go on: the `next` of the address where it is a place of this studio, else the first page. */
function wanted() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  let place = null;
  try {
    // Read as the browser will read it: `//evil`, `/\evil` and a tab between the slashes are other hosts.
    place = new URL(next, location.origin);
  } catch {
    /* No address at all. */
  }
  const isHere = next.startsWith("/") && place?.origin === location.origin && place.pathname !== location.pathname;
  if (!isHere) return `${location.origin}/`;
  // The server never sees what stands behind the #; browsers bring it along.
  place.hash ||= location.hash;
  // Whole: a path alone that begins with two slashes would name a host.
  return place.href;
}

const form = document.querySelector(".u-sign-in form");
const field = form.querySelector("input"),
  button = form.querySelector("button"),
  refusal = form.querySelector("#refusal");

function refuse(text) {
  refusal.textContent = text;
  field.toggleAttribute("aria-invalid", text !== "");
}

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`.replace("..", ".");

async function signIn(event) {
  event.preventDefault();
  if (button.dataset.busy) return;
  button.dataset.busy = "1";
  button.textContent = "Signing in …";
  refuse("");
  try {
    // Pasted texts like to bring a space or a line's end along.
    await post("/session", { token: field.value.trim() });
    location.replace(wanted());
  } catch (error) {
    // What the token is stands below the button already.
    refuse(error.status === 401 ? "This is not the access token of this studio." : sentence(error.message));
    field.select();
    field.focus();
    button.textContent = "Sign in";
    delete button.dataset.busy;
  }
}

const theme = localStorage.getItem("unmask-theme");
if (theme) document.documentElement.dataset.theme = theme;
field.addEventListener("input", () => refuse(""));
form.addEventListener("submit", signIn);
button.disabled = false;
document.querySelector(".u-sign-in").removeAttribute("aria-busy");
// Somebody who is in already, or a studio that asks for nothing: there is nothing to type.
get("/session").then(
  ({ is_required: isRequired, is_signed_in: isSignedIn }) => (!isRequired || isSignedIn) && location.replace(wanted()),
  (error) => refuse(sentence(error.message)),
);
