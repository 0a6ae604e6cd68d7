/*
 * Fresh tokens: the session learns when it expires, and before that a new token extends it by
 * `wampush.refresh`. Clocks of client and server need not agree.
 */

/** Seconds before the end at which a session is extended; at the latest in its last fifth. */
const AHEAD = 60;
/** Milliseconds between attempts while the page has no new token, and the longest timer browsers have. */
const RETRY = 5000;
const LONGEST = 0x7fffffff;

/**
 * Keeps the session of a connection from expiring.
 *
 * @param {function(string, Array): Promise} call calls a procedure of the open session
 * @param {function(): (string|Promise<string>)} token returns a new token
 * @param {function(Error)} report gets why an attempt has failed; another follows until the session ends
 */
export class TokenRefresh {
  constructor(call, token, report) {
    this.call_ = call;
    this.token_ = token;
    this.report_ = report;
    this.timer_ = null;
    this.run_ = null; // identifies the session, for answers that come after its end
  }

  /** Begin with a session that has just opened. */
  async start() {
    const run = (this.run_ = {});
    try {
      const [{ expires }, now] = await Promise.all([
        this.call_("wampush.session", []),
        this.call_("wampush.time", []),
      ]);
      this.schedule_(run, expires, now);
    } catch (error) {
      this.failed_(run, error, () => this.start());
    }
  }

  /** Begin or end with the state of the connection. */
  follow(state) {
    if (state === "open") {
      this.start();
    } else {
      this.stop();
    }
  }

  /** The session has ended. */
  stop() {
    this.run_ = null;
    clearTimeout(this.timer_);
  }

  schedule_(run, expires, now) {
    if (run === this.run_ && expires !== null) {
      const left = expires - now;
      const wait = Math.max(0, left - Math.min(AHEAD, left / 5)) * 1000;
      if (wait > LONGEST) {
        this.timer_ = setTimeout(() => this.schedule_(run, expires, now + LONGEST / 1000), LONGEST);
      } else {
        this.timer_ = setTimeout(() => this.refresh_(run), wait);
      }
    }
  }

  async refresh_(run) {
    try {
      const token = await this.token_();
      if (run === this.run_) {
        const { expires } = await this.call_("wampush.refresh", [token]);
        const now = await this.call_("wampush.time", []);
        this.schedule_(run, expires, now);
      }
    } catch (error) {
      this.failed_(run, error, () => this.refresh_(run));
    }
  }

  failed_(run, error, again) {
    if (run === this.run_) {
      this.report_(error);
      this.timer_ = setTimeout(again, RETRY);
    }
  }
}
