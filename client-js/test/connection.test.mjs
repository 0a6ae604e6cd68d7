/** The connection: when it comes back, what it says then, and what its page gets. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Connection } from "../src/connection.js";
import { Clock, Page, Sockets } from "./fake_world.mjs";

const SUBSCRIBE = "wampush.subscribe";
let clock;
let page;
let sockets;
let connection;
let got;

beforeEach(() => {
  clock = new Clock();
  page = new Page();
  sockets = new Sockets();
  got = [];
});

afterEach(() => {
  connection.close();
  assert.deepEqual(page.listeners, []);
  clock.restore();
  page.restore();
});

const make = (options) => {
  connection = new Connection("ws://x/", { construct: sockets.construct, ...options });
  connection.onstatelost = (topic) => got.push(["lost", topic]);
  connection.onrefused = (topic, error) => got.push(["refused", topic, error.desc]);
  return connection;
};

const opened = (options, server) => {
  make(options).open();
  sockets.newest.welcome(server);
  return connection;
};

const listen = (topic = "t") => connection.subscribe(topic, (_, event, position) => got.push([event, position && position.offset]));

/** Lose the connection, and have the next one. */
const comeBack = (server) => {
  sockets.newest.lose();
  clock.pass(20000);
  sockets.newest.welcome(server, `id${sockets.length}`);
};

test("delays are drawn from a range that doubles up to 20 s, and it never gives up", () => {
  const delays = [];
  make().onclose = ({ delay }) => void delays.push(delay);
  for (const random of [0, 0.999999]) {
    clock.random = random;
    connection.open();
    for (let attempt = 0; attempt < 30; attempt += 1) {
      sockets.newest.lose();
      assert.equal(connection.state, "waiting");
      const before = sockets.length;
      clock.pass(delays[delays.length - 1] - 1);
      assert.equal(sockets.length, before);
      clock.pass(1);
      assert.equal(sockets.length, before + 1);
    }
    connection.close();
    delays.pop();
  }
  assert.deepEqual(delays.slice(0, 30), Array(30).fill(500));
  assert.deepEqual(delays.slice(30, 37), [1000, 2000, 4000, 8000, 16000, 20000, 20000]);
  assert.deepEqual(delays.slice(37), Array(23).fill(20000));
});

test("the delays begin anew after a connection that was good", () => {
  clock.random = 0.999999;
  const delays = [];
  opened().onclose = ({ delay }) => void delays.push(delay);
  for (const lasted of [0, 0, 0, 10001, 9999]) {
    clock.pass(lasted);
    sockets.newest.lose();
    clock.pass(20000);
    sockets.newest.welcome();
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 1000, 2000]);
});

test("an attempt that nobody answers is given up after 20 s", () => {
  make().open();
  clock.pass(19999);
  assert.equal(sockets.length, 1);
  clock.pass(1);
  assert.equal(connection.state, "waiting");
  assert.deepEqual(sockets[0].closed, []);
  clock.pass(20000);
  assert.equal(sockets.length, 2);
});

test("close codes", () => {
  const comesBack = {};
  for (const code of [1000, 1001, 1002, 1005, 1006, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 3003, 3500, 4000, 4999]) {
    opened();
    sockets.newest.lose(code);
    comesBack[code] = connection.state === "waiting";
    connection.close();
  }
  const final = Object.keys(comesBack).filter((code) => !comesBack[code]);
  assert.deepEqual(final, ["1008", "3000", "3003", "4000", "4999"]);
});

test("a page may decide about close codes itself", () => {
  opened({ comesBack: (code) => code === 4001 });
  sockets.newest.lose(4001);
  assert.equal(connection.state, "waiting");
  clock.pass(20000);
  sockets.newest.welcome().lose(1001);
  assert.equal(connection.state, "closed");
});

test("what onclose returns ends the attempts", () => {
  opened().onclose = () => true;
  sockets.newest.lose();
  assert.equal(connection.state, "closed");
  clock.pass(60000);
  assert.equal(sockets.length, 1);
});

for (const [name, event] of [["online", "online"], ["visible", "visibilitychange"]]) {
  test(`it tries at once when the page is ${name} again`, () => {
    opened();
    sockets.newest.lose();
    page.hidden = true;
    page.fire(event);
    assert.equal(sockets.length, 1);
    page.hidden = false;
    page.fire(event);
    assert.equal(sockets.length, 2);
    // The attempt that was due does not come on top.
    clock.pass(19999);
    assert.equal(sockets.length, 2);
  });
}

test("after sleep it asks for a sign of life, and drops a connection without one", () => {
  opened();
  clock.pass(6000);
  assert.equal(sockets[0].calls("wampush.time").length, 0);
  clock.sleep(3600000);
  clock.pass(5000);
  assert.equal(sockets[0].calls("wampush.time").length, 1);
  sockets[0].answer("wampush.time", 1);
  clock.pass(20000);
  assert.equal(connection.state, "open");
  clock.sleep(3600000);
  clock.pass(0);
  clock.pass(9999);
  assert.equal(connection.state, "open");
  clock.pass(1);
  assert.equal(connection.state, "waiting");
  assert.deepEqual(sockets[0].closed, []);
});

test("a minute of silence is doubted, events are not silence", () => {
  opened();
  for (let count = 0; count < 10; count += 1) {
    clock.pass(30000);
    sockets[0].receive([8, "x", 1]);
  }
  assert.equal(sockets[0].calls("wampush.time").length, 0);
  clock.pass(66000);
  assert.equal(sockets[0].calls("wampush.time").length, 1);
});

test("a server that is not wampush is asked nothing", () => {
  opened({}, "Ratchet/0.4.4");
  listen();
  clock.sleep(3600000);
  clock.pass(70000);
  comeBack("Ratchet/0.4.4");
  assert.deepEqual(sockets.map((each) => each.sent), [[[5, "t"]], [[5, "t"]]]);
  assert.deepEqual(got, [["lost", "t"]]);
});

test("a return says prefixes and subscriptions again, and continues where the page was", () => {
  opened();
  connection.prefix("n", "http://n/");
  listen("n:a");
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 4 });
  sockets[0].receive([8, "http://n/a", "five", 5]);
  comeBack();
  const [prefix, positions, subscribe] = sockets[1].sent;
  assert.deepEqual(prefix, [1, "n", "http://n/"]);
  assert.equal(positions[2], "wampush.positions");
  assert.deepEqual(subscribe.slice(2), [SUBSCRIBE, "http://n/a", { since: { epoch: "E", offset: 5 } }]);
  // Whether they close the gap is not known yet.
  sockets[1].receive([8, "http://n/a", "six", 6]);
  assert.deepEqual(got, [["five", 5]]);
  sockets[1].answer(SUBSCRIBE, { recovered: true, epoch: "E", offset: 6 });
  sockets[1].receive([8, "http://n/a", "seven", 7]);
  assert.deepEqual(got, [["five", 5], ["six", 6], ["seven", 7]]);
});

test("what an answer that never came would have covered is asked for again", () => {
  opened();
  listen();
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 1 });
  comeBack();
  sockets[1].receive([8, "t", "two", 2]);
  comeBack();
  assert.deepEqual(sockets[2].calls(SUBSCRIBE)[0][4], { since: { epoch: "E", offset: 1 } });
  sockets[2].receive([8, "t", "two", 2]);
  sockets[2].answer(SUBSCRIBE, { recovered: true, epoch: "E", offset: 2 });
  assert.deepEqual(got, [["two", 2]]);
});

test("events that are gone: the page learns of it before it gets anything", () => {
  opened();
  listen();
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 9 });
  comeBack();
  sockets[1].receive([8, "t", "kept", 2]);
  sockets[1].answer(SUBSCRIBE, { recovered: false, epoch: "F", offset: 2 });
  assert.deepEqual(got, [["lost", "t"], ["kept", 2]]);
  comeBack();
  assert.deepEqual(sockets[2].calls(SUBSCRIBE)[0][4], { since: { epoch: "F", offset: 2 } });
});

test("without offsets in events, a position is not kept", () => {
  make().open();
  sockets[0].refusesPositions = true;
  sockets[0].welcome();
  listen();
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 2 });
  sockets[0].receive([8, "t", "three"]);
  comeBack();
  assert.deepEqual(sockets[1].calls(SUBSCRIBE)[0].slice(3), ["t"]);
  sockets[1].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 4 });
  assert.deepEqual(got, [["three", undefined], ["lost", "t"]]);
});

test("offsets are asked for with the first subscription, and again after a refusal", () => {
  make().open();
  sockets[0].refusesPositions = true;
  sockets[0].welcome();
  assert.deepEqual(sockets[0].sent, []);
  listen("a");
  sockets[0].refusesPositions = false;
  listen("b");
  listen("c");
  assert.deepEqual(sockets[0].sent.map((each) => each[2]), [
    "wampush.positions", SUBSCRIBE, "wampush.positions", SUBSCRIBE, SUBSCRIBE,
  ]);
});

test("a topic that keeps nothing: after a loss, events may be missing", () => {
  opened();
  listen();
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: null, offset: null });
  sockets[0].receive([8, "t", 1]);
  comeBack();
  assert.deepEqual(sockets[1].calls(SUBSCRIBE)[0].slice(3), ["t"]);
  sockets[1].answer(SUBSCRIBE, { recovered: false, epoch: null, offset: null });
  assert.deepEqual(got, [[1, undefined], ["lost", "t"]]);
});

test("a subscription that was made while away is not lost", () => {
  opened();
  sockets[0].lose();
  listen("new");
  clock.pass(20000);
  sockets[1].welcome();
  sockets[1].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 3 });
  assert.deepEqual(got, []);
});

test("where the server subscribes sessions by itself, nothing comes twice", () => {
  opened();
  listen();
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 2 });
  sockets[0].lose();
  clock.pass(20000);
  sockets[1].welcome();
  // The automatic subscription's own replay, before offsets are on, then the recovery.
  sockets[1].receive([8, "t", "two"]);
  sockets[1].receive([8, "t", "three", 3]);
  sockets[1].receive([8, "t", "three", 3]);
  sockets[1].receive([8, "t", "four", 4]);
  sockets[1].answer(SUBSCRIBE, { recovered: true, epoch: "E", offset: 4 });
  assert.deepEqual(got, [["three", 3], ["four", 4]]);
});

test("an older wampush, which knows no subscription with an answer", () => {
  opened();
  listen();
  sockets[0].refuse(SUBSCRIBE, "invalid-argument");
  assert.deepEqual(sockets[0].sent[2], [5, "t"]);
  sockets[0].receive([8, "t", 1]);
  comeBack();
  sockets[1].refuse(SUBSCRIBE, "NoSuchRPCEndpoint");
  assert.deepEqual(got, [[1, undefined], ["lost", "t"]]);
});

test("a subscription that is refused is reported", () => {
  opened();
  listen();
  sockets[0].refuse(SUBSCRIBE, "forbidden", "not for you");
  assert.deepEqual(got, [["refused", "t", "not for you"]]);
});

test("unsubscribing before the answer", () => {
  opened();
  listen();
  connection.unsubscribe("t");
  assert.deepEqual(sockets[0].sent[2], [6, "t"]);
  sockets[0].receive([8, "t", 1]);
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 1 });
  comeBack();
  assert.deepEqual(sockets[1].calls(SUBSCRIBE), []);
  assert.deepEqual(got, []);
});

test("the page is told by an event unless it wants a callback", () => {
  connection = new Connection("ws://x/", { construct: sockets.construct });
  connection.open();
  sockets[0].welcome("Ratchet/0.4.4");
  listen();
  comeBack("Ratchet/0.4.4");
  assert.deepEqual(page.events.map(({ type, detail }) => [type, detail]), [["wampush:state-lost", { topic: "t" }]]);
});

test("calls are rejected at a loss, and without a connection", async () => {
  opened();
  const pending = connection.call("p", [1]);
  sockets[0].lose();
  await assert.rejects(pending, { uri: "http://api.wamp.ws/error#connection-lost" });
  const late = connection.call("p");
  clock.pass(0);
  await assert.rejects(late, { uri: "http://api.wamp.ws/error#connection-lost" });
});

test("a page that makes its subscriptions anew continues where it was, also after attempts that fail", () => {
  opened({ fresh: true });
  connection.prefix("n", "http://n/");
  listen("n:a");
  listen("gone");
  sockets[0].receive([3, sockets[0].calls(SUBSCRIBE)[0][1], { recovered: false, epoch: "E", offset: 4 }]);
  sockets[0].lose();
  for (let count = 0; count < 3; count += 1) {
    clock.pass(20000);
    sockets.newest.lose();
  }
  clock.pass(20000);
  sockets.newest.welcome();
  assert.deepEqual(sockets.newest.sent, []);
  connection.prefix("m", "http://n/");
  listen("m:a");
  assert.deepEqual(sockets.newest.calls(SUBSCRIBE)[0].slice(3), ["http://n/a", { since: { epoch: "E", offset: 4 } }]);
});

test("a URL may be asked for before each attempt", async () => {
  const urls = ["ws://one/", "ws://two/"];
  connection = new Connection(async () => urls.shift() || Promise.reject(new Error("no token")), {
    construct: sockets.construct,
  });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  connection.open();
  await turn();
  sockets[0].welcome().lose();
  clock.pass(20000);
  await turn();
  assert.deepEqual(sockets.map((each) => each.url), ["ws://one/", "ws://two/"]);
  sockets[1].lose();
  clock.pass(20000);
  await turn();
  assert.equal(connection.state, "waiting");
});

test("a session is prepared before anything else, and closed when that fails", async () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  let isGood = false;
  make({ prepare: async (each) => each.call("auth").then(() => isGood || Promise.reject(new Error("no"))) });
  listen();
  connection.open();
  sockets[0].welcome();
  await turn();
  assert.deepEqual(sockets[0].sent.map((each) => each[2]), ["auth"]);
  sockets[0].answer("auth", {});
  await turn();
  assert.equal(connection.state, "waiting");
  isGood = true;
  clock.pass(20000);
  sockets[1].welcome();
  await turn();
  sockets[1].answer("auth", {});
  await turn();
  assert.deepEqual(sockets[1].sent.map((each) => each[2]), ["auth", "wampush.positions", SUBSCRIBE]);
});

test("closing ends it wherever it is", () => {
  const ends = [];
  for (const stage of ["connecting", "open", "waiting"]) {
    make().onclose = ({ isFinal, code }) => void (isFinal && ends.push([stage, code]));
    connection.open();
    if (stage !== "connecting") {
      sockets.newest.welcome();
    }
    if (stage === "waiting") {
      sockets.newest.lose();
    }
    assert.equal(connection.state, stage);
    connection.close(3001, "enough");
    assert.equal(connection.state, "closed");
    if (stage === "open") {
      assert.deepEqual(sockets.newest.closed, [3001, "enough"]);
      sockets.newest.lose(3001, "enough");
    }
    connection.close();
    const before = sockets.length;
    clock.pass(120000);
    assert.equal(sockets.length, before);
    assert.equal(clock.timers.size, 0);
  }
  assert.deepEqual(ends, [["connecting", 1000], ["open", 3001], ["waiting", 1000]]);
});

test("what is not a message, or comes uncalled for, is reported and changes nothing", () => {
  const warned = [];
  const { warn } = console;
  console.warn = (...args) => warned.push(args.join(" "));
  try {
    opened();
    listen();
    sockets[0].onmessage({ data: "{" });
    sockets[0].receive({});
    sockets[0].receive([0, "again", 1, "x"]);
    sockets[0].receive([77]);
    sockets[0].receive([3, "unknown", 1]);
    sockets[0].receive([8, "unknown", 1]);
  } finally {
    console.warn = warn;
  }
  assert.equal(warned.length, 4);
  assert.equal(connection.sessionId, "id");
});

test("what no server should send changes nothing", () => {
  opened().subscribe("t", (_, event) => got.push(event));
  const socket = sockets.newest;
  const garbage = ["", "null", "{}", "[]", "[8]", "[8,null,1]", "[8,5,1]", "[8,{},1]", "[3]", "[4,null]", '[3,"x",1]',
    "[99]", '["8","t",1]', '[0,"other",1,"x"]', `${"[".repeat(3000)}${"]".repeat(3000)}`];
  const { warn } = console;
  console.warn = () => {};
  garbage.forEach((data) => socket.onmessage({ data }));
  // An answer without an object must not hold back the events of its topic.
  const [, id] = socket.sent.find(([, , name]) => name === SUBSCRIBE);
  socket.onmessage({ data: '[8,"t",1]' });
  socket.onmessage({ data: JSON.stringify([3, id, null]) });
  garbage.forEach((data) => socket.onmessage({ data }));
  socket.onmessage({ data: '[8,"t",2]' });
  console.warn = warn;
  assert.deepEqual(got, [1, 2]);
  assert.deepEqual([connection.state, connection.sessionId], ["open", "id"]);
});
