// What pages use of AutobahnJS, row by row; runs on the genuine file and on wampush.js, in browsers and in
// node. `same` is what both give; otherwise `genuine` and `ours`. Values are compared as JSON.
"use strict";

var rows = [];
var sockets = [];

class FakeSocket {
  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols && protocols.length ? Array.from(protocols) : null;
    this.protocol = "wamp";
    this.sent = [];
    sockets.push(this);
  }
  send(text) { this.sent.push(JSON.parse(text)); }
  close(code, reason) { this.closed = [code, reason].filter((each) => each !== undefined); }
  open() { this.onopen && this.onopen({}); }
  receive(message) { this.onmessage && this.onmessage({ data: JSON.stringify(message) }); }
  welcome(id = "id") { this.open(); this.receive([0, id, 1, "Fake/1"]); return this; }
  lose(code = 1006, reason = "", wasClean = false) {
    this.onclose && this.onclose({ code, reason, wasClean });
  }
}

// Settled promises have called what was given to them, also those of when.js, which uses timers.
var later = (milliseconds = 0) => new Promise((resolve) => setTimeout(resolve, milliseconds));
var thrown = (act) => { try { act(); return null; } catch (error) { return String(error); } };
var plain = (error) => ({ ...error });
/** Until a second socket is made, where that is expected. */
var comingBack = () => which === "ours" ? until(() => sockets.length === 2) : later(5);
var until = async (holds) => { while (!holds()) { await later(2); } };

/** A session on a fake socket that is open. */
var session = (options) => {
  sockets = [];
  var made = new ab.Session("ws://fake/", () => {}, () => {}, options);
  sockets[0].welcome();
  return made;
};
/** A session with the server. */
var real = () => new Promise((resolve, reject) => {
  var made = new ab.Session(serverUrl, () => resolve(made), reject, { skipSubprotocolCheck: true });
});
var sent = () => sockets[sockets.length - 1].sent;
/** A row; `title` begins with the members that it is about. */
var row = (title, run, expected) => rows.push({
  title,
  names: title.split(" ").filter((word) => /^(ab|session|promise)\.\w|^AUTOBAHNJS_/.test(word)),
  run,
  expected,
});
var same = (value) => ({ genuine: value, ours: value });

// Constants.

row("ab.CONNECTION_CLOSED ab.CONNECTION_LOST ab.CONNECTION_RETRIES_EXCEEDED ab.CONNECTION_UNREACHABLE " +
  "ab.CONNECTION_UNSUPPORTED ab.CONNECTION_UNREACHABLE_SCHEDULED_RECONNECT ab.CONNECTION_LOST_SCHEDULED_RECONNECT",
() => [ab.CONNECTION_CLOSED, ab.CONNECTION_LOST, ab.CONNECTION_RETRIES_EXCEEDED, ab.CONNECTION_UNREACHABLE,
  ab.CONNECTION_UNSUPPORTED, ab.CONNECTION_UNREACHABLE_SCHEDULED_RECONNECT, ab.CONNECTION_LOST_SCHEDULED_RECONNECT],
same([0, 1, 2, 3, 4, 5, 6]));

row("ab._MESSAGE_TYPEID_WELCOME ab._MESSAGE_TYPEID_PREFIX ab._MESSAGE_TYPEID_CALL ab._MESSAGE_TYPEID_CALL_RESULT " +
  "ab._MESSAGE_TYPEID_CALL_ERROR ab._MESSAGE_TYPEID_SUBSCRIBE ab._MESSAGE_TYPEID_UNSUBSCRIBE " +
  "ab._MESSAGE_TYPEID_PUBLISH ab._MESSAGE_TYPEID_EVENT",
() => ["WELCOME", "PREFIX", "CALL", "CALL_RESULT", "CALL_ERROR", "SUBSCRIBE", "UNSUBSCRIBE", "PUBLISH", "EVENT"]
  .map((name) => ab["_MESSAGE_TYPEID_" + name]),
same([0, 1, 2, 3, 4, 5, 6, 7, 8]));

row("ab._subprotocol ab.browserNotSupportedMessage", () => [ab._subprotocol, ab.browserNotSupportedMessage],
  same(["wamp", "Browser does not support WebSockets (RFC6455)"]));

row("ab.version ab._version AUTOBAHNJS_VERSION", () => [ab.version(), ab._version, AUTOBAHNJS_VERSION],
  { genuine: ["0.7.9", "0.7.9", "0.7.9"], ours: ["0.8.2", "0.8.2", "0.8.2"] });

row("AUTOBAHNJS_DEBUG", () => AUTOBAHNJS_DEBUG, same(false));

// Helpers.

row("ab._newid", () => [/^[A-Za-z0-9]{16}$/.test(ab._newid()), ab._newid() !== ab._newid()], same([true, true]));
row("ab._newidFast", () => [/^0\.[a-z0-9]+$/.test(ab._newidFast())], same([true]));

row("ab.log", () => {
  var kept = [];
  var names = ["log", "group", "groupEnd"];
  var saved = names.map((name) => console[name]);
  names.forEach((name) => { console[name] = (...args) => { kept.push([name, ...args]); }; });
  try { ab.log("one"); ab.log("two", 2); } finally {
    names.forEach((name, index) => { console[name] = saved[index]; });
  }
  return kept;
}, same([["log", "one"], ["group", "Log Item"], ["log", "two"], ["log", 2], ["groupEnd"]]));

var shown = (act) => {
  var kept = [];
  var names = ["log", "info", "group", "groupEnd", "time", "timeEnd"];
  var saved = names.map((name) => console[name]);
  names.forEach((name) => { console[name] = (...args) => { kept.push(args.join(" ")); }; });
  try { act(); } finally { names.forEach((name, index) => { console[name] = saved[index]; }); }
  return kept.join("\n");
};

row("ab.debug ab._debugrpc ab._debugpubsub ab._debugws ab._debugconnect", () => {
  var flags = () => [ab._debugrpc, ab._debugpubsub, ab._debugws, ab._debugconnect];
  var found = [flags()];
  ab.debug(true, false, true);
  found.push(flags());
  var text = shown(() => session().publish("some-topic", "some-event"));
  found.push(text.includes("some-topic") && text.includes("some-event"));
  ab.debug(false, true, false);
  found.push(flags(), shown(() => session().prefix("p", "some-uri")).includes("some-uri"));
  ab.debug(false, false, false);
  found.push(shown(() => session().prefix("p", "u")));
  return found;
}, same([[false, false, false, false], [true, true, false, true], true, [false, false, true, false], true, ""]));

row("ab.getServerUrl", () => {
  var found = [ab.getServerUrl(), ab.getServerUrl("path")];
  return found.map((each) => each.replace(/^wss?:\/\/[^/]*/, "HOST"));
}, same(["HOST/ws", "HOST/path"]));

row("ab.getBrowser", () => {
  var found = ab.getBrowser();
  return [found.name, found.version.length > 1, found.version.every(Number.isInteger)];
}, same(["Chrome", true, true]));

row("ab.lookupWsSupport", () => ab.lookupWsSupport(), same([true, false, true]));

row("ab._construct", async () => {
  var made = construct(serverUrl, ["wamp"]);
  await new Promise((resolve) => { made.onopen = resolve; });
  made.close();
  return made.protocol;
}, same("wamp"));

row("ab.Deferred", async () => {
  var kept = [];
  var [one, two, three] = [new ab.Deferred(), ab.Deferred(), new ab.Deferred()];
  one.promise.then((value) => kept.push(value));
  two.promise.then(null, (reason) => kept.push(reason));
  three.promise.then((value) => kept.push(value));
  one.resolve("yes");
  await later(5);
  two.reject("no");
  await later(5);
  three.resolver.resolve("by resolver");
  await later(5);
  return kept;
}, same(["yes", "no", "by resolver"]));

row("promise.then promise.otherwise promise.always promise.ensure", async () => {
  var kept = [];
  var good = () => { var made = new ab.Deferred(); made.resolve(1); return made.promise; };
  var bad = () => { var made = new ab.Deferred(); made.reject("r"); return made.promise; };
  good().then((value) => value + 1).then((value) => { kept.push(["then", value]); });
  await later(10);
  bad().otherwise((reason) => { kept.push(["otherwise", reason]); return 5; }).then((value) => { kept.push(["then", value]); });
  await later(10);
  good().always((value) => { kept.push(["always", value]); });
  await later(10);
  bad().always((reason) => { kept.push(["always", reason]); });
  await later(10);
  good().ensure(() => { kept.push(["ensure"]); return 9; }).then((value) => { kept.push(["then", value]); });
  await later(10);
  bad().then(() => { kept.push("never"); }).otherwise((reason) => { kept.push(["passed on", reason]); });
  await later(10);
  good().then(() => { throw "in a handler"; }).otherwise((reason) => { kept.push([reason]); });
  await later(10);
  // Nobody handles it, and nothing is reported.
  bad().then(() => {});
  await later(10);
  return kept;
}, same([["then", 2], ["otherwise", "r"], ["then", 5], ["always", 1], ["always", "r"], ["ensure"], ["then", 1],
  ["passed on", "r"], ["in a handler"]]));

// Prefixes.

row("ab.PrefixMap ab.PrefixMap.get ab.PrefixMap.set ab.PrefixMap.setDefault ab.PrefixMap.remove " +
  "ab.PrefixMap.resolve ab.PrefixMap.shrink ab.PrefixMap._index ab.PrefixMap._rindex", () => {
  var map = new ab.PrefixMap();
  map.set("a", "http://a/");
  map.set("long", "http://a/long/");
  var found = [map.get("a"), map.get("none") || null, map.resolve("a:x"), map.resolve("a:"), map.resolve("b:x"),
    map.resolve("b:x", true), map.resolve("nothing"), map.shrink("http://a/x"), map.shrink("http://a/long/x"),
    map.shrink("http://b/"), map.shrink("http://b/", true), map._index["a"], map._rindex["http://a/"]];
  map.remove("a");
  map.remove("none");
  map.setDefault("http://default/");
  return found.concat([map.resolve("a:x"), map.resolve(":x"), map.shrink("http://a/x")]);
}, same(["http://a/", null, "http://a/x", "http://a/", null, "b:x", null, "a:x", "long:x", null, "http://b/", "http://a/",
  "a", null, "http://default/x", null]));

// Sessions: what they send and what they do with what comes.

row("ab.Session session._websocket session._options", () => {
  var one = session();
  var found = [sockets[0].url, sockets[0].protocols, one._websocket === sockets[0], one instanceof ab.Session];
  session({ skipSubprotocolAnnounce: true });
  return found.concat([sockets[0].protocols, session({ a: 1 })._options]);
}, same(["ws://fake/", ["wamp"], true, true, null, { a: 1 }]));

row("ab.Session session.sessionid session.wsuri session._session_id session._wamp_version session._server " +
  "session._wsuri session._websocket_connected session._websocket_onopen", () => {
  sockets = [];
  var found = [];
  var made = new ab.Session("ws://fake/", () => found.push("open"));
  found.push(made.sessionid(), made._websocket_connected);
  made._websocket_onopen = () => found.push("another");
  sockets[0].open();
  found.push(made.sessionid());
  sockets[0].receive([0, "id", 1, "Fake/1"]);
  return found.concat([made.sessionid(), made.wsuri(), made._session_id, made._wamp_version, made._server, made._wsuri,
    made._websocket_connected]);
}, same([null, false, null, "another", "id", "ws://fake/", "id", 1, "Fake/1", "ws://fake/", true]));

row("ab.Session session._websocket_onclose session.close", () => {
  var found = [];
  var open = () => {
    sockets = [];
    var made = new ab.Session("ws://fake/", () => {}, (code, reason) => found.push([code, reason || null]));
    sockets[0].welcome();
    return made;
  };
  open().close();
  found.push(sockets[0].closed);
  sockets[0].lose(1000, "bye", true);
  var other = open();
  other._websocket_onclose = (code) => found.push(["another", code]);
  other.close();
  sockets[0].lose(1000, "", true);
  // The server means it.
  open();
  sockets[0].lose(3000, "ended", true);
  return found;
}, same([[], [0, "WS-1000: bye"], ["another", 0], [0, "WS-3000: ended"]]));

row("ab.Session from which a page derives", () => {
  sockets = [];
  var found = [];
  function Derived() { ab.Session.apply(this, arguments); }
  Derived.prototype = Object.create(ab.Session.prototype);
  Derived.prototype.shout = function () { this.publish("t", "loud"); };
  var made = new Derived("ws://fake/", () => found.push("open"), () => {});
  sockets[0].welcome();
  made.shout();
  return found.concat([made instanceof ab.Session, sent()]);
}, same(["open", true, [[7, "t", "loud"]]]));

row("ab.Session after a loss", async () => {
  var found = [];
  var opened = 0;
  sockets = [];
  var made = new ab.Session("ws://fake/", () => { opened += 1; }, (code, reason) => found.push([code, reason || null]));
  sockets[0].welcome();
  made.subscribe("t", (topic, event) => found.push([topic, event]));
  sockets[0].lose();
  await comingBack();
  found.push(sockets.length, opened);
  if (sockets.length > 1) {
    sockets[1].welcome("another");
    sockets[1].receive([8, "t", "event"]);
    found.push(sockets[1].sent, opened, made.sessionid());
  }
  return found;
}, { genuine: [[1, null], 1, 1], ours: [2, 1, ["t", "event"], [[5, "t"]], 1, "another"] });

row("ab.Session after a first attempt that fails", async () => {
  var found = [];
  sockets = [];
  new ab.Session("ws://fake/", () => found.push("open"), (code, reason) => found.push([code, reason || null]));
  sockets[0].lose();
  await comingBack();
  found.push(sockets.length);
  sockets.slice(1).forEach((each) => each.welcome());
  return found;
}, { genuine: [[3, null], 1], ours: [2, "open"] });

row("ab.Session with reconnect: false", () => {
  var found = [];
  var open = () => {
    sockets = [];
    new ab.Session("ws://fake/", () => {}, (code, reason) => found.push([code, reason || null]), { reconnect: false });
  };
  open();
  sockets[0].lose();
  open();
  sockets[0].welcome().lose();
  open();
  sockets[0].welcome().lose(1001, "away", true);
  return found;
}, same([[3, null], [1, null], [0, "WS-1001: away"]]));

row("ab.Session without WebSocket", () => {
  var found = [];
  ab._construct = () => null;
  new ab.Session("ws://fake/", () => {}, (code) => found.push(code));
  found.push(thrown(() => new ab.Session("ws://fake/", () => {})));
  return found;
}, same([4, "Browser does not support WebSockets (RFC6455)"]));

row("ab.Session with a server that does not speak WAMP", () => {
  var found = [];
  var open = (options) => {
    sockets = [];
    new ab.Session("ws://fake/", () => found.push("open"), (code) => found.push(code), options);
    sockets[0].protocol = "";
    shown(() => thrown(() => sockets[0].open()));
  };
  var error = console.error;
  console.error = () => {};
  open();
  console.error = error;
  found.push(sockets[0].closed);
  sockets[0].lose(1000, "", true);
  open({ skipSubprotocolCheck: true });
  found.push(sockets[0].closed || null);
  sockets[0].receive([0, "id", 1, "Fake/1"]);
  return found;
}, same([[1000, "server does not speak WAMP"], 3, null, "open"]));

row("ab.Session before it is open", () => {
  sockets = [];
  var made = new ab.Session("ws://fake/", () => {}, () => {});
  var found = [() => made.call("p"), () => made.subscribe("t", () => {}), () => made.publish("t", 1),
    () => made.prefix("p", "u")].map(thrown);
  made.close();
  return found;
}, same(Array(4).fill("Autobahn not connected")));

row("session.prefix session.resolve session.shrink session._prefixes", () => {
  var made = session();
  made.prefix("n", "http://n/");
  made.prefix("", "http://empty/");
  return [sent(), made.resolve("n:x"), made.resolve("m:x"), made.resolve("m:x", false), made.shrink("http://n/x"),
    made.shrink("http://m/x"), made.shrink("http://m/x", false), made._prefixes.get("n")];
}, same([[[1, "n", "http://n/"], [1, "", "http://empty/"]], "http://n/x", "m:x", null, "n:x", "http://m/x", null, "http://n/"]));

row("session.subscribe session.unsubscribe session._subscriptions", () => {
  var made = session();
  var got = [];
  var one = (topic, event) => got.push(["one", topic, event]);
  var two = (topic, event) => got.push(["two", topic, event]);
  made.prefix("n", "http://n/");
  made.subscribe("n:a", one);
  made.subscribe("http://n/a", two);
  made.subscribe("plain", one);
  var found = [Object.keys(made._subscriptions), made._subscriptions["http://n/a"].length];
  sockets[0].receive([8, "http://n/a", { x: 1 }]);
  sockets[0].receive([8, "n:a", 2]);
  sockets[0].receive([8, "unknown", 3]);
  found.push(thrown(() => made.subscribe("n:a", one)).startsWith("callback "));
  found.push(thrown(() => made.unsubscribe("plain", two)).startsWith("no callback "));
  found.push(thrown(() => made.unsubscribe("unknown")));
  made.unsubscribe("http://n/a", one);
  made.unsubscribe("n:a", two);
  made.subscribe("plain", two);
  made.unsubscribe("plain");
  sockets[0].receive([8, "plain", 4]);
  return found.concat([Object.keys(made._subscriptions), got, sent()]);
}, same([["http://n/a", "plain"], 2, true, true, "not subscribed to topic unknown", [],
  [["one", "http://n/a", { x: 1 }], ["two", "http://n/a", { x: 1 }], ["one", "n:a", 2], ["two", "n:a", 2]],
  [[1, "n", "http://n/"], [5, "n:a"], [5, "plain"], [6, "n:a"], [6, "plain"]]]));

row("session.subscribe to topics named like members of objects", () => {
  var made = session();
  var got = [];
  var found = ["constructor", "toString", "__proto__"].map((topic) =>
    thrown(() => made.subscribe(topic, (name, event) => got.push([name, event]))));
  ["constructor", "toString", "__proto__"].forEach((topic) => thrown(() => sockets[0].receive([8, topic, 1])));
  return [found.filter((each) => each !== null).length, got];
}, { genuine: [3, []], ours: [0, [["constructor", 1], ["toString", 1], ["__proto__", 1]]] });

row("session.subscribe whose callback throws", async () => {
  var made = session();
  var got = [];
  made.subscribe("t", () => { throw new Error("of the page"); });
  made.subscribe("t", (topic, event) => got.push(event));
  thrown(() => sockets[0].receive([8, "t", 1]));
  await later(5);
  return got;
}, { genuine: [], ours: [1] });

row("session._rxcnt", () => session()._rxcnt, { genuine: 0, ours: 1 });

row("session.publish session._send session._txcnt", () => {
  var made = session();
  made.publish("t", { a: null });
  made.publish("t", 1, true);
  made.publish("t", 2, false);
  made.publish("t", 3, []);
  made.publish("t", 4, ["x"]);
  made.publish("t", 5, ["x"], ["y"]);
  var found = [[6], ["x", ["y"]], [["x"], "y"], [null], [undefined]].map((rest) =>
    thrown(() => made.publish("t", 0, ...rest)));
  made._send([7, "t", "raw"]);
  return [sent(), found, made._txcnt];
}, same([[[7, "t", { a: null }], [7, "t", 1, true], [7, "t", 2, false], [7, "t", 3, []], [7, "t", 4, ["x"]],
  [7, "t", 5, ["x"], ["y"]], [7, "t", "raw"]], Array(5).fill("invalid argument type(s)"),
7]));

row("session.call", async () => {
  var made = session();
  var found = [];
  made.prefix("p", "http://p/");
  made.call("http://p/add", 1, undefined, { x: [] }).then((result) => found.push(result));
  made.call("p:fail").then(null, (error) => found.push(plain(error)));
  made.call("fail").then(null, (error) => found.push(plain(error)));
  var [, one, two, three] = sent();
  found.push([one[0], typeof one[1], ...one.slice(2)], two.slice(2), three.slice(2));
  sockets[0].receive([3, one[1], { sum: 3 }]);
  sockets[0].receive([3, one[1], "again"]);
  sockets[0].receive([3, "unknown", 1]);
  await later(5);
  sockets[0].receive([4, two[1], "u#e", "what"]);
  await later(5);
  sockets[0].receive([4, three[1], "u#e", "what", [1]]);
  await later(5);
  return found;
}, same([[2, "string", "p:add", 1, null, { x: [] }], ["p:fail"], ["fail"], { sum: 3 }, { uri: "u#e", desc: "what" },
  { uri: "u#e", desc: "what", detail: [1] }]));

row("session.call that a loss leaves open", async () => {
  var made = session();
  var found = [];
  made.call("p").then(null, (error) => found.push(error.uri));
  sockets[0].lose();
  await later(5);
  made.close();
  return found;
}, { genuine: [], ours: ["http://api.wamp.ws/error#connection-lost"] });

row("ab.Deferred of another library", async () => {
  var saved = ab.Deferred;
  ab.Deferred = function () {
    this.promise = () => "theirs";
    this.resolve = (value) => { this.value = value; };
    this.reject = () => {};
  };
  var made = session();
  var deferred;
  try { deferred = made.call("p"); } finally { ab.Deferred = saved; }
  sockets[0].receive([3, sent()[0][1], 7]);
  return [deferred.promise(), deferred.value];
}, same(["theirs", 7]));

row("session.log", () => {
  var one = session();
  var two = session({ sessionIdent: "mine" });
  var titles = shown(() => { one.log("x", 1); two.log("y"); }).split("\n").filter((each) => each);
  return titles;
}, same(["WAMP Session [id]", "x", "1", "WAMP Session 'mine' [id]", "y"]));

// ab.connect.

/** Connect on fake sockets; everything that the page gets is kept. */
var connected = (options, hangup) => {
  sockets = [];
  var kept = { told: [], sessions: [] };
  ab.connect("ws://fake/", (made) => { kept.sessions.push(made); kept.told.push("connect"); }, (code, reason, details) => {
    kept.told.push([code, reason.replace(/in [\d.]+ second/, "in N second"), details && [details.retries, details.maxretries]]
      .filter((each) => each !== undefined));
    return hangup && hangup(code);
  }, options);
  return kept;
};
var FAST = { retryDelay: 1, maxRetries: 3 };

row("ab.connect ab._connect", async () => {
  var kept = connected({ ...FAST });
  sockets[0].welcome("first");
  var first = kept.sessions[0];
  first.subscribe("t", () => {});
  sockets[0].lose();
  await until(() => sockets.length === 2);
  kept.told.push(thrown(() => first.publish("t", 1)));
  sockets[1].lose();
  await until(() => sockets.length === 3);
  sockets[2].welcome("second");
  // A new session, on which the page subscribes again.
  var second = kept.sessions[1];
  kept.told.push(first === second, second.sessionid(), sockets[2].sent, Object.keys(second._subscriptions));
  second.close();
  sockets[2].lose(1000, "", true);
  return kept.told;
}, same(["connect", [6, "Connection lost - scheduled 1th reconnect to occur in N second(s).", [1, 3]],
  "Autobahn not connected",
  [5, "Connection unreachable - scheduled 2th reconnect to occur in N second(s).", [2, 3]], "connect",
  false, "second", [], [], [0, "Connection was closed properly [WS-1000: ]"]]));

row("ab.connect with maxRetries", async () => {
  var kept = connected({ retryDelay: 1, maxRetries: 2 });
  sockets[0].welcome().lose();
  for (var count = 2; count <= 3; count += 1) {
    await until(() => sockets.length === count);
    sockets[count - 1].lose();
  }
  await later(10);
  return [kept.told.slice(1), sockets.length];
}, same([[[6, "Connection lost - scheduled 1th reconnect to occur in N second(s).", [1, 2]],
  [5, "Connection unreachable - scheduled 2th reconnect to occur in N second(s).", [2, 2]],
  [2, "Number of connection retries exceeded."]], 3]));

row("ab.connect that its page stops", async () => {
  var kept = connected({ ...FAST }, (code) => code === 6);
  sockets[0].welcome().lose();
  await later(10);
  return [kept.told.slice(1), sockets.length];
}, same([[[6, "Connection lost - scheduled 1th reconnect to occur in N second(s).", [1, 3]], [2, "Connection lost."]], 1]));

row("ab.connect without retries", () => {
  var kept = connected({ maxRetries: 0 });
  sockets[0].welcome().lose();
  return kept.told;
}, same(["connect", [2, "Connection lost."]]));

row("ab.connect without WebSocket", () => {
  ab._construct = () => null;
  return connected().told;
}, same([[4, "Browser does not support WebSocket."]]));

row("ab.connect without onConnect", () => thrown(() => ab.connect("ws://fake/")), same("onConnect handler required!"));

row("ab.connect with skipSubprotocolCheck and skipSubprotocolAnnounce", () => {
  var kept = connected({ skipSubprotocolCheck: true, skipSubprotocolAnnounce: true });
  sockets[0].protocol = "";
  sockets[0].welcome();
  return [sockets[0].protocols, kept.told];
}, same([null, ["connect"]]));

row("ab.connect ab._connect whose first attempt fails", async () => {
  var kept = connected({ ...FAST });
  sockets[0].lose();
  await later(10);
  kept.told.push(sockets.length);
  return kept.told;
}, { genuine: [[3, "Connection could not be established."], 1],
  ours: [[5, "Connection unreachable - scheduled 1th reconnect to occur in N second(s).", [1, 3]], 2] });

row("ab.connect that a server closes when it stops", async () => {
  var kept = connected({ ...FAST });
  sockets[0].welcome().lose(1001, "going away", true);
  await later(10);
  return [kept.told.slice(1), sockets.length];
}, { genuine: [[[0, "Connection was closed properly [WS-1001: going away]"]], 1],
  ours: [[[6, "Connection lost - scheduled 1th reconnect to occur in N second(s).", [1, 3]]], 2] });

// WAMP-CRA: the genuine file, and wampush.js with its add-on.

row("ab.deriveKey session.authsign", () => [ab.deriveKey("secret", { salt: "SALT99", iterations: 1000, keylen: 32 }),
  ab.deriveKey("secret", {}), ab.deriveKey("secret"), session().authsign('{"a":1}', "secret2"),
  session().authsign("text") === session().authsign("text", "")],
same(["jGWlLJCPZCY2bD3JujEKiPNcVfoJ+T/q4/2uRDFI4k4=", "secret", "secret", "tcOinNwUSdK9UUaZQGAfoXTttntPCZ3jyQe71Nh9KLI=", true]));

row("session.authreq session.auth", () => {
  var made = session();
  made.authreq("key", { a: 1 });
  made.authreq();
  made.auth("signature");
  made.auth();
  return sent().map((each) => each.slice(2));
}, same([["http://api.wamp.ws/procedure#authreq", "key", { a: 1 }],
  ["http://api.wamp.ws/procedure#authreq", null, null],
  ["http://api.wamp.ws/procedure#auth", "signature"], ["http://api.wamp.ws/procedure#auth", null]]));

row("ab.launch", async () => {
  var found = [];
  var answer = async (result) => {
    var call = sent()[sent().length - 1];
    sockets[0].receive([3, call[1], result]);
    await later(5);
    return call.slice(2);
  };
  var launch = (config) => {
    sockets = [];
    ab.launch({ wsuri: "ws://fake/", ...config }, (made) => found.push(made.sessionid()), (code) => found.push(code));
    sockets[0].welcome();
  };
  launch({ appkey: "key", appsecret: "secret2", appextra: { a: 1 }, sessionConfig: { maxRetries: 0 } });
  found.push(await answer('{"a":1}'), await answer({}));
  sockets[0].lose();
  launch({ appkey: "key", appsecret: (challenge) => "signed " + challenge });
  found.push(await answer("{}"), await answer({}));
  launch({});
  found.push(await answer(null), await answer({}));
  return found;
}, same(["id", ["http://api.wamp.ws/procedure#authreq", "key", { a: 1 }],
  ["http://api.wamp.ws/procedure#auth", "tcOinNwUSdK9UUaZQGAfoXTttntPCZ3jyQe71Nh9KLI="], 2,
  "id", ["http://api.wamp.ws/procedure#authreq", "key", null], ["http://api.wamp.ws/procedure#auth", "signed {}"],
  "id", ["http://api.wamp.ws/procedure#authreq", null, null], ["http://api.wamp.ws/procedure#auth", null]]));

// With a server.

row("session.subscribe session.publish session.unsubscribe with a server", async () => {
  var [one, two] = [await real(), await real()];
  var got = [];
  var listener = (topic, event) => got.push([topic, event]);
  one.prefix("news", "http://example.com/news#");
  one.subscribe("news:sport", listener);
  await one.call("none").then(null, () => {});
  two.publish("http://example.com/news#sport", { a: [1.5, "é", null] });
  two.publish("http://example.com/news#sport", "not for you", [one.sessionid()]);
  two.publish("http://example.com/news#sport", "for you", [], [one.sessionid()]);
  await two.call("none").then(null, () => {});
  await one.call("none").then(null, () => {});
  one.unsubscribe("http://example.com/news#sport", listener);
  await one.call("none").then(null, () => {});
  two.publish("http://example.com/news#sport", "too late");
  await two.call("none").then(null, () => {});
  await one.call("none").then(null, () => {});
  one.close();
  two.close();
  return got;
}, same([["http://example.com/news#sport", { a: [1.5, "é", null] }], ["http://example.com/news#sport", "for you"]]));

row("session.call with a server", async () => {
  var made = await real();
  var found = [typeof await made.call("wampush.time")];
  made.prefix("wamp", "http://api.wamp.ws/error#");
  await made.call("none").then(null, (error) => found.push(error.uri, typeof error.desc, "detail" in error));
  made.close();
  return found;
}, same(["number", "wamp:NoSuchRPCEndpoint", "string", false]));

row("session.close with a server", () => new Promise((resolve) => {
  var made = new ab.Session(serverUrl, () => made.close(), (code, reason) => resolve([code, reason.slice(0, 7)]));
}), same([0, "WS-1000"]));

// The run.

var which;
var serverUrl;
var construct;
/** Every name that the file has, as the table writes them. */
var namesOf = () => {
  var own = (prefix, object) => Object.getOwnPropertyNames(object)
    .filter((name) => name !== "constructor").map((name) => prefix + name);
  sockets = [];
  ab._construct = (url, protocols) => new FakeSocket(url, protocols);
  var made = new ab.Session("ws://fake/", () => {}, () => {});
  var promise = new ab.Deferred().promise;
  return Array.from(new Set([].concat(own("ab.", ab), own("ab.PrefixMap.", ab.PrefixMap.prototype),
    own("ab.PrefixMap.", new ab.PrefixMap()), own("session.", ab.Session.prototype), own("session.", made),
    own("promise.", promise), own("promise.", Object.getPrototypeOf(promise)),
    // Browsers have a `when` of their own.
    globalThis.when && globalThis.when.defer ? ["when"] : [],
    ["CryptoJS", "AUTOBAHNJS_VERSION", "AUTOBAHNJS_DEBUG"].filter((name) => name in globalThis))));
};

/** Run all rows on the file that is loaded; resolves with JSON: for each, its title, its names, and the two values. */
var runRows = async (file, url) => {
  which = file;
  serverUrl = url;
  construct = ab._construct;
  var report = [];
  for (var each of rows) {
    ab._construct = / with a server$|_construct$/.test(each.title)
      ? construct : (url, protocols) => new FakeSocket(url, protocols);
    var value;
    try { value = await each.run(); } catch (error) { value = "failed: " + (error && (error.stack || error.desc || error)); }
    report.push([each.title, each.names, value === undefined ? null : value, each.expected[which]]);
  }
  return JSON.stringify(report);
};
