/*
 * A page that stays connected, in node. Reports how it went once it has received "end" on kept.end:
 * the events of each topic, and where state was lost between them.
 *
 * Usage: stay_connected.cjs URL
 */
"use strict";

const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { WebSocket } = require("ws");

globalThis.WebSocket = WebSocket;

const main = async () => {
  const client = join(__dirname, "..", "..", "client-js", "src", "modern.js");
  const { Wampush } = await import(pathToFileURL(client));
  const c = new Wampush(process.argv[2], { longest: 2 });
  const got = { "kept.load": [], "short.load": [] };
  const sessions = new Set();
  c.onConnectionChange((state) => {
    if (state === "open") {
      sessions.add(c.sessionId);
    }
  });
  c.onStateLost((topic) => topic in got && got[topic].push("lost"));
  Object.keys(got).forEach((topic) => c.onMessage(topic, (event) => got[topic].push(event)));
  c.onMessage("kept.end", () => {
    console.log(JSON.stringify({ got, sessions: sessions.size }));
    c.close();
  });
  await c.call("wampush.time");
  console.log("ready");
};

main();
