/*
 * The events of a topic as an async iterator: a queue between the handler that gets them and the loop
 * that takes them.
 */

/** Events came faster than the loop took them. */
export class StreamOverflow extends Error {
  constructor(topic, limit) {
    super(`More than ${limit} events of ${topic} wait for the loop that reads them; ` +
      "take them faster, or raise the option limit");
    this.name = "StreamOverflow";
  }
}

/**
 * An async iterator over events.
 *
 * It is subscribed from the beginning, so that it misses nothing before the first `next`.
 *
 * @param {string} topic
 * @param {number} limit events that may wait; beyond it the iterator ends with `StreamOverflow`
 * @param {function(function): function} subscribe gets the handler of events, returns what ends it
 */
export class EventStream {
  constructor(topic, limit, subscribe) {
    this.queue_ = [];
    this.waiting_ = []; // the settle functions of next(), while the queue is empty
    this.error_ = null;
    this.ended_ = false;
    this.stop_ = subscribe((event) => {
      if (this.waiting_.length) {
        this.waiting_.shift().resolve({ value: event, done: false });
      } else if (this.queue_.length < limit) {
        this.queue_.push(event);
      } else {
        this.fail(new StreamOverflow(topic, limit));
      }
    });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  next() {
    if (this.queue_.length) {
      return Promise.resolve({ value: this.queue_.shift(), done: false });
    }
    if (this.error_) {
      const error = this.error_;
      this.error_ = null;
      return Promise.reject(error);
    }
    if (this.ended_) {
      return Promise.resolve({ value: undefined, done: true });
    }
    return new Promise((resolve, reject) => this.waiting_.push({ resolve, reject }));
  }

  return(value) {
    this.queue_ = [];
    this.end_();
    return Promise.resolve({ value, done: true });
  }

  /** End with an error, after the events that wait. */
  fail(error) {
    if (!this.ended_) {
      const first = this.waiting_.shift();
      if (first) {
        first.reject(error);
      } else {
        this.error_ = error;
      }
      this.end_();
    }
  }

  /** End without an error, after the events that wait. */
  end() {
    this.end_();
  }

  end_() {
    if (!this.ended_) {
      this.ended_ = true;
      this.stop_();
      this.waiting_.splice(0).forEach(({ resolve }) => resolve({ value: undefined, done: true }));
    }
  }
}
