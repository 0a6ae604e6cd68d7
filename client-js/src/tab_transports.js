/*
 * How the messages between a tab and the hub travel: through the port of a shared worker, or through a
 * broadcast channel to the tab that was elected, which may be this one.
 */

import { beThere, takePart, whenGone } from "./election.js";

/** Milliseconds that a worker may take to answer; browsers do not report each that cannot be loaded. */
const PATIENCE = 4000;

/** Changes with the messages, so that tabs with another version of this file have a hub of their own. */
const VERSION = 1;

export const newId = () =>
  Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("");

const lockOf = (name, id) => `${name} ${id}`;

/** The port of a shared worker that runs the hub. */
export class WorkerTransport {
  /**
   * @param {string} name of the connection that is shared
   * @param {string} script address of wampush-tabs-worker.js
   * @param {object} settings what the hub has to know, without functions
   */
  constructor(name, script, settings) {
    this.name_ = `wampush ${VERSION} ${name}`;
    this.script_ = script;
    this.settings_ = settings;
  }

  /**
   * @param {function(object)} onMessage gets messages of the hub; the first is "hub"
   * @param {function()} onFailure the worker could not be started
   */
  async start(onMessage, onFailure) {
    const run = (this.run_ = {});
    const id = newId();
    const lock = lockOf(this.name_, id);
    const leave = await beThere(lock);
    if (run !== this.run_) {
      leave();
      return;
    }
    this.leave_ = leave;
    const fail = () => run === this.run_ && onFailure();
    try {
      const worker = new SharedWorker(this.script_, { name: this.name_ });
      worker.onerror = fail;
      this.port_ = worker.port;
    } catch (error) {
      fail(); // The page's policy, or a script of another origin.
      return;
    }
    this.clock_ = setTimeout(fail, PATIENCE);
    this.port_.onmessage = ({ data }) => {
      clearTimeout(this.clock_);
      onMessage(data);
    };
    this.port_.postMessage({ type: "hello", lock, settings: this.settings_ });
  }

  post(message) {
    this.port_.postMessage(message);
  }

  end() {
    this.run_ = null;
    clearTimeout(this.clock_);
    if (this.leave_) {
      this.leave_();
      this.leave_ = null;
    }
    if (this.port_) {
      this.port_.close();
      this.port_ = null;
    }
  }
}

/** A broadcast channel between tabs, one of which runs the hub. */
export class ChannelTransport {
  /**
   * @param {string} name of the connection that is shared
   * @param {function(function(string, object)): Hub} makeHub gets what sends a message to a member
   */
  constructor(name, makeHub) {
    this.name_ = `wampush ${VERSION} ${name}`;
    this.makeHub_ = makeHub;
    this.hub_ = null;
  }

  async start(onMessage) {
    const run = (this.run_ = {});
    this.id_ = newId();
    const leave = await beThere(lockOf(this.name_, this.id_));
    if (run !== this.run_) {
      leave();
      return;
    }
    this.leave_ = leave;
    this.onMessage_ = onMessage;
    this.channel_ = new BroadcastChannel(this.name_);
    this.channel_.onmessage = ({ data }) => this.receive_(data);
    this.election_ = takePart(
      this.name_,
      this.id_,
      (election) => this.channel_.postMessage({ election }),
      () => this.lead_(),
      () => this.abdicate_(),
    );
    // If another tab leads already, it asks this one to join.
    this.post({ type: "hello" });
  }

  post(message) {
    if (this.hub_) {
      this.toHub_(this.id_, message);
    } else {
      this.channel_.postMessage({ from: this.id_, message });
    }
  }

  end() {
    this.run_ = null;
    if (this.channel_) {
      this.hub_ = null;
      this.election_.end();
      this.channel_.close();
      this.channel_ = null;
      this.leave_();
    }
  }

  receive_({ election, from, to, message }) {
    if (election) {
      this.election_.receive(election);
    } else if (from) {
      if (this.hub_) {
        this.toHub_(from, message);
      }
    } else if (to === this.id_ || to === null) {
      this.onMessage_(message);
    }
  }

  lead_() {
    this.known_ = new Set();
    this.hub_ = this.makeHub_((to, message) => this.send_(to, message));
    this.send_(null, { type: "hub" });
    this.onMessage_({ type: "hub" });
  }

  abdicate_() {
    const hub = this.hub_;
    this.hub_ = null;
    hub.close();
    this.post({ type: "hello" });
  }

  send_(to, message) {
    if (to === this.id_) {
      // Later, as from another tab.
      Promise.resolve().then(() => this.run_ && this.onMessage_(message));
    } else if (this.channel_) {
      this.channel_.postMessage({ to, message });
    }
  }

  toHub_(from, message) {
    const hub = this.hub_;
    if (message.type === "hello") {
      this.send_(from, { type: "hub" });
      return;
    }
    if (from !== this.id_ && !this.known_.has(from)) {
      this.known_.add(from);
      whenGone(lockOf(this.name_, from), () => {
        hub.remove(from);
      });
    }
    Promise.resolve().then(() => hub.receive(from, message));
  }
}
