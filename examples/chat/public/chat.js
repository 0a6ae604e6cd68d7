/*
 * A chat over plain WebSocket, without a library. The page sends each message as a text; what it
 * receives are JSON objects, described in wampush/examples/named_chat.py. Received data is inserted
 * as text, never as markup.
 */
"use strict";

const FIRST_DELAY = 500; // milliseconds; doubled up to LAST_DELAY, with jitter
const LAST_DELAY = 10000;
const MOST_LINES = 500;

const byId = (id) => document.getElementById(id);
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

let socket = null;
let name = "";
let ownId = null;
let delay = FIRST_DELAY;

const element = (tag, text) => {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
};

/** Make a time in the reader's language and time zone. */
const timeElement = (milliseconds) => {
  const date = new Date(milliseconds);
  const made = element("time", clock.format(date));
  made.dateTime = date.toISOString();
  made.title = fullTime.format(date);
  return made;
};

const addLine = (line, isOwn = false) => {
  const list = byId("messages");
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(line);
  while (list.childElementCount > MOST_LINES) {
    list.firstElementChild.remove();
  }
  // The list does not move under somebody who is reading further up.
  if (wasAtEnd || isOwn) {
    list.scrollTop = list.scrollHeight;
  }
};

const addEvent = (text, milliseconds) => {
  const line = element("li", `${text} `);
  line.className = "event";
  line.append(timeElement(milliseconds));
  addLine(line);
};

const addMessage = ({ id, name: sender, time, text }) => {
  const isOwn = id === ownId;
  const line = document.createElement("li");
  line.className = isOwn ? "message own" : "message";
  const head = document.createElement("header");
  head.append(element("b", isOwn ? `${sender} (you)` : sender), timeElement(time));
  line.append(head, element("p", text));
  addLine(line, isOwn);
};

const showPeople = (people) => {
  const count = people.length === 1 ? "1 person here" : `${people.length} people here`;
  byId("people").textContent = `${count}: ${people.join(", ")}`;
};

const receive = (message) => {
  switch (message.type) {
    case "welcome":
      ownId = message.id;
      delay = FIRST_DELAY;
      connectionState.connected(`Connected as ${message.name}`);
      showPeople(message.people);
      break;
    case "join":
      addEvent(`${message.name} joined`, message.time);
      showPeople(message.people);
      break;
    case "leave":
      addEvent(`${message.name} left`, message.time);
      showPeople(message.people);
      break;
    case "message":
      addMessage(message);
      break;
  }
};

const connect = async () => {
  connectionState.connecting();
  try {
    const answer = await fetch("settings.json", { cache: "no-store" });
    const settings = await answer.json();
    socket = new WebSocket(`${settings.websocket}?name=${encodeURIComponent(name)}`);
  } catch {
    retry(null); // The server of the page is away, too.
    return;
  }
  socket.onmessage = (message) => receive(JSON.parse(message.data));
  socket.onclose = hungUp;
};

const hungUp = (close) => {
  const wasConnected = ownId !== null;
  socket = null;
  ownId = null;
  byId("people").textContent = "";
  if (close.wasClean) {
    const reason = close.reason || `The server ended the connection with code ${close.code}.`;
    connectionState.ended(reason, connect);
  } else {
    if (wasConnected) {
      addEvent("Connection lost. Messages sent until it is back are not shown.", Date.now());
    }
    retry(wasConnected ? null : "/refusal.json");
  }
};

/** Try again later; `refusalAddress` serves the reason if the server refused the connection. */
const retry = (refusalAddress) => {
  const wait = delay * (0.75 + Math.random() / 2);
  delay = Math.min(delay * 2, LAST_DELAY);
  connectionState.waiting(wait, refusalAddress);
  setTimeout(connect, wait);
};

const join = (chosen) => {
  name = chosen;
  sessionStorage.setItem("name", name); // so that a reload does not ask again
  byId("enter").hidden = true;
  byId("room").hidden = false;
  byId("text").focus();
  connect();
};

byId("join").addEventListener("submit", (submit) => {
  submit.preventDefault();
  if (byId("name").value.trim() !== "") {
    join(byId("name").value.trim());
  }
});

byId("write").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const box = byId("text");
  // What cannot be sent stays in the box.
  if (ownId !== null && box.value.trim() !== "") {
    socket.send(box.value);
    box.value = "";
  }
});

const stored = sessionStorage.getItem("name");
if (stored !== null) {
  join(stored);
}
