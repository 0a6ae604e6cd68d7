/* The wire vectors that this client and wampush.client share. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Connection } from "../src/connection.js";
import { PrefixMap } from "../src/prefixes.js";

const vectors = JSON.parse(readFileSync(new URL("wire-vectors.json", import.meta.url), "utf8"));
const WELCOME = '[0,"s",1,"another server/1"]';

/** A connection that is open, and its socket. */
const opened = () => {
  const socket = { sent: [], send: (text) => socket.sent.push(text), close() {}, protocol: "wamp" };
  const connection = new Connection("ws://x/", { construct: () => socket });
  connection.open();
  socket.onmessage({ data: WELCOME });
  return { connection, socket };
};

const requests = {
  prefix: (connection, { prefix, uri }) => connection.prefix(prefix, uri),
  subscribe: (connection, { topic }) => connection.subscribe(topic, () => {}),
  unsubscribe(connection, { topic }) {
    connection.subscribe(topic, () => {});
    connection.unsubscribe(topic);
  },
  publish: (connection, { topic, event, exclude_me: excludeMe, exclude, eligible }) =>
    connection.publish(topic, event, { excludeMe, exclude, eligible }),
  call: (connection, { procedure, arguments: args }) =>
    connection.request(procedure, args, () => {}, () => {}),
};

test("requests are the texts of the vectors", () => {
  for (const vector of vectors.sent) {
    const { connection, socket } = opened();
    requests[vector.request](connection, vector);
    const text = socket.sent.pop();
    if (vector.request === "call") {
      // The client chooses the ids of its calls.
      const id = JSON.stringify(JSON.parse(text)[1]);
      assert.equal(text.replace(id, JSON.stringify(vector.id)), vector.text);
    } else {
      assert.equal(text, vector.text);
    }
    connection.close();
  }
});

test("messages of the server are understood, and what is none is ignored", () => {
  const warn = console.warn;
  const warned = [];
  console.warn = (...all) => warned.push(all);
  try {
    for (const { text, message, ...expected } of vectors.received) {
      const { connection, socket } = opened();
      const got = [];
      const answer = (...all) => got.push(...all);
      if (message === "event") {
        connection.subscribe(expected.topic, (topic, event) => got.push({ topic, event }));
      }
      for (const ignored of vectors.ignored) {
        socket.onmessage({ data: ignored });
      }
      if (message === "welcome") {
        connection.close();
        connection.open();
        socket.onmessage({ data: text });
        const { sessionId: session, version, server } = connection;
        got.push({ session, version, server });
      } else if (message === "event") {
        socket.onmessage({ data: text });
      } else {
        connection.request("p", [], answer, answer);
        const [, id] = JSON.parse(socket.sent.pop());
        socket.onmessage({ data: text.replace(`"${expected.id}"`, JSON.stringify(id)) });
        delete expected.id;
        if (message === "result") {
          got[0] = { result: got[0] };
        } else {
          const { uri, desc: description, detail: details } = got[0];
          got[0] = { uri, description, ...(details === undefined ? {} : { details }) };
        }
      }
      assert.deepEqual(got, [expected], text);
      connection.close();
    }
  } finally {
    console.warn = warn;
  }
  assert.equal(warned.length, vectors.ignored.length * vectors.received.length);
});

test("CURIEs stand for the URIs of the vectors", () => {
  for (const { prefixes, curie, uri } of vectors.curies) {
    const map = new PrefixMap();
    Object.entries(prefixes).forEach(([prefix, start]) => map.set(prefix, start));
    assert.equal(map.resolve(curie, true), uri);
  }
});
