/*
 * A client with one object: events and actions by name, calls that return promises, values that the
 * server pushes on change, async iterators, and tokens that are renewed.
 */

import { callWithin } from "./calls.js";
import { EventStream, StreamOverflow } from "./event_stream.js";
import { Connection, callError } from "./index.js";
import { StateValues } from "./state_values.js";
import { TokenRefresh } from "./token_refresh.js";

export { StreamOverflow };

const ERROR = "http://api.wamp.ws/error#";
/** Messages that may wait for a connection, and events that may wait for an iterator. */
const QUEUE = 1000;

const isFunction = (value) => typeof value === "function";

const needFunction = (value, what) => {
  if (!isFunction(value)) {
    throw new TypeError(`${what} needs a function, not ${value === null ? "null" : typeof value}`);
  }
};

/** Report what a page's function has thrown, without keeping others from being called. */
const report = (error) => {
  setTimeout(() => {
    throw error;
  });
};

/** Append a token to a URL. */
const withToken = (url, name, token) =>
  `${url}${url.includes("?") ? "&" : "?"}${encodeURIComponent(name)}=${encodeURIComponent(token)}`;

/** A URL with a fresh token, for each attempt. */
const addressWithToken = (url, token, name) => async () => {
  const [base, fresh] = await Promise.all([isFunction(url) ? url() : url, token()]);
  return fresh === null || fresh === undefined ? base : withToken(base, name, fresh);
};

/** The `{handler, module, data}` in a message of `send`, also as JSON; null for an action. */
const handlerMessage = (message) => {
  let found = message;
  if (typeof message === "string" && /^\s*\{/.test(message)) {
    try {
      found = JSON.parse(message);
    } catch (error) {
      return null;
    }
  }
  return found && typeof found === "object" && found.handler && found.module ? found : null;
};

/** Call a handler with details; those in an array are its arguments. */
const spread = (handler, details) => (Array.isArray(details) ? handler(...details) : handler(details));

export class Wampush {
  /**
   * Connect, and stay connected until `close`.
   *
   * @param {string|function(): (string|Promise<string>)} url asked before each attempt if a function
   * @param {object} [options] those below, and those of `Connection`
   * @param {function(): (string|Promise<string>)} [options.token] returns a fresh token; it is put into
   *   the URL of each attempt, and extends the session before it expires
   * @param {string} [options.tokenParameter] its name in the URL ("token")
   * @param {function(object): Promise} [options.authenticate] what each session does first; it gets an
   *   object with `call(procedure, args)`, as `authenticate` of the cra add-on takes it
   * @param {Object<string, string>} [options.states] names of `onStateChange`, and their topics
   * @param {number} [options.timeout] milliseconds that a call may take if it does not say otherwise
   * @param {number} [options.queue] messages that may wait for a connection (1,000)
   * @param {function(string|function, object): object} [options.connect] makes the connection, such as
   *   `sharedConnection` of the tabs add-on; it also gets `token` and `prepare`
   */
  constructor(url, options = {}) {
    const {
      token, tokenParameter = "token", authenticate, states, timeout, queue = QUEUE, connect, ...others
    } = options;
    this.timeout_ = timeout;
    this.queueLimit_ = queue;
    this.queue_ = []; // messages that wait for a connection
    this.openings_ = new Set(); // calls that wait for a connection
    this.handlers_ = new Map(); // name → entries of on() and once()
    this.streams_ = new Set();
    this.isEnded_ = false; // whether the page knows that the connection is closed
    this.listeners_ = { state: new Set(), statelost: new Set(), error: new Set() };
    this.states_ = new StateValues((topic, listener) => this.onMessage(topic, listener), states);
    const settings = { ...others, prepare: authenticate && this.reporting_(authenticate) };
    const address = token ? addressWithToken(url, token, tokenParameter) : url;
    this.connection_ = connect
      ? connect(address, { ...settings, token })
      : new Connection(address, settings);
    // A shared connection renews its token itself.
    this.refresh_ = token && !connect ? new TokenRefresh(
      (procedure, args) => this.connection_.call(procedure, args),
      token,
      (error) => this.notify_("error", error),
    ) : null;
    this.attach_();
    this.connection_.open();
  }

  /** "connecting", "open", "waiting" for the next attempt, or "closed". */
  get state() {
    return this.connection_.state;
  }

  get connected() {
    return this.state === "open";
  }

  /** The id of the session; null while there is none. */
  get sessionId() {
    return this.connection_.sessionId;
  }

  /** The newest values that `onStateChange` knows, by name. */
  get values() {
    return this.states_.current;
  }

  /** Connect again after the end for good. Handlers are kept. */
  open() {
    this.isEnded_ = false;
    this.connection_.open();
  }

  /** End the connection for good. Calls and actions that wait are refused. */
  close(code, reason) {
    if (this.state !== "closed") {
      this.isEnded_ = true;
      this.connection_.close(code, reason);
      const end = { code: code || 1000, reason: reason || "", wasClean: true };
      this.notify_("state", "closed", { ...end, wasOpen: true, isFinal: true });
    }
  }

  /**
   * Handle an action or the events of a topic. Details in an array are passed as arguments.
   *
   * @param {string} name of the action, or a topic
   * @param {?function(...*)} success gets the details
   * @param {?function(number, string)} [error] gets code and text of `NAME:error`
   */
  on(name, success, error) {
    this.add_(name, success, error, false);
    return this;
  }

  /** Like `on`, but only the first answer is handled, whether it is a success or an error. */
  once(name, success, error) {
    this.add_(name, success, error, true);
    return this;
  }

  /** Take off handlers that were given to `on` or `once`; with a name alone, all of them. */
  off(name, success, error) {
    const all = !success && !error;
    for (const entry of [...(this.handlers_.get(name) || [])]) {
      if (all || (success && entry.success === success)) {
        this.take_(name, entry, "success");
      }
      if (all || (error && entry.error === error)) {
        this.take_(name, entry, "error");
      }
    }
    return this;
  }

  /**
   * Send an action with details, or call a handler of the server.
   *
   * An action has no confirmation: one that is sent at the moment of a loss may be lost; `call` knows.
   * Without a connection, actions wait for the next.
   *
   * @param {string|object} action its name; or `{handler, module, data}`, also as JSON
   * @param {*} [details] any JSON value
   * @returns {Wampush|Promise} for `{handler, module, data}` the promise of the value of the procedure
   *   `module.handler`
   * @throws {Error} too many actions wait, or the connection was closed
   */
  send(action, details) {
    const message = handlerMessage(action);
    if (message) {
      const { data = null } = message;
      return this.call(`${message.module}.${message.handler}`, [data]);
    }
    if (typeof action !== "string" || !action) {
      throw new TypeError("send needs the name of an action, or {handler, module, data}");
    }
    this.publish(action, details === undefined ? null : details);
    return this;
  }

  /**
   * Publish an event. Without a connection, it waits for the next; see `send`.
   *
   * @param {{excludeMe?: boolean, exclude?: string[], eligible?: string[]}} [options] session ids
   */
  publish(topic, event, options) {
    if (this.state === "open") {
      this.connection_.publish(topic, event, options);
    } else if (this.state === "closed") {
      throw new Error(`${topic} was not sent: the connection is closed`);
    } else if (this.queue_.length < this.queueLimit_) {
      this.queue_.push([topic, event, options]);
    } else {
      throw new Error(`${topic} was not sent: ${this.queueLimit_} messages wait for a connection`);
    }
  }

  /**
   * Call a procedure. Without a connection, the call waits for the next.
   *
   * @param {string} procedure
   * @param {Array} [args]
   * @param {{timeout?: number, signal?: AbortSignal}} [options] timeout in ms, waiting included
   * @returns {Promise} the result; rejected with an error with `uri`, `desc` and `detail`
   */
  async call(procedure, args = [], options = {}) {
    if (!Array.isArray(args)) {
      throw new TypeError(`the arguments of ${procedure} must be an array`);
    }
    const { timeout = this.timeout_, signal } = options;
    const begin = Date.now();
    if (this.state !== "open" && this.state !== "closed") {
      await this.opening_(timeout, signal);
    }
    const left = timeout === undefined ? undefined : Math.max(1, timeout - (Date.now() - begin));
    return callWithin(this.connection_, procedure, args, { timeout: left, signal });
  }

  /**
   * Call a function about the values that the server pushes: with the value of one name, or, without a
   * name, with `{changes, original, value}` about all of them.
   *
   * @returns {function()} ends it
   */
  onStateChange(name, callback) {
    if (isFunction(name)) {
      return this.states_.watchAll(name);
    }
    needFunction(callback, `onStateChange(${name})`);
    return this.states_.watch(name, ({ value }) => callback(value[name]));
  }

  /**
   * Call a function with each event of a topic, as it is.
   *
   * @returns {function()} ends it
   */
  onMessage(topic, callback) {
    needFunction(callback, `onMessage(${topic})`);
    const handler = (_, event) => callback(event);
    this.connection_.subscribe(topic, handler);
    return () => this.connection_.unsubscribe(topic, handler);
  }

  /**
   * Iterate over the events of a topic, from now on.
   *
   * @param {{limit?: number, signal?: AbortSignal}} [options] how many events may wait for the loop
   *   (1,000), after which it ends with `StreamOverflow`; what ends it
   * @returns {EventStream}
   */
  events(topic, { limit = QUEUE, signal } = {}) {
    const end = () => stream.end();
    const stream = new EventStream(topic, limit, (listener) => {
      const stop = this.onMessage(topic, listener);
      return () => {
        this.streams_.delete(stream);
        if (signal) {
          signal.removeEventListener("abort", end);
        }
        stop();
      };
    });
    this.streams_.add(stream);
    if (signal && signal.aborted) {
      end();
    } else if (signal) {
      signal.addEventListener("abort", end);
    }
    return stream;
  }

  /**
   * Call a function with each new state of the connection. With "waiting" and "closed" it also gets
   * `{code, reason, wasClean, wasOpen, isFinal, delay}`: why the last one ended, and the ms until the
   * next attempt.
   *
   * @returns {function()} ends it
   */
  onConnectionChange(callback) {
    return this.listen_("state", callback);
  }

  /** Call a function with each topic of which events are missing after a return; returns what ends it. */
  onStateLost(callback) {
    return this.listen_("statelost", callback);
  }

  /** Call a function with errors that belong to no call, such as of tokens; returns what ends it. */
  onError(callback) {
    return this.listen_("error", callback);
  }

  listen_(kind, callback) {
    needFunction(callback, "a listener");
    const each = (...values) => callback(...values);
    this.listeners_[kind].add(each);
    return () => {
      this.listeners_[kind].delete(each);
    };
  }

  notify_(kind, ...values) {
    const listeners = this.listeners_[kind];
    if (kind === "error" && !listeners.size) {
      console.error("wampush:", ...values);
    }
    listeners.forEach((each) => {
      try {
        each(...values);
      } catch (error) {
        report(error);
      }
    });
  }

  add_(name, success, error, isOnce) {
    if (!isFunction(success) && !isFunction(error)) {
      throw new TypeError(`${name} needs a function for its details, or one for its errors`);
    }
    const entry = { success, error, subscribed: {} };
    const subscribe = (kind, topic, handler) => {
      if (isFunction(handler)) {
        entry.subscribed[kind] = (_, details) => {
          if (isOnce) {
            this.take_(name, entry, "success");
            this.take_(name, entry, "error");
          }
          spread(handler, details);
        };
        this.connection_.subscribe(topic, entry.subscribed[kind]);
      }
    };
    const entries = this.handlers_.get(name);
    if (entries) {
      entries.add(entry);
    } else {
      this.handlers_.set(name, new Set([entry]));
    }
    subscribe("success", name, success);
    subscribe("error", `${name}:error`, error);
  }

  take_(name, entry, kind) {
    const handler = entry.subscribed[kind];
    if (handler) {
      delete entry.subscribed[kind];
      this.connection_.unsubscribe(kind === "error" ? `${name}:error` : name, handler);
    }
    const entries = this.handlers_.get(name);
    if (entries && !entry.subscribed.success && !entry.subscribed.error) {
      entries.delete(entry);
      if (!entries.size) {
        this.handlers_.delete(name);
      }
    }
  }

  /** Wait for a connection, or until it is closed; the call itself says so then. */
  opening_(timeout, signal) {
    return new Promise((resolve, reject) => {
      const settle = (error) => {
        this.openings_.delete(settle);
        clearTimeout(clock);
        if (signal) {
          signal.removeEventListener("abort", aborted);
        }
        if (error) {
          reject(error);
        } else {
          resolve();
        }
      };
      const aborted = () => settle(callError(`${ERROR}aborted`, "The call was aborted."));
      const expired = () =>
        settle(callError(`${ERROR}timeout`, `There was no connection within ${timeout} ms.`));
      const clock = timeout === undefined ? null : setTimeout(expired, timeout);
      this.openings_.add(settle);
      if (signal && signal.aborted) {
        aborted();
      } else if (signal) {
        signal.addEventListener("abort", aborted);
      }
    });
  }

  /** Run a function of the page, and have its failure reported. */
  reporting_(act) {
    return async (connection) => {
      try {
        return await act(connection);
      } catch (error) {
        this.notify_("error", error);
        throw error;
      }
    };
  }

  attach_() {
    const connection = this.connection_;
    const announce = connection.onstatelost;
    connection.onstatelost = (topic) => {
      announce(topic);
      this.notify_("statelost", topic);
    };
    connection.onrefused = (topic, error) => {
      this.notify_("error", Object.assign(error, { topic }));
    };
    connection.onerror = (error) => this.notify_("error", error);
    // A session is open for the page once it has subscribed again, and an end has a reason.
    connection.onopen = () => {
      this.onState_("open");
      this.notify_("state", "open");
    };
    connection.onstate = (state) => {
      if (state !== "open") {
        this.onState_(state);
      }
      if (state === "connecting") {
        this.notify_("state", state);
      }
    };
    connection.onclose = (end) => {
      if (!this.isEnded_) {
        this.isEnded_ = this.state === "closed";
        this.notify_("state", this.state, end);
      }
    };
  }

  onState_(state) {
    if (this.refresh_) {
      this.refresh_.follow(state);
    }
    if (state === "open") {
      this.queue_.splice(0).forEach((waiting) => this.connection_.publish(...waiting));
    } else if (state === "closed") {
      const dropped = this.queue_.splice(0).length;
      if (dropped) {
        this.notify_("error", new Error(`${dropped} messages were not sent: the connection is closed`));
      }
      [...this.streams_].forEach((stream) => stream.end());
    }
    if (state === "open" || state === "closed") {
      [...this.openings_].forEach((settle) => settle());
    }
  }
}
