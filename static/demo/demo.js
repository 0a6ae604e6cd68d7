/*
 * The demo page. wampush.js and wampush-modern.js keep it connected; connection-state.js shows the
 * state of the connection. Received data is inserted as text, never as markup.
 */
"use strict";

(() => {
  const LOG_LENGTH = 20;
  const SPARK_LENGTH = 60;
  const SHOWN_CHARACTERS = 2000;
  const LONGEST_DELAY = 10000; // milliseconds
  const USUAL_PUSH = "tcp://127.0.0.1:5555"; // the default of "wampush push"

  const byId = (id) => document.getElementById(id);

  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) {
      made.textContent = text;
    }
    return made;
  };

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

  let address = "";

  /** The address of the WebSocket, asked before each attempt, because the server may have another. */
  const askAddress = async () => {
    const answer = await fetch("settings.json", { cache: "no-store" });
    if (!answer.ok) {
      throw new Error(`settings.json: ${answer.status}`);
    }
    const settings = await answer.json();
    showPushAddress(settings.push);
    address = settings.websocket;
    return address;
  };

  connectionState.connecting();
  const client = new Wampush(askAddress, { longest: LONGEST_DELAY });

  client.onConnectionChange((state, end) => {
    if (state === "connecting") {
      connectionState.connecting();
    } else if (state === "open") {
      connectionState.connected(`Connected to ${address}`);
    } else if (state === "waiting") {
      // If the server refused the handshake, it says why.
      connectionState.waiting(end.delay, end.wasOpen ? null : "refusal.json");
    } else {
      const reason = end.reason || `The server ended the connection with code ${end.code}.`;
      connectionState.ended(reason, () => client.open());
    }
  });

  const own = [["demo.price", showPrice], ["demo.load", showLoad]];
  const watched = new Set(); // topics the visitor subscribed to; they may include our own two

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
    const stop = client.onMessage(topic, listener);
    watched.add(topic);
    byId("subscribed").textContent = `Subscribed to ${topic}`;
    remove.addEventListener("click", () => {
      watched.delete(topic);
      stop();
      row.remove();
      byId("subscribed").textContent = `Unsubscribed from ${topic}`;
      byId("topic").focus();
    });
  };

  own.forEach(([topic, show]) => {
    client.onMessage(topic, (event) => {
      show(event);
      record(event, topic);
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
})();
