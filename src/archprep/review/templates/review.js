// Keyboard shortcuts and automatic saving. All pages work without this script.
"use strict";

const typing = (element) => element.matches("input, select, textarea, [contenteditable]");

// -- keyboard shortcuts --------------------------------------------------------------------------

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

// -- saving --------------------------------------------------------------------------------------

const MAX_KEEPALIVE = 60_000; // bytes; browsers accept 64 KiB
const marks = [...document.querySelectorAll("form.mark")];
const saving = new Set();
let isRejected = false; // a page with the reason is loading

const PAUSE = 1500; // milliseconds without typing before a form is saved

// `tone` is "", "fresh" after saving, or "trouble".
function showStatus(form, text, tone = "") {
  const status = form.querySelector("output");
  if (status) {
    status.textContent = text;
    status.className = tone;
  }
}

// One request per form at a time: the next one needs the version that this one creates.
function save(form, submitter) {
  if (form.dataset.busy) {
    form.dataset.again = "yes";
    return;
  }
  const done = saveNow(form, submitter).finally(() => saving.delete(done));
  saving.add(done);
}

async function saveNow(form, submitter) {
  form.dataset.busy = "yes";
  delete form.dataset.unsaved;
  showStatus(form, "Saving…");
  const answer = await send(form, submitter);
  delete form.dataset.busy;
  const again = form.dataset.again;
  delete form.dataset.again;
  if (answer.saved) {
    form.elements.version.value = answer.saved.version;
    showStatus(form, answer.saved.message, "fresh");
    if (again) await saveNow(form);
    else if (form.matches("[data-stay]")) location.reload(); // to update the scores
  } else if (answer.rejected) {
    isRejected = true;
    delete form.dataset.unsaved;
    addSubmitter(form, submitter);
    form.submit(); // the next page has the reason and everything that was typed
  } else {
    form.dataset.unsaved = "yes";
    showStatus(form, `Not saved: ${answer.trouble} Your text is still here.`, "trouble");
  }
}

// form.submit() does not send the button that was clicked.
function addSubmitter(form, submitter) {
  if (!submitter?.name) return;
  const input = document.createElement("input");
  Object.assign(input, { type: "hidden", name: submitter.name, value: submitter.value });
  form.append(input);
}

// Resolves to `saved`, `rejected` (a page explains why) or `trouble`.
async function send(form, submitter) {
  const headers = {
    "Content-Type": "application/x-www-form-urlencoded",
    "X-Requested-With": "archprep",
  };
  const body = new URLSearchParams(new FormData(form, submitter)).toString();
  const keepalive = body.length < MAX_KEEPALIVE;
  try {
    const answer = await fetch(form.action, { method: "POST", body, keepalive, headers });
    if (answer.ok) return { saved: await answer.json() };
    if ([409, 422].includes(answer.status)) return { rejected: true };
    const plain = answer.headers.get("Content-Type")?.startsWith("text/plain");
    return { trouble: plain ? await answer.text() : `the server answered with error ${answer.status}.` };
  } catch {
    return { trouble: "the server does not respond." };
  }
}

for (const form of marks) {
  let pause;
  form.addEventListener("input", () => {
    form.dataset.unsaved = "yes";
    showStatus(form, "Not saved yet");
    clearTimeout(pause);
    if (form.matches("[data-auto]")) pause = setTimeout(saveAll, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    if (!form.matches("[data-auto], [data-stay]")) return; // this one redirects to the candidate
    event.preventDefault();
    save(form, event.submitter);
  });
  if (form.matches("[data-auto]")) form.addEventListener("change", () => save(form));
}

// -- leaving the page ----------------------------------------------------------------------------

const unsaved = () => marks.some((form) => form.dataset.unsaved || form.dataset.busy);

function saveAll() {
  for (const form of marks) {
    if (form.dataset.unsaved && form.matches("[data-auto]")) save(form);
  }
}

// Delay navigation until saving is done, because it may be rejected.
function delay(event, navigate) {
  if (!saving.size || event.defaultPrevented) return;
  event.preventDefault();
  Promise.all(saving).then(() => isRejected || unsaved() || navigate());
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([href^='#'])");
  const here = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (link && here) delay(event, () => link.click());
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  delay(event, () => form.requestSubmit(event.submitter));
  if (!event.defaultPrevented) delete form.dataset.unsaved;
});

document.addEventListener("visibilitychange", saveAll); // a phone may close the page without further events
addEventListener("beforeunload", (event) => {
  if (!unsaved()) return;
  saveAll();
  event.preventDefault();
});

// A page from the back/forward cache may be outdated.
addEventListener("pageshow", (event) => {
  if (event.persisted && !unsaved()) location.reload();
});

// -- the list during grading ---------------------------------------------------------------------

// Reloading would lose typed text and selected boxes.
if (document.body.matches(".being-graded")) {
  let touched = false;
  addEventListener("input", () => { touched = true; });
  setInterval(() => touched || location.reload(), 5000);
}

// -- links into closed details -------------------------------------------------------------------

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let box = target?.closest("details"); box; box = box.parentElement.closest("details")) {
    box.open = true;
  }
  target?.scrollIntoView();
}

addEventListener("hashchange", unfold);
if (location.hash) unfold();
