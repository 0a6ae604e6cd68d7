/* The hub with a connection of the test, and elections by messages between tabs of the test. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { takePart } from "../src/election.js";
import { Hub } from "../src/hub.js";
import { Clock } from "./fake_world.mjs";

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A connection that keeps what it is asked for. */
class FakeConnection {
  constructor() {
    this.state = "closed";
    this.sessionId = null;
    this.asked = [];
    this.handlers = new Map();
  }

  open() {
    this.state = "connecting";
    this.onstate(this.state);
  }

  close() {
    this.state = "closed";
    this.onstate(this.state);
    this.onclose({ code: 1000, isFinal: true });
  }

  welcome() {
    this.state = "open";
    this.sessionId = "s";
    this.onstate(this.state);
    this.onopen();
  }

  subscribe(topic, handler, since) {
    this.asked.push(["subscribe", topic, since]);
    this.handlers.set(topic, handler);
  }

  unsubscribe(topic) {
    this.asked.push(["unsubscribe", topic]);
  }

  publish(...all) {
    this.asked.push(["publish", ...all]);
  }

  request(procedure, args, onResult, onError) {
    this.asked.push([procedure, args]);
    this.answer = { onResult, onError };
  }

  call(procedure, args) {
    return new Promise((...decide) => this.request(procedure, args, ...decide));
  }

  taken() {
    return this.asked.splice(0);
  }
}

const world = (hasToken = false) => {
  const connection = new FakeConnection();
  const posted = [];
  let ask;
  const hub = new Hub((questions) => {
    ask = questions;
    return connection;
  }, (id, message) => posted.push([id, message]), hasToken);
  const taken = (type) => posted.splice(0).filter(([, message]) => !type || message.type === type);
  return { connection, hub, ask, taken };
};

const join = (hub, id, ...topics) => hub.receive(id, { type: "join", topics });

test("the first member opens the connection, and the last closes it", () => {
  const { connection, hub, taken } = world();
  join(hub, "a");
  assert.equal(connection.state, "connecting");
  join(hub, "b");
  connection.welcome();
  assert.deepEqual(taken("state").at(-1), ["b", { type: "state", state: "open", sessionId: "s" }]);
  hub.receive("a", { type: "leave" });
  hub.remove("a");
  assert.equal(connection.state, "open");
  hub.receive("b", { type: "leave" });
  assert.equal(connection.state, "closed");
  join(hub, "c");
  assert.equal(connection.state, "connecting");
});

test("a member that the hub does not know is asked to join", () => {
  const { hub, taken } = world();
  hub.receive("x", { type: "publish", number: 1, topic: "t", event: 1 });
  assert.deepEqual(taken(), [["x", { type: "unknown" }]]);
});

test("requests wait for the connection, up to a limit, and are confirmed", () => {
  const { connection, hub, taken } = world();
  join(hub, "a");
  taken();
  for (let number = 1; number <= 1001; number += 1) {
    hub.receive("a", { type: "publish", number, topic: "t", event: number });
  }
  const answers = taken();
  assert.equal(answers.filter(([, { type }]) => type === "taken").length, 1000);
  assert.equal(answers.at(-1)[1].error.desc, "1000 requests wait for a connection.");
  assert.deepEqual(connection.taken(), []);
  connection.welcome();
  assert.equal(connection.taken().length, 1000);
  connection.close();
  taken();
  hub.receive("a", { type: "call", number: 2000, procedure: "p", args: [] });
  assert.equal(taken()[0][1].error.desc, "The connection is closed.");
});

test("a member that comes later gets what it lacks in order and once, and then what is new", () => {
  const { connection, hub, taken } = world();
  join(hub, "a", ["t", { epoch: "e", offset: 3 }, false]);
  connection.welcome();
  assert.deepEqual(connection.taken(), [["subscribe", "t", { epoch: "e", offset: 3 }]]);
  join(hub, "b", ["t", { epoch: "e", offset: 1 }, false]);
  assert.deepEqual(connection.taken(), [
    ["wampush.subscribe", ["t", { since: { epoch: "e", offset: 1 } }]],
  ]);
  taken();
  const handler = connection.handlers.get("t");
  for (const offset of [4, 2, 3, 4, 5]) {
    handler("t", offset, { epoch: "e", offset });
  }
  connection.onposition("t", { epoch: "e", offset: 5 });
  const toA = taken().map(([id, { event }]) => [id, event]);
  assert.deepEqual(toA, [["a", 4], ["a", 2], ["a", 3], ["a", 4], ["a", 5], ["a", undefined]]);
  connection.answer.onResult({ recovered: true, epoch: "e", offset: 5 });
  const toB = taken().map(([id, { type, event, position }]) => [id, type, event, position.offset]);
  assert.deepEqual(toB, [
    ["b", "event", 2, 2],
    ["b", "event", 3, 3],
    ["b", "event", 4, 4],
    ["b", "event", 5, 5],
    ["b", "position", undefined, 5],
  ]);
  handler("t", 6, { epoch: "e", offset: 6 });
  assert.deepEqual(taken().map(([id]) => id), ["a", "b"]);
});

test("a member gets to know that events are gone, and others do not", () => {
  const { connection, hub, taken } = world();
  join(hub, "a", ["t", null, true]);
  connection.welcome();
  join(hub, "b", ["t", { epoch: "old", offset: 1 }, false]);
  join(hub, "c", ["t", null, true]);
  taken();
  connection.answer.onResult({ recovered: false, epoch: null, offset: null });
  assert.deepEqual(taken("lost"), []);
  hub.receive("c", { type: "leave" });
  join(hub, "d", ["u", null, false]);
  assert.deepEqual(taken("lost"), [["d", { type: "lost", topic: "u" }]]);
});

test("what is asked again is asked anew when the connection was lost meanwhile", () => {
  const { connection, hub } = world();
  join(hub, "a", ["t", null, true]);
  connection.welcome();
  join(hub, "b", ["t", null, true]);
  connection.taken();
  connection.answer.onError({ uri: "http://api.wamp.ws/error#connection-lost", desc: "lost" });
  connection.open();
  connection.welcome();
  assert.deepEqual(connection.taken(), [
    ["wampush.subscribe", ["t", { since: { epoch: "-", offset: 0 } }]],
  ]);
});

test("questions go to one member after the other", async () => {
  const { hub, ask, taken } = world();
  join(hub, "a");
  join(hub, "b");
  taken();
  const url = ask.url();
  const [[first, { number }]] = taken("question");
  assert.equal(first, "a");
  hub.receive("b", { type: "reply", number, value: "not asked" });
  hub.receive("a", { type: "reply", number, error: "no idea" });
  const [[second]] = taken("question");
  assert.equal(second, "b");
  hub.receive("b", { type: "reply", number, value: "ws://x" });
  assert.equal(await url, "ws://x");
  const failed = ask.url();
  hub.receive("a", { type: "leave" });
  hub.receive("b", { type: "leave" });
  await assert.rejects(failed, { desc: "No tab has answered with a url." });
});

test("tokens are renewed with those of members", async () => {
  const { connection, hub, taken } = world(true);
  join(hub, "a");
  const answers = { "wampush.session": { expires: 101 }, "wampush.time": 100 };
  connection.call = async (procedure) => answers[procedure];
  const clock = new Clock();
  connection.welcome();
  await turn();
  taken();
  clock.pass(800);
  const [[id, { what, number }]] = taken("question");
  assert.deepEqual([id, what], ["a", "token"]);
  connection.call = FakeConnection.prototype.call;
  hub.receive("a", { type: "reply", number, value: "fresh" });
  await turn();
  assert.deepEqual(connection.taken(), [["wampush.refresh", ["fresh"]]]);
  hub.close();
  clock.restore();
});

/** Tabs whose messages reach the others in order. */
const electing = (ids) => {
  const tabs = new Map();
  const leaders = [];
  const frozen = new Set();
  ids.forEach((id) => {
    const post = (message) => [...tabs].forEach(([other, tab]) =>
      other !== id && !frozen.has(other) && !frozen.has(id) && tab.receive(message));
    tabs.set(id, takePart("name", id, post,
      () => leaders.push(`+${id}`), () => leaders.push(`-${id}`)));
  });
  return { tabs, frozen, taken: () => leaders.splice(0) };
};

test("the tab with the least id leads, and the next when it resigns or is silent", (t) => {
  if (globalThis.navigator && navigator.locks) {
    t.skip("this node has Web Locks");
    return;
  }
  const clock = new Clock();
  const { tabs, frozen, taken } = electing(["b", "a", "c"]);
  clock.pass(1000);
  assert.deepEqual(taken(), ["+a"]);
  clock.pass(10000);
  assert.deepEqual(taken(), []);
  tabs.get("a").end();
  tabs.delete("a");
  clock.pass(300);
  assert.deepEqual(taken(), ["+b"]);
  frozen.add("b");
  clock.pass(4000);
  assert.deepEqual(taken(), ["+c"]);
  // Both lead now, and the one with the greater id gives way.
  frozen.delete("b");
  clock.pass(1000);
  assert.deepEqual(taken(), ["-c"]);
  tabs.forEach((tab) => tab.end());
  clock.restore();
});
