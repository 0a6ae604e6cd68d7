/** A server that is not wampush: it closes sessions that call, and says goodbye when it restarts. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import WebSocket, { WebSocketServer } from "ws";

import ab from "../src/ab.js";

globalThis.WebSocket = WebSocket;

/** Start it on a port, 0 for a free one. */
const start = async (port) => {
  const server = new WebSocketServer({ host: "127.0.0.1", port, handleProtocols: () => "wamp" });
  server.received = [];
  server.on("connection", (socket) => {
    socket.send(JSON.stringify([0, "abc", 1, "Ratchet/0.4.4"]));
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      server.received.push(message);
      if (message[0] === 2) {
        socket.close(1000);
      } else if (message[0] === 5) {
        socket.send(JSON.stringify([8, message[1], `event of ${server.received.length}`]));
      }
    });
  });
  await once(server, "listening");
  return server;
};

const stop = async (server, code) => {
  server.clients.forEach((client) => client.close(code, "restarting"));
  await new Promise((resolve) => server.close(resolve));
};

test("a session survives its restarts, whatever the close code", async () => {
  let server = await start(0);
  const { port } = server.address();
  const lost = [];
  globalThis.dispatchEvent = (event) => lost.push(event.detail.topic);
  globalThis.CustomEvent = class {
    constructor(_, { detail }) {
      this.detail = detail;
    }
  };
  const events = [];
  let onEvent;
  const next = () => new Promise((resolve) => { onEvent = resolve; });
  let came = next();
  const session = new ab.Session(`ws://127.0.0.1:${port}/`, () => {
    session.subscribe("t", (topic, event) => {
      events.push([topic, event]);
      onEvent();
    });
  }, () => assert.fail("it ended"));
  await came;
  for (const code of [1000, 1012]) {
    came = next();
    await stop(server, code);
    server = await start(port);
    await came;
    assert.deepEqual(server.received, [[5, "t"]]);
  }
  session._websocket_onclose = null;
  session.close();
  await stop(server, 1000);
  assert.deepEqual(events, Array(3).fill(["t", "event of 1"]));
  assert.deepEqual(lost, ["t", "t"]);
});
