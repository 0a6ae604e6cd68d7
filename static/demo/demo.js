/*
 * The demo page. It implements WAMP v1 without a library, so this file shows everything a page needs;
 * connection-state.js shows the state of the connection:
 * [0, session, 1, server] WELCOME comes first; [5, topic] subscribes, [6, topic] unsubscribes;
 * [8, topic, event] is a push. Received data is inserted as text, never as markup.
 */
"use strict";

(() => {
  const WELCOME = 0;
  const SUBSCRIBE = 5;
  const UNSUBSCRIBE = 6;
  const EVENT = 8;
  const LOG_LENGTH = 20;
  const SPARK_LENGTH = 60;
  const SHOWN_CHARACTERS = 2000;
  const FIRST_DELAY = 500; // milliseconds; doubled up to LAST_DELAY, with jitter
  const LAST_DELAY = 10000;
  const USUAL_PUSH = "tcp://127.0.0.1:5555"; // the default of "wampush push"

  const byId = (id) => document.getElementById(id);

  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) {
      made.textContent = text;
    }
    return made;
  };

  /** A WAMP v1 connection that reconnects and subscribes again. */
  class Connection {
    constructor(onSettings) {
      this.onSettings = onSettings;
      this.listeners = new Map();
      this.socket = null;
      this.open = false;
      this.url = null;
      this.delay = FIRST_DELAY;
      this.timer = null;
    }

    subscribe(topic, listener) {
      this.listeners.set(topic, listener);
      this.send([SUBSCRIBE, topic]);
    }

    unsubscribe(topic) {
      if (this.listeners.delete(topic)) {
        this.send([UNSUBSCRIBE, topic]);
      }
    }

    send(message) {
      if (this.open) {
        this.socket.send(JSON.stringify(message));
      }
    }

    async connect() {
      clearTimeout(this.timer);
      this.timer = null;
      connectionState.connecting();
      try {
        const answer = await fetch("settings.json", { cache: "no-store" });
        if (!answer.ok) {
          throw new Error(`settings.json: ${answer.status}`);
        }
        const settings = await answer.json();
        this.onSettings(settings);
        this.url = settings.websocket;
        this.socket = new WebSocket(this.url, "wamp");
      } catch (error) {
        console.warn("wampush demo:", error.message);
        this.retry(null);
        return;
      }
      this.socket.onmessage = (message) => this.receive(message.data);
      this.socket.onclose = (close) => this.lost(close);
    }

    /** Connect now instead of waiting, for example because the network is back. */
    hurry() {
      if (this.timer !== null) {
        this.connect();
      }
    }

    lost(close) {
      const wasOpen = this.open;
      this.open = false;
      this.socket = null;
      if (close.wasClean) {
        const reason = close.reason || `The server ended the connection with code ${close.code}.`;
        connectionState.ended(reason, () => this.connect());
      } else {
        this.retry(wasOpen ? null : "refusal.json");
      }
    }

    /** Try again later; `refusalAddress` serves the reason if the server refused the handshake. */
    retry(refusalAddress) {
      const wait = this.delay * (0.75 + Math.random() / 2);
      this.delay = Math.min(this.delay * 2, LAST_DELAY);
      connectionState.waiting(wait, refusalAddress);
      this.timer = setTimeout(() => this.connect(), wait);
    }

    receive(text) {
      const message = JSON.parse(text);
      if (message[0] === WELCOME) {
        this.open = true;
        this.delay = FIRST_DELAY;
        connectionState.connected(`Connected to ${this.url}`);
        this.listeners.forEach((_, topic) => this.send([SUBSCRIBE, topic]));
      } else if (message[0] === EVENT) {
        const listener = this.listeners.get(message[1]);
        if (listener !== undefined) {
          listener(message[2], message[1]);
        }
      }
    }
  }

  const clock = new Intl.DateTimeFormat(undefined, {
    hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 2, hour12: false,
  });

  const shown = (event) => {
    const text = JSON.stringify(event);
    return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
  };

  /** Return a function that adds a value to a line chart; `least` and `most` fix the scale if given. */
  const sparkline = (line, least, most) => {
    const values = [];
    return (value) => {
      values.push(value);
      values.splice(0, values.length - SPARK_LENGTH);
      const low = least ?? Math.min(...values);
      const high = most ?? Math.max(...values);
      const step = 100 / (SPARK_LENGTH - 1);
      const start = SPARK_LENGTH - values.length;
      line.setAttribute("points", values.map((each, index) => {
        const share = high > low ? (each - low) / (high - low) : 0.5;
        return `${((start + index) * step).toFixed(2)},${(27 - share * 24).toFixed(2)}`;
      }).join(" "));
    };
  };

  const priceFormat = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: 2, maximumFractionDigits: 2,
  });
  const changeFormat = new Intl.NumberFormat(undefined, {
    minimumFractionDigits: 2, maximumFractionDigits: 2, signDisplay: "never",
  });

  const drawPrice = sparkline(byId("price-spark"));
  const showPrice = (event) => {
    if (!Number.isFinite(event?.price)) {
      return;
    }
    byId("price-title").textContent = typeof event.symbol === "string" ? event.symbol : "Price";
    byId("price-value").textContent = priceFormat.format(event.price);
    const change = Number.isFinite(event.change) ? event.change : 0;
    const way = change > 0 ? "up" : change < 0 ? "down" : "none";
    const words = { up: "▲ up", down: "▼ down", none: "unchanged" };
    const delta = byId("price-delta");
    delta.dataset.way = way;
    delta.textContent = way === "none" ? words.none : `${words[way]} ${changeFormat.format(change)}`;
    drawPrice(event.price);
  };

  const drawLoad = sparkline(byId("load-spark"), 0, 1);
  const showLoad = (event) => {
    if (!Number.isFinite(event?.value)) {
      return;
    }
    const share = Math.min(1, Math.max(0, event.value));
    const percent = Math.round(share * 100);
    byId("load-value").replaceChildren(String(percent), element("small", "%"));
    const meter = byId("load-meter");
    meter.setAttribute("aria-valuenow", String(percent));
    meter.dataset.level = share >= 0.85 ? "high" : "normal";
    meter.firstElementChild.style.setProperty("--share", String(share));
    drawLoad(share);
  };

  const log = byId("log");
  let paused = false;
  let received = 0;
  const record = (event, topic) => {
    received += 1;
    byId("log-count").textContent = `${received} received`;
    if (paused) {
      return;
    }
    const row = element("li");
    row.append(element("time", clock.format(new Date())), element("b", topic), element("code", shown(event)));
    log.prepend(row);
    while (log.childElementCount > LOG_LENGTH) {
      log.lastElementChild.remove();
    }
  };

  byId("log-pause").addEventListener("click", (click) => {
    paused = !paused;
    click.target.textContent = paused ? "Continue" : "Pause";
    click.target.setAttribute("aria-pressed", String(paused));
  });

  const examples = Array.from(document.querySelectorAll("#examples code"));
  const lines = examples.map((example) => example.textContent);

  /** Add the server's pull address to the commands if it is not the default. */
  const showPushAddress = (address) => {
    let option = "";
    if (address && address !== USUAL_PUSH) {
      const plain = /^[\w@%+=:,./-]+$/.test(address);
      option = ` --to ${plain ? address : `'${address.replaceAll("'", "'\\''")}'`}`;
    }
    examples.forEach((example, index) => {
      example.textContent = lines[index] + option;
    });
  };

  const connection = new Connection((settings) => showPushAddress(settings.push));

  const own = new Map([["demo.price", showPrice], ["demo.load", showLoad]]);
  const watched = new Map(); // topics the visitor subscribed to; they may include our own two

  /** Show a topic the visitor subscribed to: its name, the number of events, the latest event. */
  const addTopic = (topic) => {
    const row = element("li");
    const head = element("div");
    const count = element("small", "no events yet");
    const remove = element("button", "Unsubscribe");
    remove.type = "button";
    remove.setAttribute("aria-label", `Unsubscribe from ${topic}`);
    head.append(element("strong", topic), " ", count);
    const latest = element("code");
    row.append(head, remove, latest);
    byId("topics").prepend(row);

    let events = 0;
    const listener = (event) => {
      events += 1;
      count.textContent = events === 1 ? "1 event" : `${events} events`;
      latest.textContent = shown(event);
    };
    watched.set(topic, listener);
    byId("subscribed").textContent = `Subscribed to ${topic}`;
    if (!own.has(topic)) {
      connection.subscribe(topic, listener);
    }
    remove.addEventListener("click", () => {
      watched.delete(topic);
      if (!own.has(topic)) {
        connection.unsubscribe(topic);
      }
      row.remove();
      byId("subscribed").textContent = `Unsubscribed from ${topic}`;
      byId("topic").focus();
    });
  };

  own.forEach((show, topic) => {
    connection.subscribe(topic, (event) => {
      show(event);
      record(event, topic);
      watched.get(topic)?.(event);
    });
  });

  byId("subscribe").addEventListener("submit", (submit) => {
    submit.preventDefault();
    const box = byId("topic");
    const topic = box.value.trim();
    if (topic !== "" && !watched.has(topic)) {
      addTopic(topic);
    }
    box.value = "";
  });

  byId("examples").addEventListener("click", async (click) => {
    const button = click.target.closest("button");
    if (button === null) {
      return;
    }
    const line = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(line.textContent);
      button.textContent = "Copied";
      byId("copied").textContent = "Copied";
    } catch {
      // Browsers block the clipboard for pages loaded over plain HTTP from another machine.
      getSelection().selectAllChildren(line);
      button.textContent = "Selected";
      byId("copied").textContent = "Selected; copy it with the keyboard";
    }
    setTimeout(() => {
      button.textContent = "Copy";
      byId("copied").textContent = "";
    }, 2000);
  });

  addEventListener("online", () => connection.hurry());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      connection.hurry();
    }
  });
  connection.connect();
})();
