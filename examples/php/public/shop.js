/*
 * The shop: news for everybody, and the cart of whoever is logged in. Received data is inserted as
 * text, never as markup.
 */
"use strict";

const byId = (id) => document.getElementById(id);
const page = JSON.parse(document.body.dataset.page);
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** Add a text to a list, with the time at which it arrived. */
const add = (id, text) => {
  const now = new Date();
  const line = document.createElement("li");
  const content = document.createElement("span");
  const time = document.createElement("time");
  content.textContent = text;
  time.textContent = clock.format(now);
  time.dateTime = now.toISOString();
  line.append(content, time);
  byId(id).prepend(line);
  return time.textContent;
};

const answer = (text, kind) => {
  byId("answer").dataset.kind = kind;
  byId("answer").textContent = text;
};

const opened = (session) => {
  session.call("wampush.session").then((found) => {
    byId("who").textContent = found.user || "nobody";
  });
  session.subscribe("news", (topic, event) => {
    byId("news-updated").textContent = `updated ${add("news", event.text)}`;
  });
  if (page.user !== null) {
    session.subscribe(`user.${page.user}`, (topic, event) => add("mine", event.text));
  }
};

const lost = () => {
  byId("who").textContent = "…";
};

const call = stayConnected(page.url, opened, lost);

document.querySelectorAll(".add").forEach((button) => {
  button.addEventListener("click", () => {
    call("cart.add", button.dataset.article).then(
      (cart) => answer(`In the cart: ${cart.join(", ")}`, "done"),
      (error) => answer(`Refused: ${error.desc}`, "refused"),
    );
  });
});
