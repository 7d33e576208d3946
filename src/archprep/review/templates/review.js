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

const KEPT_ALIVE = 60_000; // bytes of a request that may outlive its page; browsers take 64 KiB
const marks = [...document.querySelectorAll("form.mark")];
const saving = new Set();
let isRefused = false; // then a page that says why is coming

const PAUSE = 1500; // milliseconds without a key, after which what was typed is saved

// `tone` is "", "fresh" for what was saved just now, or "trouble".
function say(form, text, tone = "") {
  const status = form.querySelector("output");
  if (status) {
    status.textContent = text;
    status.className = tone;
  }
}

// One request of a form at a time: the next must carry the version that the last one has made.
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
  say(form, "Saving …");
  const answer = await send(form, submitter);
  delete form.dataset.busy;
  const again = form.dataset.again;
  delete form.dataset.again;
  if (answer.saved) {
    form.elements.version.value = answer.saved.version;
    say(form, answer.saved.said, "fresh");
    if (again) await saveNow(form);
    else if (form.matches("[data-stay]")) location.reload(); // the scores have changed
  } else if (answer.refused) {
    isRefused = true;
    delete form.dataset.unsaved;
    keep(form, submitter);
    form.submit(); // the page that comes says what is wrong, with all that was typed
  } else {
    form.dataset.unsaved = "yes";
    say(form, `Not saved: ${answer.trouble} What you wrote is still here.`, "trouble");
  }
}

// A form that is submitted by a script does not say by which button.
function keep(form, submitter) {
  if (!submitter?.name) return;
  const kept = document.createElement("input");
  Object.assign(kept, { type: "hidden", name: submitter.name, value: submitter.value });
  form.append(kept);
}

// What became of a form: `saved`, `refused` by a page that shows it again, or in `trouble`.
async function send(form, submitter) {
  const headers = {
    "Content-Type": "application/x-www-form-urlencoded",
    "X-Requested-With": "archprep",
  };
  const body = new URLSearchParams(new FormData(form, submitter)).toString();
  const keepalive = body.length < KEPT_ALIVE;
  try {
    const answer = await fetch(form.action, { method: "POST", body, keepalive, headers });
    if (answer.ok) return { saved: await answer.json() };
    if ([409, 422].includes(answer.status)) return { refused: true };
    const plain = answer.headers.get("Content-Type")?.startsWith("text/plain");
    return { trouble: plain ? await answer.text() : `archprep says error ${answer.status}.` };
  } catch {
    return { trouble: "archprep does not answer." };
  }
}

for (const form of marks) {
  let pause;
  form.addEventListener("input", () => {
    form.dataset.unsaved = "yes";
    say(form, "Not saved yet");
    clearTimeout(pause);
    if (form.matches("[data-auto]")) pause = setTimeout(saveAll, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    if (!form.matches("[data-auto], [data-stay]")) return; // it leads back to the candidate
    event.preventDefault();
    save(form, event.submitter);
  });
  if (form.matches("[data-auto]")) form.addEventListener("change", () => save(form));
}

// -- leaving --------------------------------------------------------------------------------------

const unsaved = () => marks.some((form) => form.dataset.unsaved || form.dataset.busy);

function saveAll() {
  for (const form of marks) {
    if (form.dataset.unsaved && form.matches("[data-auto]")) save(form);
  }
}

// Whoever goes on while something is being saved waits for that: it may be refused.
function hold(event, goOn) {
  if (!saving.size || event.defaultPrevented) return;
  event.preventDefault();
  Promise.all(saving).then(() => isRefused || unsaved() || goOn());
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]:not([href^='#'])");
  const here = !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (link && here) hold(event, () => link.click());
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  hold(event, () => form.requestSubmit(event.submitter));
  if (!event.defaultPrevented) delete form.dataset.unsaved;
});

document.addEventListener("visibilitychange", saveAll); // a phone may never come back
addEventListener("beforeunload", (event) => {
  if (!unsaved()) return;
  saveAll();
  event.preventDefault();
});

// A page that the browser has kept shows what stood there then.
addEventListener("pageshow", (event) => {
  if (event.persisted && !unsaved()) location.reload();
});

// -- a list that is being graded ------------------------------------------------------------------

// Not while somebody types there or has ticked a box: that would be lost.
if (document.body.matches(".being-graded")) {
  let touched = false;
  addEventListener("input", () => { touched = true; });
  setInterval(() => touched || location.reload(), 5000);
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
