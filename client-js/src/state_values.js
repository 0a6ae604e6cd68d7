/*
 * Values that the server pushes when they change: the newest value of each, and who is called about a
 * change. A value that comes again, as after a reconnect, is not a change.
 */

/** Names of values, and the topics that carry them. */
const TOPICS = {
  num_online: "wampush.presence.num_online",
  num_clients: "wampush.presence.num_clients",
};

/** Whether there is a value; names may be those of members of Object.prototype. */
const has = (values, name) => Object.prototype.hasOwnProperty.call(values, name);

const isEqual = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/**
 * The values of one client.
 *
 * @param {function(string, function): function} subscribe gets a topic and the handler of its events;
 *   returns what ends it
 * @param {?Object<string, string>} topics further names and their topics
 */
export class StateValues {
  constructor(subscribe, topics) {
    this.subscribe_ = subscribe;
    this.topics_ = new Map(Object.entries({ ...TOPICS, ...topics }));
    this.watched_ = new Map(); // name → {listeners, unsubscribe}
    /** The newest values by name. A change makes another object. */
    this.current = {};
  }

  /**
   * Call a function about each change of a value; soon, if the value is known already.
   *
   * @param {string} name a known name, or else a topic
   * @param {function({changes: string[], original: object, value: object})} listener
   * @returns {function()} ends it
   */
  watch(name, listener) {
    const each = (change) => listener(change);
    let watched = this.watched_.get(name);
    if (!watched) {
      watched = { listeners: new Set() };
      this.watched_.set(name, watched);
      watched.unsubscribe = this.subscribe_(
        this.topics_.get(name) || name,
        (value) => this.change_(name, value, watched.listeners),
      );
    } else if (has(this.current, name)) {
      // Only a new subscription is followed by the value from the server.
      const value = this.current;
      Promise.resolve().then(() => {
        if (value === this.current && watched.listeners.has(each)) {
          each({ changes: [name], original: {}, value });
        }
      });
    }
    watched.listeners.add(each);
    return () => {
      if (watched.listeners.delete(each) && !watched.listeners.size) {
        this.watched_.delete(name);
        this.current = { ...this.current };
        delete this.current[name];
        watched.unsubscribe();
      }
    };
  }

  /** Call a function about each change of any of the named values. */
  watchAll(listener) {
    const stops = [...this.topics_.keys()].map((name) => this.watch(name, listener));
    return () => stops.forEach((stop) => stop());
  }

  change_(name, value, listeners) {
    const original = this.current;
    if (!(has(original, name) && isEqual(original[name], value))) {
      this.current = { ...original, [name]: value };
      listeners.forEach((each) => each({ changes: [name], original, value: this.current }));
    }
  }
}
