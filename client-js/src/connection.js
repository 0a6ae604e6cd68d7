/**
 * One logical connection: it comes back after every loss, with its prefixes, its subscriptions and,
 * from a wampush server, with the events that were missed.
 *
 * States: "closed" (not opened, or ended for good), "connecting", "open", and "waiting" for the
 * next attempt. Members that end with "_" are for the inside.
 */
import { backoff } from "./backoff.js";
import { comesBack } from "./close_codes.js";
import { PrefixMap } from "./prefixes.js";
import { Topic } from "./topic.js";
import * as wire from "./wire.js";

/** A connection that lasted so long was good: the delays begin anew. */
const GOOD = 10000;
/** How long WELCOME may take, and the answer to a probe. */
const PATIENCE = 20000;
const PROBE = 10000;
/** How often the clock is looked at; a jump that tells of sleep; a silence that is doubted. */
const TICK = 5000;
const JUMP = 15000;
const SILENCE = 60000;

const ignore = () => {};

/** Return the error of a call, as pages of WAMP v1 know it: `{uri, desc, detail}`. */
export const callError = (uri, desc, detail) =>
  Object.assign(new Error(desc), { uri, desc }, detail === undefined ? null : { detail });

const lost = () =>
  callError("http://api.wamp.ws/error#connection-lost", "connection lost");

const asEnd = ({ code, reason, wasClean }) => ({ code, reason, wasClean });

/** What a socket that went without a Close frame would say. */
const cut = (reason = "no answer") => ({ code: 1006, reason: `${reason}`, wasClean: false });

export class Connection {
  /**
   * @param {string|function(): (string|Promise<string>)} url called for each attempt if a function,
   *   so that a token in it can be new
   * @param {object} [options]
   * @param {function(string, string[]): WebSocket} [options.construct] makes the socket
   * @param {boolean} [options.announce] whether the subprotocol is offered (true)
   * @param {boolean} [options.check] whether the server must select it (true)
   * @param {number} [options.longest] longest delay before an attempt, in ms (20,000)
   * @param {boolean} [options.fresh] whether prefixes and subscriptions are forgotten at a loss,
   *   because the page makes them again; where it was in each topic is remembered
   * @param {function(number): boolean} [options.comesBack] which close codes are not the end
   * @param {function(Connection): Promise} [options.prepare] what each session does before anything
   *   else, such as to authenticate; if it fails, the next attempt follows
   */
  constructor(url, options = {}) {
    this.url = url;
    this.options = options;
    this.fresh = options.fresh;
    this.state = "closed";
    this.sessionId = this.server = this.version = this.socket = null;
    // How often a session has begun since `open`.
    this.opens = 0;
    this.prefixes = new PrefixMap();
    /** Topics by URI. */
    this.topics = new Map();
    this.positions_ = new Map();
    this.calls_ = new Map();
    this.lastCall_ = 0;
    this.wake_ = () => this.onWake_();
    // What a user of this class may set. `onclose` gets `{code, reason, wasClean, wasOpen, isFinal,
    // delay}`; it ends the connection for good by returning something true. `onposition` gets a topic
    // and the position up to which its handlers have all events.
    this.onopen = this.onclose = this.onstate = this.onposition = this.ontrace = ignore;
    this.onstatelost = (topic) => {
      if (globalThis.dispatchEvent) {
        dispatchEvent(new CustomEvent("wampush:state-lost", { detail: { topic } }));
      }
    };
    this.onrefused = (topic, error) => console.warn("not subscribed:", topic, error.desc);
  }

  /** Connect, and stay connected until `close` or a close code that means it. */
  open() {
    if (this.state === "closed") {
      this.attempt_ = this.opens = 0;
      this.watch_("addEventListener");
      this.last_ = Date.now();
      this.ticking_ = setInterval(() => this.tick_(), TICK);
      try {
        this.connect_();
      } catch (error) {
        this.end_();
        throw error;
      }
    }
  }

  /** End the connection for good. */
  close(...close) {
    const { state, socket } = this;
    if (state !== "closed") {
      const onclose = (event) => this.onclose({ ...asEnd(event), wasOpen: true, isFinal: true });
      this.end_(...close);
      if (state === "open") {
        socket.onclose = onclose;
      } else {
        onclose({ code: 1000, reason: "", wasClean: true });
      }
    }
  }

  prefix(prefix, uri) {
    this.prefixes.set(prefix, uri);
    this.sendIfOpen_([wire.PREFIX, prefix, uri]);
  }

  /**
   * Subscribe to a topic, a URI or CURIE. Without a connection, it takes effect with the next.
   *
   * @param {function(string, *, ?{epoch: string, offset: number})} handler gets the topic, an event,
   *   and its position if the topic keeps events
   * @param {?{epoch: string, offset: number}} [since] the newest position that is known
   */
  subscribe(name, handler, since) {
    const uri = this.resolve_(name);
    let topic = this.topics.get(uri);
    if (!topic) {
      const known = since || this.positions_.get(uri);
      topic = new Topic(name, known, this.positions_.delete(uri) || known);
      this.topics.set(uri, topic);
      if (this.state === "open") {
        this.begin_(uri, topic);
      }
    }
    topic.handlers.push(handler);
  }

  /** Take a handler off a topic, or all of them. */
  unsubscribe(name, handler) {
    const uri = this.resolve_(name);
    const topic = this.topics.get(uri);
    if (topic) {
      topic.handlers = topic.handlers.filter((each) => handler && each !== handler);
      if (!topic.handlers.length) {
        this.topics.delete(uri);
        this.sendIfOpen_([wire.UNSUBSCRIBE, name]);
      }
    }
  }

  /** Publish; see `wire.publication` for the options. */
  publish(topic, event, options) {
    this.send(wire.publication(topic, event, options));
  }

  /** Call a procedure; the promise is rejected with `{uri, desc, detail}`. */
  call(procedure, args = []) {
    return new Promise((resolve, reject) => this.request(procedure, args, resolve, reject));
  }

  /** Call a procedure; one of the two functions gets the answer in the moment when it comes. */
  request(procedure, args, onResult, onError) {
    const id = Math.random().toString(36).slice(2) + (this.lastCall_ += 1);
    if (this.sessionId) {
      this.calls_.set(id, [onResult, onError]);
      this.send([wire.CALL, id, this.prefixes.shrink(procedure, true), ...args]);
    } else {
      setTimeout(onError, 0, lost());
    }
  }

  /** Send a message as it is. */
  send(message) {
    if (!this.sessionId) {
      throw "Autobahn not connected";
    }
    const text = wire.encode(message);
    this.socket.send(text);
    this.ontrace(true, text);
  }

  /** Send a message unless no session is open; the next one repeats it in any case. */
  sendIfOpen_(message) {
    if (this.state === "open") {
      this.send(message);
    }
  }

  resolve_(name) {
    return this.prefixes.resolve(name, true);
  }

  set_(state) {
    if (state !== this.state) {
      this.state = state;
      this.onstate(state);
    }
  }

  // The socket.

  connect_() {
    const { url } = this;
    clearTimeout(this.timer_);
    this.timer_ = setTimeout(() => this.lose_(cut()), PATIENCE);
    this.set_("connecting");
    if (typeof url === "function") {
      const attempt = (this.attempting_ = {});
      const unless = (use) => (value) => attempt === this.attempting_ && use(value);
      Promise.resolve()
        .then(url)
        .then(unless((found) => this.construct_(found)))
        .catch(unless((error) => this.lose_(cut(error))));
    } else {
      this.construct_(url);
    }
  }

  reconnect_() {
    try {
      this.connect_();
    } catch (error) {
      this.lose_(cut(error));
    }
  }

  construct_(url) {
    const { construct, announce, check } = this.options;
    const make = construct || ((...args) => new WebSocket(...args));
    const socket = make(url, announce === false ? [] : [wire.SUBPROTOCOL]);
    this.socket = socket;
    socket.onopen = () => {
      if (check !== false && socket.protocol !== wire.SUBPROTOCOL) {
        const problem = "server does not speak WAMP";
        console.error(`${problem} (but '${socket.protocol}' !)`);
        // Perhaps that of a proxy, if it was there before.
        this.isWrong_ = !this.opens;
        socket.close(1000, problem);
      }
    };
    socket.onmessage = ({ data }) => this.onText_(data);
    socket.onclose = (event) => this.lose_(asEnd(event));
    // What it is, nobody says; node ends a process over one that nobody hears of.
    socket.onerror = ignore;
  }

  onText_(text) {
    this.heard_ = Date.now();
    this.ontrace(false, text);
    const [type, first, second, third, fourth] = wire.decode(text) || [];
    const call = this.calls_.get(first);
    if (type === wire.EVENT) {
      this.onEvent_(first, second, third);
    } else if (type === wire.WELCOME && !this.sessionId) {
      this.onWelcome_(first, second, third);
    } else if (type === wire.CALL_RESULT || type === wire.CALL_ERROR) {
      if (this.calls_.delete(first)) {
        if (type === wire.CALL_RESULT) {
          call[0](second);
        } else {
          call[1](callError(second, third, fourth));
        }
      }
    } else {
      console.warn("unexpected:", text);
    }
  }

  onWelcome_(sessionId, version, server) {
    const { socket, options } = this;
    const unless = (use) => (value) => socket === this.socket && use(value);
    Object.assign(this, { sessionId, version, server });
    this.recovers_ = /^wampush\b/.test(server);
    if (options.prepare) {
      Promise.resolve(this)
        .then(options.prepare)
        .then(unless(() => this.start_()))
        .catch(unless((error) => this.lose_(cut(error))));
    } else {
      this.start_();
    }
  }

  /** Have a session know what earlier ones did. */
  start_() {
    const isReturn = this.opens > 0;
    clearTimeout(this.timer_);
    this.welcomed_ = this.heard_;
    this.opens += 1;
    this.asksPositions_ = this.hasPositions_ = false;
    this.set_("open");
    this.prefixes.forEach((prefix, uri) => this.sendIfOpen_([wire.PREFIX, prefix, uri]));
    this.topics.forEach((topic, uri) => this.begin_(uri, topic));
    this.onopen(isReturn);
  }

  lose_(event) {
    const { code, wasClean } = event;
    const wasOpen = this.state === "open";
    const isFinal = this.isWrong_ || (wasClean && !(this.options.comesBack || comesBack)(code));
    if (wasOpen && Date.now() - this.welcomed_ > GOOD) {
      this.attempt_ = 0;
    }
    const delay = backoff(this.attempt_, this.options.longest);
    this.attempt_ += 1;
    if (isFinal) {
      this.end_();
    } else {
      this.settle_("waiting", () => {
        this.timer_ = setTimeout(() => this.reconnect_(), delay);
      });
    }
    if (this.onclose({ ...event, wasOpen, isFinal, delay })) {
      this.end_();
    }
  }

  end_(...close) {
    clearInterval(this.ticking_);
    this.watch_("removeEventListener");
    this.settle_("closed", ignore, close);
  }

  /**
   * Let go of the socket, and reject what waits for an answer of it.
   *
   * Pages are called last; they may close or open the connection.
   */
  settle_(state, next, close = []) {
    const { socket } = this;
    const calls = [...this.calls_.values()];
    clearTimeout(this.timer_);
    clearTimeout(this.probe_);
    this.calls_.clear();
    this.socket = this.attempting_ = this.probe_ = this.sessionId = null;
    this.isWrong_ = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(...close);
    }
    this.topics.forEach((topic) => {
      topic.held_ = null;
    });
    if (this.fresh && this.state === "open") {
      this.positions_.clear();
      this.topics.forEach(({ since_ }, uri) => this.positions_.set(uri, since_));
      this.topics.clear();
      this.prefixes = new PrefixMap();
    }
    next();
    this.set_(state);
    for (const [, onError] of calls) {
      onError(lost());
    }
  }

  // Subscriptions.

  /**
   * Begin a subscription on the wire.
   *
   * Whether the events that come before the answer close the gap is known with the answer only, so
   * they are held until then; if it does not come, the next session gets them again.
   */
  begin_(uri, topic) {
    const { since_, isReturn_ } = topic;
    topic.isReturn_ = true;
    const go = (isRecovered) => {
      const held = topic.held_ || [];
      let last = isRecovered ? since_.offset : -1;
      topic.held_ = null;
      if (isReturn_ && !isRecovered) {
        this.onstatelost(uri);
      }
      for (const [event, offset] of held) {
        // Where the server subscribes sessions by itself, some come twice.
        if (!isRecovered || offset > last) {
          last = offset;
          topic.deliver_(uri, event, offset);
        }
      }
    };
    const plain = () => {
      topic.since_ = null;
      this.send([wire.SUBSCRIBE, topic.name]);
      go(false);
    };
    if (!this.recovers_) {
      plain();
      return;
    }
    if (!this.asksPositions_) {
      // Not before: a page may have to authenticate first.
      this.asksPositions_ = true;
      this.request(
        "wampush.positions",
        [],
        () => {
          this.hasPositions_ = true;
        },
        () => {
          this.asksPositions_ = false;
        },
      );
    }
    topic.held_ = [];
    this.request(
      "wampush.subscribe",
      since_ ? [uri, { since: since_ }] : [uri],
      (answer) => {
        const { recovered, epoch, offset } = { ...answer };
        // Without offsets in events, a position would grow old, and its events come twice.
        topic.since_ = this.hasPositions_ && epoch ? { epoch, offset } : null;
        go(since_ && recovered);
        this.onposition(uri, topic.since_);
      },
      (error) => {
        if (!this.sessionId) {
          // The next session asks again.
        } else if (/#(NoSuchRPCEndpoint|invalid-argument)$/.test(error.uri)) {
          // An older wampush.
          plain();
        } else {
          this.onrefused(uri, error);
          go(false);
        }
      },
    );
  }

  onEvent_(name, event, offset) {
    // What the server names so may be anything.
    const topic = this.topics.get(this.resolve_(`${name}`));
    if (topic) {
      if (topic.held_) {
        topic.held_.push([event, offset]);
      } else {
        topic.deliver_(name, event, offset);
      }
    }
  }

  // The world outside.

  watch_(change) {
    const { document } = globalThis;
    if (document) {
      globalThis[change]("online", this.wake_);
      document[change]("visibilitychange", this.wake_);
    }
  }

  tick_() {
    const now = Date.now();
    const hasSlept = now - this.last_ > JUMP;
    this.last_ = now;
    if (hasSlept || now - this.heard_ > SILENCE) {
      this.onWake_();
    }
  }

  /** The network or the page is back: try at once, or find out whether the connection still is. */
  onWake_() {
    const { document } = globalThis;
    if (document && document.hidden) {
      return;
    }
    if (this.state === "waiting") {
      this.reconnect_();
    } else if (this.state === "open" && this.recovers_ && !this.probe_) {
      this.probe_ = setTimeout(() => this.lose_(cut()), PROBE);
      const end = () => {
        clearTimeout(this.probe_);
        this.probe_ = null;
      };
      this.request("wampush.time", [], end, end);
    }
  }
}
