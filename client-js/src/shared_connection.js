/*
 * A tab's side of a connection that several tabs share. It has the methods and functions of Connection.
 *
 * The hub that has the connection may end with its tab. The next one asks all tabs to join with their
 * positions, so that nobody misses an event or gets one twice, and is not noticed otherwise unless it
 * cannot connect.
 */

import { callError } from "./index.js";

const ERROR = "http://api.wamp.ws/error#";
/** Milliseconds that a new hub has for its connection before the page gets to know. */
const TAKEOVER = 3000;

const lost = () => callError(`${ERROR}connection-lost`, "connection lost");

const toError = ({ uri, desc, detail }) => callError(uri, desc, detail);

/** Report what a page's function has thrown, without keeping others from being called. */
const report = (error) => {
  setTimeout(() => {
    throw error;
  });
};

export class SharedConnection {
  /**
   * @param {function(boolean): object} openTransport makes what carries messages to the hub; gets
   *   whether the browser could not run the worker
   * @param {{url: function, token: ?function, prepare: ?function}} answers what this tab answers when
   *   the hub asks
   */
  constructor(openTransport, answers) {
    this.openTransport_ = openTransport;
    this.answers_ = answers;
    this.transport_ = null;
    this.workerFailed_ = false;
    this.hasHub_ = false;
    this.hubState_ = "closed";
    this.lastNumber_ = 0;
    this.pending_ = new Map(); // number → {message, isTaken, resolve, reject}
    this.takeover_ = null;
    this.opens_ = 0;
    this.onPageHide_ = () => this.suspend_();
    this.onPageShow_ = ({ persisted }) => persisted && this.resume_();
    this.topics = new Map(); // topic → {handlers, since, isNew}
    this.state = "closed";
    this.sessionId = null;
    this.onopen = this.onclose = this.onstate = () => {};
    this.onstatelost = (topic) => {
      if (typeof dispatchEvent === "function") {
        dispatchEvent(new CustomEvent("wampush:state-lost", { detail: { topic } }));
      }
    };
    this.onrefused = (topic, error) => console.warn(`${topic}: not subscribed: ${error.desc}`);
    this.onerror = (error) => console.error("wampush:", error);
  }

  open() {
    if (this.state === "closed") {
      if (typeof addEventListener === "function") {
        addEventListener("pagehide", this.onPageHide_);
        addEventListener("pageshow", this.onPageShow_);
      }
      this.set_("connecting");
      this.resume_();
    }
  }

  /** Leave; the connection is closed with the last tab that leaves. */
  close(code, reason) {
    if (this.state === "closed") {
      return;
    }
    if (typeof removeEventListener === "function") {
      removeEventListener("pagehide", this.onPageHide_);
      removeEventListener("pageshow", this.onPageShow_);
    }
    this.leave_({ type: "close", code, reason });
    this.end_({ code: code || 1000, reason: reason || "", wasClean: true, isFinal: true });
  }

  subscribe(topic, handler) {
    let entry = this.topics.get(topic);
    if (!entry) {
      entry = { handlers: [], since: null, isNew: true };
      this.topics.set(topic, entry);
      if (this.hasHub_) {
        this.post_({ type: "subscribe", topic, since: null, isNew: true });
        entry.isNew = false;
      }
    }
    entry.handlers.push(handler);
  }

  unsubscribe(topic, handler) {
    const entry = this.topics.get(topic);
    if (entry) {
      entry.handlers = handler ? entry.handlers.filter((each) => each !== handler) : [];
      if (!entry.handlers.length) {
        this.topics.delete(topic);
        if (this.hasHub_) {
          this.post_({ type: "unsubscribe", topic });
        }
      }
    }
  }

  publish(topic, event, options) {
    this.ask_({ type: "publish", topic, event, options }, () => {}, this.onerror);
  }

  call(procedure, args = []) {
    return new Promise((resolve, reject) => {
      this.request(procedure, args, resolve, reject);
    });
  }

  /** Call a procedure; one of the two functions gets the answer. */
  request(procedure, args, onResult, onError) {
    this.ask_({ type: "call", procedure, args }, onResult, onError);
  }

  /** Ask the hub for something, now or once there is one. */
  ask_(request, resolve, reject) {
    if (this.state === "closed") {
      setTimeout(reject, 0, lost());
    } else {
      const number = (this.lastNumber_ += 1);
      const message = { ...request, number };
      this.pending_.set(number, { message, isTaken: false, resolve, reject });
      if (this.hasHub_) {
        this.post_(message);
      }
    }
  }

  /** Take a request off those that wait for an answer. */
  settle_(number) {
    const pending = this.pending_.get(number);
    this.pending_.delete(number);
    return pending;
  }

  // The hub.

  post_(message) {
    this.transport_.post(message);
  }

  /** Come to the hub, also when the page comes back from the browser's cache. */
  resume_() {
    if (this.state !== "closed" && !this.transport_) {
      this.transport_ = this.openTransport_(this.workerFailed_);
      const transport = this.transport_;
      transport.start(
        (message) => transport === this.transport_ && this[`on_${message.type}`](message),
        () => {
          if (transport === this.transport_) {
            transport.end();
            this.transport_ = null;
            this.workerFailed_ = true;
            this.resume_();
          }
        },
      );
    }
  }

  /** The page is closed, or goes to the browser's cache. */
  suspend_() {
    this.leave_({ type: "leave" });
  }

  leave_(message) {
    const transport = this.transport_;
    if (transport) {
      if (this.hasHub_) {
        this.post_(message);
      }
      this.hasHub_ = false;
      this.transport_ = null;
      transport.end();
    }
  }

  end_(end) {
    clearTimeout(this.takeover_);
    this.takeover_ = null;
    this.sessionId = null;
    [...this.pending_.keys()].forEach((number) => this.settle_(number).reject(lost()));
    this.set_("closed");
    this.onclose(end);
  }

  /** There is a hub, perhaps another than before. */
  on_hub() {
    this.hasHub_ = true;
    this.pending_.forEach((pending, number) => {
      // What an earlier hub has taken may have been carried out.
      if (pending.isTaken) {
        this.settle_(number).reject(lost());
      }
    });
    this.join_();
  }

  on_unknown() {
    this.join_();
  }

  join_() {
    const topics = [...this.topics].map(([topic, { since, isNew }]) => [topic, since, isNew]);
    this.topics.forEach((entry) => {
      entry.isNew = false;
    });
    this.post_({ type: "join", topics });
    this.pending_.forEach(({ message, isTaken }) => !isTaken && this.post_(message));
  }

  on_state({ state, sessionId }) {
    this.hubState_ = state;
    this.sessionId = sessionId;
    if (state === "open") {
      clearTimeout(this.takeover_);
      this.takeover_ = null;
      const isReturn = this.opens_ > 0;
      if (this.state !== "open") {
        this.opens_ += 1;
        this.set_("open");
        this.onopen(isReturn);
      }
    } else if (state === "connecting" && this.state === "open") {
      if (this.takeover_ === null) {
        this.takeover_ = setTimeout(() => this.set_(this.hubState_), TAKEOVER);
      }
    } else if (state !== "closed") {
      this.set_(state);
    }
  }

  on_end({ end }) {
    if (end.isFinal) {
      this.leave_({ type: "leave" });
      this.end_(end);
    } else {
      this.onclose(end);
    }
  }

  on_event({ topic, event, position }) {
    const entry = this.topics.get(topic);
    if (!entry || (position && !isNews(entry.since, position))) {
      return;
    }
    if (position) {
      entry.since = position;
    }
    entry.handlers.slice().forEach((handler) => {
      try {
        handler(topic, event, position);
      } catch (error) {
        report(error);
      }
    });
  }

  on_position({ topic, position }) {
    const entry = this.topics.get(topic);
    if (entry && (!position || isNews(entry.since, position))) {
      entry.since = position;
    }
  }

  on_lost({ topic }) {
    if (this.topics.has(topic)) {
      this.onstatelost(topic);
    }
  }

  on_refused({ topic, error }) {
    if (this.topics.has(topic)) {
      this.onrefused(topic, toError(error));
    }
  }

  on_error({ error }) {
    this.onerror(toError(error));
  }

  on_taken({ number }) {
    const pending = this.pending_.get(number);
    if (pending) {
      pending.isTaken = true;
      if (pending.message.type === "publish") {
        this.settle_(number).resolve();
      }
    }
  }

  on_result({ number, result }) {
    const pending = this.settle_(number);
    if (pending) {
      pending.resolve(result);
    }
  }

  on_failure({ number, error }) {
    const pending = this.settle_(number);
    if (pending) {
      pending.reject(toError(error));
    }
  }

  /** Answer a question of the hub: for the URL, for a token, or to prepare a session. */
  async on_question({ what, number }) {
    const transport = this.transport_;
    const reply = { type: "reply", number };
    try {
      const call = (procedure, args = []) => new Promise((resolve, reject) => {
        this.ask_({ type: "call", procedure, args, isPreparation: true }, resolve, reject);
      });
      reply.value = await this.answers_[what]({ call });
    } catch (error) {
      this.onerror(error);
      reply.error = String(error);
    }
    if (transport === this.transport_ && this.hasHub_) {
      this.post_(reply);
    }
  }

  set_(state) {
    if (state !== this.state) {
      this.state = state;
      this.onstate(state);
    }
  }
}

/** Whether a position is not yet reached. */
const isNews = (since, position) =>
  !since || since.epoch !== position.epoch || position.offset > since.offset;
