/*
 * Who of several tabs leads. Where the browser has Web Locks, the one that gets the lock: the next gets
 * it in the moment in which the first is closed, crashed or not. Browsers have them on secure pages
 * only; elsewhere the tabs talk it over: a leader says so every second, and when it is silent, the tab
 * with the least id takes its place.
 */

/** Milliseconds: a leader's sign of life, silence that ends its lead, and until a claim is won. */
const BEAT = 1000;
const SILENCE = 3500;
const CLAIM = 200;

const locks = () => globalThis.navigator && navigator.locks;

/**
 * Hold a name until the returned function is called, or the tab ends.
 *
 * @param {string} name
 * @param {function()} onHeld called once this tab is the one that holds it
 * @returns {function()}
 */
const hold = (name, onHeld) => {
  let release;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  const controller = new AbortController();
  locks().request(name, { signal: controller.signal }, () => {
    onHeld();
    return held;
  }).catch(() => {}); // It was given up before it was held.
  return () => {
    controller.abort();
    release();
  };
};

/**
 * Show others that this tab is there; see `whenGone`.
 *
 * @returns {Promise<function()>} what ends it
 */
export const beThere = (name) => new Promise((resolve) => {
  if (locks()) {
    const end = hold(name, () => Promise.resolve().then(() => resolve(end)));
  } else {
    resolve(() => {});
  }
});

/** Call a function once a tab that was there no longer is. Without Web Locks that is not known. */
export const whenGone = (name, onGone) => {
  if (locks()) {
    const end = hold(name, () => {
      Promise.resolve().then(end);
      onGone();
    });
  }
};

/** An election by messages. */
class Talk {
  constructor(id, post, onElected, onDeposed) {
    this.id_ = id;
    this.post_ = post;
    this.onElected_ = onElected;
    this.onDeposed_ = onDeposed;
    this.isLeader_ = this.hasEnded_ = false;
    this.wait_(CLAIM);
    post({ type: "who" });
  }

  receive({ type, id }) {
    if (this.hasEnded_) {
      return;
    }
    if (type === "who") {
      if (this.isLeader_) {
        this.post_({ type: "leader" });
      }
    } else if (type === "resign") {
      this.claim_();
    } else if (type === "leader" && this.isLeader_) {
      // Two lead after one of them was frozen.
      if (id < this.id_) {
        this.follow_();
        this.onDeposed_();
      } else {
        this.post_({ type: "leader" });
      }
    } else if (type === "leader" || (type === "claim" && id < this.id_ && !this.isLeader_)) {
      this.wait_(SILENCE);
    } else if (type === "claim") {
      this.post_({ type: this.isLeader_ ? "leader" : "claim" });
    }
  }

  end() {
    const led = this.isLeader_;
    this.hasEnded_ = true;
    this.follow_();
    clearTimeout(this.clock_);
    if (led) {
      this.post_({ type: "resign" });
    }
  }

  follow_() {
    this.isLeader_ = false;
    clearInterval(this.beat_);
    this.wait_(SILENCE);
  }

  wait_(delay) {
    clearTimeout(this.clock_);
    this.clock_ = setTimeout(() => this.claim_(), delay);
  }

  claim_() {
    if (!this.isLeader_) {
      this.post_({ type: "claim" });
      clearTimeout(this.clock_);
      this.clock_ = setTimeout(() => this.win_(), CLAIM);
    }
  }

  win_() {
    this.isLeader_ = true;
    this.beat_ = setInterval(() => this.post_({ type: "leader" }), BEAT);
    this.post_({ type: "leader" });
    this.onElected_();
  }
}

/**
 * Take part in an election.
 *
 * @param {string} name of what is led
 * @param {string} id of this tab
 * @param {function(object)} post sends a message to all other tabs
 * @param {function()} onElected this tab leads from now on
 * @param {function()} onDeposed another leads from now on, though this one did
 * @returns {{receive: function(object), end: function()}} takes such messages; gives the lead up
 */
export const takePart = (name, id, post, onElected, onDeposed) =>
  locks()
    ? { receive() {}, end: hold(name, onElected) }
    : new Talk(id, (message) => post({ ...message, id }), onElected, onDeposed);
