// Comfort only: every page works without it. Keys, and marks that are saved as soon as they change.
"use strict";

const typing = (element) => element.matches("input, select, textarea, [contenteditable]");

// -- keys -----------------------------------------------------------------------------------------

const follow = (selector) => document.querySelector(selector)?.click();

function toCriterion(step) {
  const lost = [...document.querySelectorAll(".criterion.lost")];
  const focused = lost.findIndex((one) => one.contains(document.activeElement));
  let next = focused + step;
  if (focused < 0) {
    const below = lost.findIndex((one) => one.getBoundingClientRect().top > 1);
    next = step > 0 ? below : (below < 0 ? lost.length : below) - 1;
  }
  if (lost[next]) {
    lost[next].focus({ preventScroll: true });
    lost[next].scrollIntoView({ block: "start" });
  }
}

const keys = {
  n: () => follow("a[rel=next]"),
  p: () => follow("a[rel=prev]"),
  u: () => follow("a[data-list]"),
  j: () => toCriterion(1),
  k: () => toCriterion(-1),
  "/": () => document.getElementById("text")?.focus(),
};

document.addEventListener("keydown", (event) => {
  const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.isComposing);
  if (plain && !typing(event.target) && keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});

// -- saving ---------------------------------------------------------------------------------------

// One request of a form at a time: the next must carry the version that the last one has made.
async function save(form) {
  if (form.dataset.busy) {
    form.dataset.again = "yes";
    return;
  }
  form.dataset.busy = "yes";
  const status = form.querySelector("output");
  status.textContent = "Saving …";
  status.classList.remove("fresh");
  const answer = await send(form);
  delete form.dataset.busy;
  if (!answer) {
    status.textContent = "Not saved: archprep does not answer. What you wrote is still here.";
  } else if (answer.ok) {
    const saved = await answer.json();
    form.elements.version.value = saved.version;
    status.textContent = saved.said;
    status.classList.add("fresh");
    if (form.dataset.again) {
      delete form.dataset.again;
      save(form);
    }
  } else {
    form.submit(); // the page that comes says what is wrong, with all that was typed
  }
}

async function send(form) {
  const headers = { "X-Requested-With": "archprep" };
  const body = new URLSearchParams(new FormData(form));
  try {
    return await fetch(form.action, { method: "POST", body, headers });
  } catch {
    return null;
  }
}

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => save(form));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save(form);
  });
}

// -- a link may lead into something folded --------------------------------------------------------

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) {
    box.open = true;
  }
  target?.scrollIntoView();
}

addEventListener("hashchange", unfold);
if (location.hash) unfold();
