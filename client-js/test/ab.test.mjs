/** What `ab` does beyond AutobahnJS; the rest is compared with it, member by member. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import ab from "../src/ab.js";
import { Clock, Page, Sockets } from "./fake_world.mjs";

const SUBSCRIBE = "wampush.subscribe";
let clock;
let page;
let sockets;
let told;

beforeEach(() => {
  clock = new Clock();
  page = new Page();
  sockets = new Sockets();
  told = [];
  ab._construct = sockets.construct;
});

afterEach(() => {
  clock.restore();
  page.restore();
});

const back = () => {
  sockets.newest.lose();
  clock.pass(20000);
  sockets.newest.welcome("wampush/0.1.0", `id${sockets.length}`);
};

const session = (options, onopen = () => {}) => {
  const made = new ab.Session("ws://x/", () => {
    told.push("open");
    onopen(made);
  }, (code) => told.push(code), options);
  sockets.newest.welcome();
  return made;
};

test("onopen is called once, and onclose at the end only", () => {
  const made = session();
  back();
  back();
  assert.deepEqual(told, ["open"]);
  assert.equal(made.sessionid(), "id3");
  sockets.newest.lose(3000, "ended");
  assert.deepEqual(told, ["open", 0]);
  clock.pass(120000);
  assert.equal(sockets.length, 3);
});

test("asked for, onopen is called after each return, and the page continues where it was", () => {
  const got = [];
  session({ reopen: true }, (made) => {
    made.prefix("n", "http://n/");
    made.subscribe("n:a", (_, event) => got.push(event));
  });
  sockets[0].answer(SUBSCRIBE, { recovered: false, epoch: "E", offset: 7 });
  back();
  assert.deepEqual(told, ["open", "open"]);
  assert.deepEqual(sockets[1].sent.map((each) => each.slice(each[0] === 2 ? 2 : 0)), [
    [1, "n", "http://n/"],
    ["wampush.positions"],
    [SUBSCRIBE, "http://n/a", { since: { epoch: "E", offset: 7 } }],
  ]);
  sockets[1].receive([8, "http://n/a", "missed", 8]);
  sockets[1].answer(SUBSCRIBE, { recovered: true, epoch: "E", offset: 8 });
  assert.deepEqual(got, ["missed"]);
});

test("a page that authenticates by calls does so in each session", () => {
  session({}, (made) => made.call("http://api.wamp.ws/procedure#authreq", "key"));
  back();
  assert.deepEqual(told, ["open", "open"]);
  assert.deepEqual(sockets[1].sent.map((each) => each[2]), ["http://api.wamp.ws/procedure#authreq"]);
});

test("while away: subscriptions wait, calls are rejected, PUBLISH throws", async () => {
  const made = session();
  sockets[0].lose();
  made.prefix("n", "http://n/");
  made.subscribe("n:a", () => {});
  made.subscribe("b", () => {});
  made.unsubscribe("b");
  const failed = made.call("p").otherwise((error) => error.uri);
  assert.throws(() => made.publish("t", 1), (error) => error === "Autobahn not connected");
  clock.pass(20000);
  assert.equal(await failed, "http://api.wamp.ws/error#connection-lost");
  sockets[1].welcome();
  assert.deepEqual(sockets[1].sent.map((each) => each.slice(each[0] === 2 ? 2 : 0)), [
    [1, "n", "http://n/"],
    ["wampush.positions"],
    [SUBSCRIBE, "http://n/a"],
  ]);
  assert.deepEqual(page.events, []);
});

test("closing while away ends the attempts", () => {
  const made = session();
  sockets[0].lose();
  made.close();
  clock.pass(120000);
  assert.equal(sockets.length, 1);
  assert.deepEqual(told, ["open", 0]);
  assert.throws(() => made.subscribe("t", () => {}), (error) => error === "Autobahn not connected");
});

test("ab.connect does not give up unless its page says when", () => {
  ab.connect("ws://x/", () => told.push("connect"), (code, _, details) => void told.push([code, details.maxretries]));
  for (let count = 0; count < 100; count += 1) {
    sockets.newest.lose();
    clock.pass(20000);
  }
  sockets.newest.welcome();
  assert.equal(sockets.length, 101);
  assert.deepEqual(told.slice(0, 1).concat(told.slice(99)), [[5, Infinity], [5, Infinity], "connect"]);
});

test("ab.connect tells the page how long it waits", () => {
  clock.random = 0.999999;
  ab.connect("ws://x/", () => {}, (code, text, { delay }) => void told.push([delay, /in ([\d.]+) second/.exec(text)[1]]));
  sockets.newest.lose();
  clock.pass(20000);
  sockets.newest.lose();
  assert.deepEqual(told, [[1000, "1"], [2000, "2"]]);
});
