/**
 * A clock, sockets and a page for tests: nothing waits, and nothing is sent.
 */

const real = { setTimeout, clearTimeout, setInterval, clearInterval, now: Date.now, random: Math.random };

/** What the code under test has, in place of the clock and of chance. */
export class Clock {
  constructor() {
    this.now = 1_000_000;
    this.timers = new Map();
    this.last = 0;
    this.random = 0.5;
    const add = (repeats) => (callback, delay = 0, ...args) => {
      this.last += 1;
      this.timers.set(this.last, { at: this.now + delay, callback, args, every: repeats && delay });
      return this.last;
    };
    globalThis.setTimeout = add(false);
    globalThis.setInterval = add(true);
    globalThis.clearTimeout = globalThis.clearInterval = (id) => this.timers.delete(id);
    Date.now = () => this.now;
    Math.random = () => this.random;
  }

  /** Let time pass; what is due is called in order. */
  pass(milliseconds) {
    const end = this.now + milliseconds;
    for (;;) {
      const due = [...this.timers].filter(([, each]) => each.at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) {
        break;
      }
      const [id, timer] = due;
      this.now = Math.max(this.now, timer.at);
      if (timer.every) {
        timer.at = this.now + timer.every;
      } else {
        this.timers.delete(id);
      }
      timer.callback(...timer.args);
    }
    this.now = end;
  }

  /** Sleep as a laptop does: time passes, nothing is called before the end of it. */
  sleep(milliseconds) {
    this.now += milliseconds;
  }

  restore() {
    Object.assign(globalThis, real);
    delete globalThis.now;
    delete globalThis.random;
    Date.now = real.now;
    Math.random = real.random;
  }
}

/** Sockets in the order in which they were made. */
export class Sockets extends Array {
  static get [Symbol.species]() {
    return Array;
  }

  construct = (url, protocols) => {
    const socket = new Socket(url, protocols);
    this.push(socket);
    return socket;
  };

  get newest() {
    return this[this.length - 1];
  }
}

class Socket {
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, protocol: "wamp", sent: [], closed: null });
  }

  send(text) {
    const message = JSON.parse(text);
    this.sent.push(message);
    if (message[2] === "wampush.positions") {
      this.receive(this.refusesPositions ? [4, message[1], "u#forbidden", "no"] : [3, message[1], true]);
    }
  }

  close(...args) {
    this.closed = args;
  }

  receive(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  welcome(server = "wampush/0.1.0", id = "id") {
    this.onopen({});
    this.receive([0, id, 1, server]);
    return this;
  }

  lose(code = 1006, reason = "", wasClean = code !== 1006) {
    this.onclose({ code, reason, wasClean });
  }

  /** The calls of a procedure that were sent. */
  calls(procedure) {
    return this.sent.filter(([type, , name]) => type === 2 && name === procedure);
  }

  /** Answer the newest call of a procedure. */
  answer(procedure, result) {
    this.receive([3, this.calls(procedure).pop()[1], result]);
  }

  /** Answer the newest call of a procedure with an error. */
  refuse(procedure, uri, desc = "no") {
    this.receive([4, this.calls(procedure).pop()[1], `http://api.wamp.ws/error#${uri}`, desc]);
  }
}

/** What a browser has beyond node: `online` and `visibilitychange`, and a window that hears events. */
export class Page {
  constructor() {
    this.hidden = false;
    this.events = [];
    this.listeners = [];
    const target = {
      addEventListener: (type, listener) => this.listeners.push([type, listener]),
      removeEventListener: (type, listener) => {
        this.listeners = this.listeners.filter((each) => each[0] !== type || each[1] !== listener);
      },
    };
    globalThis.document = Object.defineProperty({ ...target }, "hidden", { get: () => this.hidden });
    Object.assign(globalThis, target, { dispatchEvent: (event) => this.events.push(event) });
    globalThis.CustomEvent = class {
      constructor(type, { detail }) {
        Object.assign(this, { type, detail });
      }
    };
  }

  fire(type) {
    this.listeners.filter((each) => each[0] === type).forEach(([, listener]) => listener({}));
  }

  restore() {
    for (const name of ["document", "addEventListener", "removeEventListener", "dispatchEvent", "CustomEvent"]) {
      delete globalThis[name];
    }
  }
}
