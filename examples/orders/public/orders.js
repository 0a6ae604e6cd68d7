/*
 * The board of orders: staff sees all orders and ships them, a customer sees and places their own.
 * Changes arrive as events. The board of staff gets the present orders as events, too, as soon as it
 * has subscribed (last_by in wampush.toml); a customer's page asks for its own. Received data is
 * inserted as text, never as markup.
 */
"use strict";

const byId = (id) => document.getElementById(id);
const me = new URLSearchParams(location.search).get("as") || "carol";
const isStaff = me === "carol";
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
let client = null;

const element = (tag, text) => {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
};

/** Make a time in the reader's language and time zone. */
const timeElement = (seconds) => {
  const date = new Date(seconds * 1000);
  const made = element("time", clock.format(date));
  made.dateTime = date.toISOString();
  made.title = fullTime.format(date);
  return made;
};

/** Call a procedure; an answer that takes longer than 10 s is given up. */
const call = (procedure, ...args) => client.call(procedure, args, { timeout: 10000 });

const answer = (text, kind = "done") => {
  byId("answer").dataset.kind = kind;
  byId("answer").textContent = text;
};

const refused = (error) => answer(`Refused: ${error.desc}`, "refused");

const show = (order) => {
  let row = byId(`order-${order.number}`);
  if (row === null) {
    row = document.createElement("tr");
    row.id = `order-${order.number}`;
    byId("orders").prepend(row);
  }
  const state = element("span", order.state);
  state.className = "badge";
  state.dataset.state = order.state;
  // An order that is pushed by hand may come without a time.
  const updated = timeElement(order.updated ?? Date.now() / 1000);
  row.replaceChildren();
  const cells = { "No.": order.number, Customer: order.customer, Article: order.article, State: state, Updated: updated };
  for (const [label, content] of Object.entries(cells)) {
    const cell = row.insertCell();
    cell.dataset.label = label;
    cell.append(content);
  }
  const action = row.insertCell();
  if (isStaff && order.state === "placed") {
    const button = element("button", "Ship");
    button.setAttribute("aria-label", `Ship order ${order.number}`);
    button.addEventListener("click", () => {
      call("orders.ship", order.number).then(() => answer(`Order ${order.number} is shipped.`), refused);
    });
    action.append(button);
  }
  return row;
};

const showChange = (order) => {
  const row = show(order);
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
};

const showPresence = (count) => {
  byId("presence").hidden = count === undefined;
  byId("presence").textContent = count === 1 ? "1 person is here" : `${count} people are here`;
};

const opened = () => {
  byId("orders").replaceChildren();
  call("orders.list").then((orders) => {
    // Rows that have come as events stay: the server keeps the newest event of each order.
    orders.forEach(show);
    byId("waiting").hidden = true;
    byId("empty").hidden = false; // The style sheet shows it only while there are no orders.
  }, refused);
  if (isStaff) {
    showPresence(client.values.num_online);
  }
};

const changed = (state, end) => {
  if (state === "connecting") {
    connectionState.connecting();
  } else if (state === "open") {
    connectionState.connected();
    opened();
  } else {
    byId("presence").hidden = true; // Nobody knows while there is no connection.
    if (state === "waiting") {
      connectionState.waiting(end.delay, end.wasOpen ? null : "/refusal.json");
    } else {
      const reason = end.reason || `The server ended the connection with code ${end.code}.`;
      connectionState.ended(reason, () => client.open());
    }
  }
};

byId("place").addEventListener("submit", (submit) => {
  submit.preventDefault();
  call("orders.place", byId("article").value).then(
    (order) => answer(`Order ${order.number} is placed.`),
    refused,
  );
});

const showPeople = (names) => {
  for (const name of names) {
    const link = element("a", name);
    link.href = `?as=${name}`;
    if (name === me) {
      link.setAttribute("aria-current", "page");
    }
    byId("people").append(link);
  }
};

const showAdvice = (push) => {
  byId("board-title").textContent = isStaff ? "All orders" : "Your orders";
  byId("place").hidden = isStaff;
  byId("advice").textContent = isStaff
    ? "No orders yet. Open this page as alice or bob in a second window and place one."
    : "No orders yet. Place one above.";
  const order = { number: 1000, customer: isStaff ? "dave" : me, article: "Coffee", state: "shipped" };
  const topic = isStaff ? "orders" : `user.${me}`;
  byId("push").textContent = `.venv/bin/wampush push ${topic} '${JSON.stringify(order)}' --to ${push}`;
};

const askSettings = async () => (await fetch("settings.json", { cache: "no-store" })).json();

const start = async () => {
  let settings;
  try {
    settings = await askSettings();
  } catch {
    connectionState.waiting(5000, null);
    setTimeout(start, 5000);
    return;
  }
  showPeople(Object.keys(settings.people));
  showAdvice(settings.push);
  client = new Wampush(settings.websocket, {
    // Fresh for each attempt, and before it expires. Somebody who is not in the list has no token,
    // and is refused.
    token: async () => (await askSettings()).people[me] ?? "",
  });
  client.onConnectionChange(changed);
  client.onMessage(isStaff ? "orders" : `user.${me}`, showChange);
  if (isStaff) {
    client.onStateChange("num_online", showPresence);
  }
};

start();
