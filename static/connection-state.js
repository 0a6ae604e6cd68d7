/*
 * The state of a page's connection, always visible in the page's header: connecting, connected,
 * lost or refused with the seconds until the next attempt, or ended. All pages of wampush and of
 * its examples use this script. It expects:
 *
 *   <p class="state" id="state" role="status">Connecting…</p>
 *   <p class="reason" id="reason" role="status" hidden></p>
 *
 * Elements with the attribute data-needs-connection are disabled while there is no connection.
 */
"use strict";

const connectionState = (() => {
  const line = document.getElementById("state");
  const reasonLine = document.getElementById("reason");
  let timer = null;
  let wasConnected = false;
  let current = null; // identifies the latest state, for answers that arrive later

  const show = (state, text, reason = "") => {
    clearInterval(timer);
    current = {};
    line.dataset.state = state;
    line.textContent = text;
    reasonLine.textContent = reason;
    reasonLine.hidden = reason === "";
    document.querySelectorAll("[data-needs-connection]").forEach((element) => {
      element.disabled = state !== "connected";
    });
  };

  /** Append the seconds until a time; screen readers announce the text before them only. */
  const countDown = (until) => {
    const seconds = document.createElement("span");
    seconds.setAttribute("aria-hidden", "true");
    const tick = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left > 0) {
        seconds.textContent = ` in ${left} s`;
      } else {
        connecting();
      }
    };
    line.append(seconds);
    timer = setInterval(tick, 250);
    tick();
  };

  const connecting = () => show("connecting", "Connecting…");

  const connected = (text = "Connected") => {
    wasConnected = true;
    show("connected", text);
  };

  /**
   * Show that another attempt follows, and why the last one failed if the server gives a reason.
   *
   * Browsers hide the response to a refused handshake from the page, so another address is asked.
   * @param {number} milliseconds until the next attempt
   * @param {?string} refusalAddress serves {"refusal": {"sentence": …}}, or null in place of the
   *   object; null if the connection was lost, not refused
   */
  const waiting = async (milliseconds, refusalAddress) => {
    const until = Date.now() + milliseconds;
    show("lost", wasConnected ? "Connection lost – reconnecting" : "Server not reachable – retrying");
    countDown(until);
    const shown = current;
    const reason = refusalAddress === null ? "" : await askWhy(refusalAddress);
    if (reason !== "" && shown === current && until > Date.now()) {
      show("refused", "Refused – retrying", reason);
      countDown(until);
    }
  };

  /** Show that no attempt follows by itself; the button calls `again`. */
  const ended = (reason, again) => {
    show("ended", "Closed by the server", reason);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Connect again";
    button.addEventListener("click", again);
    reasonLine.append(button);
    reasonLine.hidden = false;
  };

  const askWhy = async (address) => {
    try {
      const answer = await fetch(address, { cache: "no-store" });
      return (await answer.json()).refusal?.sentence ?? "";
    } catch {
      return ""; // That server is away, too.
    }
  };

  return { connecting, connected, waiting, ended };
})();
