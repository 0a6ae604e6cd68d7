/*
 * One connection for several members, which are tabs. The hub runs in a shared worker, or in the tab
 * that was elected.
 *
 * A member gets each event with its position, and drops what it has. So events that were sent again for
 * one member do no harm to the others, and a new hub, or one whose connection was cut, begins where the
 * member with the oldest position is.
 */

import { callError } from "./index.js";
import { TokenRefresh } from "./token_refresh.js";

const LOST = "http://api.wamp.ws/error#connection-lost";
/** Milliseconds in which a member has to answer a question of the hub. */
const PATIENCE = 10000;
/** Requests that may wait for a connection. */
const QUEUE = 1000;
/** A position before all others, for which the server sends what new subscribers get. */
const NOWHERE = { epoch: "-", offset: 0 };
/** Topics that keep nothing, but are followed by their value when a session subscribes. */
const COUNTERS = /^wampush\.presence\.num_/;

const bare = ({ uri, desc, detail, message }) => ({ uri, desc: desc || message, detail });

/** Whether one position is before another of the same epoch; null is before all. */
const isBefore = (one, other) =>
  !one || (other && one.epoch === other.epoch && one.offset < other.offset);

export class Hub {
  /**
   * @param {function({url: function, prepare: function}): Connection} connect gets functions that ask a
   *   member for the URL, and have one prepare a session; makes the connection, not open yet
   * @param {function(string, object)} post sends a message to a member
   * @param {boolean} hasToken whether members can be asked for fresh tokens
   */
  constructor(connect, post, hasToken) {
    this.post_ = post;
    this.members_ = new Map(); // id → {topics}
    this.topics_ = new Map(); // topic → {members, handler, value}
    this.behind_ = []; // {id, topic, since, isNew, held}: members that get what others have
    this.queue_ = []; // requests that wait for a connection
    this.questions_ = new Map();
    this.lastQuestion_ = 0;
    this.connection_ = connect({
      url: () => this.ask_("url"),
      prepare: () => this.ask_("prepare"),
    });
    this.refresh_ = hasToken ? new TokenRefresh(
      (procedure, args) => this.connection_.call(procedure, args),
      () => this.ask_("token"),
      (error) => this.broadcast_({ type: "error", error: bare(error) }),
    ) : null;
    this.listen_(this.connection_);
  }

  /** Take a message from a member. One whose first is not "join" is asked to join. */
  receive(id, message) {
    if (message.type === "join") {
      this.join_(id, message);
    } else if (!this.members_.has(id)) {
      this.post_(id, { type: "unknown" });
    } else {
      this[`on_${message.type}`](id, message);
    }
  }

  /** Forget a member; the connection closes with the last. */
  remove(id) {
    const member = this.members_.get(id);
    if (member) {
      this.members_.delete(id);
      member.topics.forEach((topic) => this.leave_(id, topic));
      this.questions_.forEach((question) => question.id === id && question.next());
      if (!this.members_.size) {
        this.close();
      }
    }
  }

  /** End the connection; a member that joins opens it again. */
  close(code, reason) {
    if (this.refresh_) {
      this.refresh_.stop();
    }
    this.connection_.close(code, reason);
  }

  join_(id, { topics }) {
    if (!this.members_.has(id)) {
      this.members_.set(id, { topics: new Set() });
    }
    topics.forEach(([topic, since, isNew]) => this.on_subscribe(id, { topic, since, isNew }));
    if (this.connection_.state === "closed") {
      this.connection_.open();
    }
    this.post_(id, this.stateMessage_());
  }

  on_leave(id) {
    this.remove(id);
  }

  on_close(id, { code, reason }) {
    if (this.members_.size === 1) {
      this.close(code, reason);
    }
    this.remove(id);
  }

  // Subscriptions.

  on_subscribe(id, { topic, since, isNew }) {
    const { topics } = this.members_.get(id);
    if (topics.has(topic)) {
      return;
    }
    topics.add(topic);
    let entry = this.topics_.get(topic);
    if (!entry) {
      entry = { members: new Set([id]), handler: null, value: undefined };
      entry.handler = (_, event, position) => this.onEvent_(topic, entry, event, position);
      this.topics_.set(topic, entry);
      // A copy, because the connection goes on with its own.
      this.connection_.subscribe(topic, entry.handler, since && { ...since });
      if (!isNew && !since) {
        this.post_(id, { type: "lost", topic });
      }
      return;
    }
    entry.members.add(id);
    if (entry.value !== undefined) {
      this.post_(id, { type: "event", topic, event: entry.value });
    }
    const behind = { id, topic, since, isNew, held: [] };
    this.behind_.push(behind);
    this.catchUp_(behind);
  }

  on_unsubscribe(id, { topic }) {
    const member = this.members_.get(id);
    if (member.topics.delete(topic)) {
      this.leave_(id, topic);
    }
  }

  leave_(id, topic) {
    this.behind_ = this.behind_.filter((each) => each.id !== id || each.topic !== topic);
    const entry = this.topics_.get(topic);
    entry.members.delete(id);
    if (!entry.members.size) {
      this.topics_.delete(topic);
      this.connection_.unsubscribe(topic, entry.handler);
    }
  }

  onEvent_(topic, entry, event, position) {
    if (COUNTERS.test(topic)) {
      entry.value = event;
    }
    const message = { type: "event", topic, event, position };
    entry.members.forEach((id) => {
      const behind = this.behindOf_(id, topic);
      if (behind) {
        behind.held.push(message);
      } else {
        this.post_(id, message);
      }
    });
  }

  /** The connection has all events up to a position, and so have the members that are not behind. */
  onPosition_(topic, position) {
    const entry = this.topics_.get(topic);
    if (entry) {
      // A copy, because the connection goes on with its own.
      const message = { type: "position", topic, position: position && { ...position } };
      entry.members.forEach((id) => this.behindOf_(id, topic) || this.post_(id, message));
    }
  }

  behindOf_(id, topic) {
    return this.behind_.find((each) => each.id === id && each.topic === topic);
  }

  /** Have the server send again what a member lacks; until all is there, the member gets nothing. */
  catchUp_(behind) {
    if (this.connection_.state !== "open") {
      return; // Tried again with the next connection.
    }
    const { id, topic, since, isNew } = behind;
    const end = (isLost, position) => {
      if (this.behind_.includes(behind)) {
        this.behind_ = this.behind_.filter((each) => each !== behind);
        if (isLost) {
          this.post_(id, { type: "lost", topic });
        }
        inOrder(behind.held).forEach((message) => this.post_(id, message));
        if (position) {
          this.post_(id, { type: "position", topic, position });
        }
      }
    };
    this.connection_.request(
      "wampush.subscribe",
      [topic, { since: since || NOWHERE }],
      ({ recovered, epoch, offset }) =>
        end(!isNew && !recovered, epoch === null ? null : { epoch, offset }),
      (error) => {
        if (error.uri !== LOST) {
          end(!isNew); // A server without history has nothing to send again.
        }
      },
    );
  }

  // Requests. Each is confirmed, so that a member knows which of them a hub that ended has not taken.

  on_publish(id, message) {
    this.take_(id, message, ({ topic, event, options }) =>
      this.connection_.publish(topic, event, options));
  }

  on_call(id, message) {
    const act = ({ number, procedure, args }) => {
      this.connection_.request(
        procedure,
        args,
        (result) => this.answer_(id, { type: "result", number, result }),
        (error) => this.answer_(id, { type: "failure", number, error: bare(error) }),
      );
    };
    if (message.isPreparation) {
      act(message); // The session is not open for others yet.
    } else {
      this.take_(id, message, act);
    }
  }

  answer_(id, message) {
    if (this.members_.has(id)) {
      this.post_(id, message);
    }
  }

  take_(id, message, act) {
    const { number } = message;
    const isFull = this.queue_.length >= QUEUE;
    const refuse = (desc) =>
      this.post_(id, { type: "failure", number, error: { uri: LOST, desc } });
    const request = { act: () => this.members_.has(id) && act(message), refuse };
    if (this.connection_.state === "open") {
      request.act();
    } else if (this.connection_.state === "closed") {
      refuse("The connection is closed.");
      return;
    } else if (isFull) {
      refuse(`${QUEUE} requests wait for a connection.`);
      return;
    } else {
      this.queue_.push(request);
    }
    this.post_(id, { type: "taken", number });
  }

  // Questions to members.

  /** Ask one member after the other, until one answers. */
  ask_(what) {
    const number = (this.lastQuestion_ += 1);
    const ids = [...this.members_.keys()];
    return new Promise((resolve, reject) => {
      const question = { id: null, next: null, settle: null, clock: null };
      question.next = () => {
        clearTimeout(question.clock);
        const id = ids.shift();
        if (id === undefined) {
          this.questions_.delete(number);
          reject(callError(LOST, `No tab has answered with a ${what}.`));
        } else if (this.members_.has(id)) {
          question.id = id;
          question.clock = setTimeout(question.next, PATIENCE);
          this.post_(id, { type: "question", what, number });
        } else {
          question.next();
        }
      };
      question.settle = ({ value, error }) => {
        if (error === undefined) {
          clearTimeout(question.clock);
          this.questions_.delete(number);
          resolve(value);
        } else {
          question.next();
        }
      };
      this.questions_.set(number, question);
      question.next();
    });
  }

  on_reply(id, message) {
    const question = this.questions_.get(message.number);
    if (question && question.id === id) {
      question.settle(message);
    }
  }

  // The connection.

  listen_(connection) {
    connection.onopen = () => this.onState_("open");
    connection.onstate = (state) => state !== "open" && this.onState_(state);
    connection.onclose = (end) => this.broadcast_({ type: "end", end });
    connection.onposition = (topic, position) => this.onPosition_(topic, position);
    connection.onstatelost = (topic) => this.toSubscribers_(topic, { type: "lost", topic });
    connection.onrefused = (topic, error) =>
      this.toSubscribers_(topic, { type: "refused", topic, error: bare(error) });
  }

  onState_(state) {
    if (this.refresh_) {
      this.refresh_.follow(state);
    }
    if (state === "open") {
      this.behind_.forEach((each) => this.catchUp_(each));
      this.queue_.splice(0).forEach(({ act }) => act());
    } else if (state === "closed") {
      this.queue_.splice(0).forEach(({ refuse }) => refuse("The connection is closed."));
    }
    this.broadcast_(this.stateMessage_());
  }

  stateMessage_() {
    const { state, sessionId } = this.connection_;
    return { type: "state", state, sessionId };
  }

  broadcast_(message) {
    this.members_.forEach((_, id) => this.post_(id, message));
  }

  toSubscribers_(topic, message) {
    const entry = this.topics_.get(topic);
    if (entry) {
      entry.members.forEach((id) => this.post_(id, message));
    }
  }
}

/** Put the events of a topic that came twice or out of order into their order. */
const inOrder = (messages) => {
  const sorted = [];
  messages.forEach((message) => {
    const { position } = message;
    let index = sorted.length;
    if (position) {
      while (index && isBefore(position, sorted[index - 1].position)) {
        index -= 1;
      }
      const before = index && sorted[index - 1].position;
      if (before && before.epoch === position.epoch && before.offset === position.offset) {
        return;
      }
    }
    sorted.splice(index, 0, message);
  });
  return sorted;
};
