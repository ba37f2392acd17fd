// Renews the live parts of a page in place, so that a reader keeps place, focus, selection and open tables.
// Without script the page reloads as a whole (<noscript> in its head).
"use strict";
const seconds = Number(document.body.dataset.refreshSeconds);
const key = (element, place) => `${place}:${element.querySelector("summary")?.textContent}`;

function isBusy() {
  const active = document.activeElement;
  const inForm = active !== null && active.closest("form") !== null;
  return document.hidden || inForm || String(document.getSelection()) !== "";
}

async function renew() {
  if (isBusy()) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.getAttribute?.("href");
  const open = new Set([...document.querySelectorAll("details")].map((d, i) => (d.open ? key(d, i) : "")));
  const scrolled = [...document.querySelectorAll(".scroller")].map((s) => [s.scrollLeft, s.scrollTop]);
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
    if (fresh) old.replaceChildren(...fresh.childNodes);
  }
  document.querySelectorAll("details").forEach((d, i) => { d.open = open.has(key(d, i)); });
  document.querySelectorAll(".scroller").forEach((s, i) => { if (scrolled[i]) [s.scrollLeft, s.scrollTop] = scrolled[i]; });
  if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  document.title = page.title;
}

if (seconds > 0) setInterval(() => { renew().catch(() => {}); }, seconds * 1000);
