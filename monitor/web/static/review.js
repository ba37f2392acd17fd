// Answers by key: a digit presses its button, a letter goes to its field or opens its link, Escape leaves a field.
// Without script the buttons and fields are there all the same.
"use strict";
const form = document.querySelector("form[data-keys]");

document.addEventListener("keydown", (event) => {
  const active = document.activeElement;
  const inField = active instanceof HTMLInputElement || active instanceof HTMLSelectElement;
  if (event.key === "Escape" && inField) {
    active.blur();
    return;
  }
  if (inField || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const target = document.querySelector(`.review [data-key="${CSS.escape(event.key)}"]`);
  if (target === null) return;
  event.preventDefault();
  if (target instanceof HTMLInputElement) target.focus();
  else target.click();
});

// Two presses in a row answer once: the second would be for an item that nobody has seen.
form?.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
