// What the page does by itself: follows jobs, keeps lists current, and tells times. Everything else works without it.
"use strict";

(() => {
  const units = [[86400 * 2, 86400, " days"], [3600, 3600, " h"], [60, 60, " min"], [5, 1, " s"]];

  // Times are the service's: where the reader's clock is wrong, they are told by how much the two differ.
  const skew = Date.now() - Date.parse(document.body.dataset.now);
  const now = () => Date.now() - (Math.abs(skew) > 5000 ? skew : 0);

  // In the words of views.ago.
  function ago(moment) {
    const seconds = (now() - moment.getTime()) / 1000;
    for (const [from, size, unit] of units) {
      if (Math.abs(seconds) >= from) {
        const text = Math.floor(Math.abs(seconds) / size) + unit;
        return seconds > 0 ? text + " ago" : "in " + text;
      }
    }
    return "just now";
  }

  function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tellTimes() {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      setText(element, ago(new Date(element.dateTime)));
    }
    for (const element of document.querySelectorAll("[data-since]")) {
      const seconds = Math.max(0, (now() - new Date(element.dataset.since).getTime()) / 1000);
      setText(element, seconds.toFixed(0) + " s");
    }
  }

  // Puts what the server rendered in the place of what is shown, where it differs; focus and scroll stay.
  function take(html) {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const incoming of fresh.querySelectorAll("[data-live]")) {
      const shown = document.getElementById(incoming.id);
      if (!shown || shown.dataset.source === incoming.outerHTML) continue;
      const source = incoming.outerHTML;
      const focused = shown.contains(document.activeElement) ? document.activeElement.id : "";
      const opened = [...shown.querySelectorAll("details[open][id]")].map((one) => one.id);
      const atEnd = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
      const top = shown.scrollTop;
      incoming.dataset.source = source;
      shown.replaceWith(incoming);
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
      if (incoming.hasAttribute("data-tail")) incoming.scrollTop = atEnd ? incoming.scrollHeight : top;
      if (focused) (document.getElementById(focused) ?? document.getElementById("main"))?.focus({ preventScroll: true });
    }
    for (const incoming of fresh.querySelectorAll("[data-live-text]")) {
      const shown = document.getElementById(incoming.id);
      if (shown) setText(shown, incoming.textContent);
    }
    // Once: whoever closes it again has seen it.
    for (const { dataset } of fresh.querySelectorAll("[data-open]")) {
      const box = document.getElementById(dataset.open);
      if (box && !box.dataset.opened) box.open = box.dataset.opened = true;
    }
    const title = fresh.querySelector("title");
    if (title && title.textContent) document.title = title.textContent;
    tellTimes();
    return fresh;
  }

  const address = () => location.pathname + location.search;
  const stale = document.getElementById("stale");
  const PATIENCE = 10000;
  let current = Date.now();

  // What is shown as it is now must not be what was: after three questions without an answer the page says so.
  function answered(yes) {
    if (yes) current = Date.now();
    const old = Date.now() - current > 5000;
    if (stale && stale.hidden === old) stale.hidden = !old;
  }

  async function part() {
    try {
      const answer = await fetch(address(), {
        headers: { "X-Tenantry-Part": "1" },
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.status === 401) location.reload();
      answered(answer.ok);
      return answer.ok ? take(await answer.text()) : null;
    } catch {
      answered(false); // the network is away for a moment: the next event or the next tick asks again
      return null;
    }
  }

  function followJob(box) {
    if (!box || box.hasAttribute("data-ended")) return;
    let waiting = false;
    let asking = false;
    let more = false;
    let last = 0;
    let ended = false;
    let source = null;

    // Each event asks for the page's parts, but never more often than this: callers have a limit of requests.
    function load() {
      more = asking; // what comes while an answer is on its way may not be in it
      if (waiting || asking || ended) return;
      waiting = true;
      setTimeout(ask, Math.max(0, last + 400 - Date.now()));
    }

    async function ask() {
      waiting = false;
      asking = true;
      last = Date.now();
      const fresh = await part();
      asking = false;
      if (fresh?.querySelector("[data-job][data-ended]")) {
        ended = true;
        listen();
      } else if (more) {
        load();
      }
    }

    // Browsers have six connections to a server, and each listener holds one: pages that nobody looks at let go.
    function listen() {
      const wanted = !ended && !document.hidden && window.EventSource;
      if (!wanted) {
        source?.close();
        source = null;
      } else if (!source || source.readyState === EventSource.CLOSED) {
        source = new EventSource(box.dataset.events);
        for (const kind of ["message", "job", "step", "progress", "log", "end"]) source.addEventListener(kind, load);
        load();
      }
    }

    listen();
    document.addEventListener("visibilitychange", listen);
    addEventListener("pagehide", () => source?.close());
    addEventListener("pageshow", listen);
    // Whatever becomes of the events, what is shown is not older than two seconds: this, and the time that asking takes.
    const clock = setInterval(() => (ended ? clearInterval(clock) : load()), 1500);
  }

  function keepCurrent(box) {
    let asking = false;
    const clock = setInterval(async () => {
      const entering = box.contains(document.querySelector(":focus-visible:not(a):not(button):not(summary):not(pre)"));
      const marked = getSelection();
      const copying = marked && !marked.isCollapsed && box.contains(marked.anchorNode);
      if (document.hidden || asking || entering || copying) return;
      asking = true;
      const fresh = await part();
      asking = false;
      if (fresh?.querySelector("[data-settled]")) clearInterval(clock);
    }, Number(box.dataset.poll));
  }

  function signInFromLink(form) {
    const match = /^#token=([A-Za-z0-9._~+/=-]+)$/.exec(location.hash);
    if (!form || !match) return;
    history.replaceState(null, "", location.pathname + location.search);
    form.elements.token.value = match[1];
    form.requestSubmit();
  }

  // A form is sent once, however often its button is pressed.
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  // A link from the summary of errors to a field in a closed section opens it.
  addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#f-"]');
    if (!link) return;
    const field = document.getElementById(link.hash.slice(1));
    if (!field) return;
    for (let at = field; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    event.preventDefault();
    (field.matches("input, select, textarea") ? field : field.querySelector("input, select, textarea"))?.focus();
    field.scrollIntoView({ block: "center" });
  });

  document.querySelector("[data-focus]")?.focus();
  signInFromLink(document.getElementById("sign-in"));
  followJob(document.querySelector("[data-job]"));
  for (const box of document.querySelectorAll("[data-poll]")) keepCurrent(box);
  const log = document.querySelector("[data-tail]");
  if (log) log.scrollTop = log.scrollHeight;
  tellTimes();
  setInterval(tellTimes, 1000);
})();
