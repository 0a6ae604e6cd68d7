/**
 * The API of AutobahnJS for WAMP v1: the global `ab` of the pages that load it.
 */
import { Connection } from "./connection.js";
import { PrefixMap } from "./prefixes.js";
import { defer } from "./promise.js";
import * as wire from "./wire.js";

const ab = { _version: "0.8.2", Connection, PrefixMap, Deferred: defer };

// Identifiers, codes, and what pages look up.

const number = (prefix, names) =>
  names.split(" ").forEach((name, index) => {
    ab[prefix + name] = index;
  });
number(
  "CONNECTION_",
  "CLOSED LOST RETRIES_EXCEEDED UNREACHABLE UNSUPPORTED UNREACHABLE_SCHEDULED_RECONNECT LOST_SCHEDULED_RECONNECT",
);
number(
  "_MESSAGE_TYPEID_",
  "WELCOME PREFIX CALL CALL_RESULT CALL_ERROR SUBSCRIBE UNSUBSCRIBE PUBLISH EVENT",
);
ab._subprotocol = wire.SUBPROTOCOL;
ab._newidFast = () => Math.random().toString(36);
ab._newid = () => (ab._newidFast() + ab._newidFast()).replace(/0\./g, "").slice(0, 16);
ab.version = () => ab._version;
ab.browserNotSupportedMessage = "Browser does not support WebSockets (RFC6455)";

ab.getServerUrl = (path, fallback) => {
  const { protocol, host } = window.location;
  return protocol === "file:"
    ? fallback || "ws://127.0.0.1/ws"
    : `${protocol === "https:" ? "wss" : "ws"}://${host}/${path || "ws"}`;
};

ab.getBrowser = () => {
  const [, name, version] = /(Chrome|Firefox|Safari|MSIE)[/ ]([\d.]+)/.exec(navigator.userAgent) || [];
  return name ? { name, version: version.split(".").map(Number) } : null;
};

ab.lookupWsSupport = () => [true, false, true];

// What the console shows.

const group = (title, lines) => {
  console.group(title);
  lines.forEach((line) => console.log(line));
  console.groupEnd();
};

ab.log = (...items) => {
  if (items.length > 1) {
    group("Log Item", items);
  } else {
    console.log(items[0]);
  }
};

ab._debugrpc = ab._debugpubsub = ab._debugws = ab._debugconnect = false;
ab.debug = (wamp, ws, connect) => {
  ab._debugrpc = ab._debugpubsub = wamp;
  ab._debugws = ws;
  ab._debugconnect = connect;
};

/** Show what goes over the wire, as far as `ab.debug` asks for it. */
const trace = (session, isSent, text) => {
  session[isSent ? "_txcnt" : "_rxcnt"] += 1;
  if (ab._debugrpc || ab._debugpubsub || ab._debugws) {
    console.log(isSent ? "WS Send" : "WS Receive", session._wsuri, session._session_id, text);
  }
};

// Sessions.

ab._construct = (...args) => (typeof WebSocket === "function" ? new WebSocket(...args) : null);

const AUTH = "http://api.wamp.ws/procedure#auth";

// AutobahnJS throws texts, and pages catch them.
const refuse = (text) => {
  throw text;
};

const connectionTo = (wsuri, options, settings) =>
  new Connection(wsuri, {
    construct: (...args) => ab._construct(...args) || refuse(ab.browserNotSupportedMessage),
    announce: !options.skipSubprotocolAnnounce,
    check: !options.skipSubprotocolCheck,
    ...settings,
  });

const open = (connection, onUnsupported) => {
  try {
    connection.open();
  } catch (error) {
    if (error !== ab.browserNotSupportedMessage || !onUnsupported) {
      throw error;
    }
    onUnsupported();
  }
};

class Session {
  /**
   * Open a session that comes back after each loss, with its subscriptions.
   *
   * @param {string} wsuri
   * @param {function()} [onopen] called once; with `options.reopen`, or when the page authenticates
   *   by calls, after each return, and the page subscribes anew
   * @param {function(number, string=)} [onclose] called at the end for good
   * @param {object} [options] those of AutobahnJS; `reopen`; `reconnect: false` for its behaviour
   */
  open_(wsuri, onopen, onclose, options) {
    const settings = options || {};
    const connection = connectionTo(wsuri, settings, { fresh: settings.reopen });
    this.attach_(connection, wsuri, options);
    this._websocket_onopen = onopen;
    this._websocket_onclose = onclose;
    connection.onopen = (isReturn) => {
      this.welcome_();
      if (this._websocket_onopen && (!isReturn || connection.fresh)) {
        this._websocket_onopen();
      }
    };
    connection.onclose = (end) => {
      const isEnd = end.isFinal || settings.reconnect === false;
      if (isEnd && this._websocket_onclose) {
        if (!end.wasOpen) {
          this._websocket_onclose(ab.CONNECTION_UNREACHABLE);
        } else if (end.wasClean) {
          this._websocket_onclose(ab.CONNECTION_CLOSED, `WS-${end.code}: ${end.reason}`);
        } else {
          this._websocket_onclose(ab.CONNECTION_LOST);
        }
      }
      return isEnd;
    };
    open(connection, onclose && (() => onclose(ab.CONNECTION_UNSUPPORTED)));
  }

  attach_(connection, wsuri, options) {
    this.connection_ = connection;
    this._wsuri = wsuri;
    this._options = options;
    this._session_id = this._wamp_version = this._server = null;
    this._txcnt = this._rxcnt = 0;
    connection.ontrace = (isSent, text) => trace(this, isSent, text);
  }

  welcome_() {
    const { sessionId, version, server } = this.connection_;
    this._session_id = sessionId;
    this._wamp_version = version;
    this._server = server;
  }

  get _websocket() {
    return this.connection_.socket;
  }

  get _websocket_connected() {
    return !this.isDead_ && this.connection_.state === "open";
  }

  get _prefixes() {
    return this.connection_.prefixes;
  }

  get _subscriptions() {
    const found = Object.create(null);
    this.connection_.topics.forEach(({ handlers }, uri) => {
      found[uri] = handlers;
    });
    return found;
  }

  /** The connection, if it is there or will be again. */
  live_() {
    const connection = this.connection_;
    if (this.isDead_ || !connection.opens || connection.state === "closed") {
      refuse("Autobahn not connected");
    }
    return connection;
  }

  _send(message) {
    this.live_().send(message);
  }

  log(...items) {
    const ident = this._options && this._options.sessionIdent;
    group(`WAMP Session ${ident ? `'${ident}' ` : ""}[${this._session_id}]`, items);
  }

  close() {
    this.connection_.close();
  }

  sessionid() {
    return this._session_id;
  }

  wsuri() {
    return this._wsuri;
  }

  shrink(uri, pass = true) {
    return this._prefixes.shrink(uri, pass);
  }

  resolve(curie, pass = true) {
    return this._prefixes.resolve(curie, pass);
  }

  prefix(prefix, uri) {
    this.live_().prefix(prefix, uri);
  }

  call(procedure, ...args) {
    const connection = this.live_();
    const deferred = new ab.Deferred();
    if (connection.prefixes.resolve(procedure, true).startsWith(AUTH)) {
      // Only the page can authenticate the next session.
      connection.fresh = true;
    }
    connection.request(procedure, args, deferred.resolve, deferred.reject);
    return deferred.promise.then ? deferred.promise : deferred;
  }

  subscribe(topic, callback) {
    const connection = this.live_();
    const uri = this.resolve(topic);
    const entry = connection.topics.get(uri);
    if (entry && entry.handlers.includes(callback)) {
      refuse(`callback ${callback} already subscribed for topic ${uri}`);
    }
    connection.subscribe(topic, callback);
  }

  unsubscribe(topic, callback) {
    const connection = this.live_();
    const uri = this.resolve(topic);
    const entry = connection.topics.get(uri) || refuse(`not subscribed to topic ${uri}`);
    if (callback !== undefined && !entry.handlers.includes(callback)) {
      refuse(`no callback ${callback} subscribed on topic ${uri}`);
    }
    connection.unsubscribe(topic, callback);
  }

  /** Publish: `(topic, event)`, `(…, excludeMe)`, `(…, exclude)`, `(…, exclude, eligible)`. */
  publish(topic, event, ...audience) {
    const [exclude, eligible] = audience;
    const isValid =
      audience.length > 1
        ? Array.isArray(exclude) && Array.isArray(eligible)
        : !audience.length || typeof exclude === "boolean" || Array.isArray(exclude);
    if (!isValid) {
      refuse("invalid argument type(s)");
    }
    this._send([wire.PUBLISH, topic, event, ...audience.slice(0, 2)]);
  }

  authreq() {
    refuse("WAMP-CRA needs wampush-cra.js, loaded after wampush.js");
  }
}

/** A function, because pages may derive from it: `ab.Session.call(this, …)`. */
ab.Session = function (...args) {
  this.open_(...args);
};
ab.Session.prototype = Session.prototype;

// Connections that their pages open anew.

ab._connect = (peer) => {
  const { options } = peer;
  const { maxRetries = Infinity, retryDelay } = options;
  const connection = connectionTo(peer.wsuri, options, { fresh: true, longest: retryDelay });
  let session = null;
  connection.onopen = () => {
    session = Object.create(Session.prototype);
    session.attach_(connection, peer.wsuri, options);
    session.welcome_();
    peer.connects += 1;
    peer.retryCount = 0;
    peer.onConnect(session);
  };
  connection.onclose = ({ code, reason, wasClean, wasOpen, isFinal, delay }) => {
    if (session) {
      session.isDead_ = true;
    }
    if (isFinal) {
      if (wasOpen) {
        peer.onHangup(
          ab.CONNECTION_CLOSED,
          `Connection was closed properly [WS-${code}: ${reason}]`,
        );
      } else {
        peer.onHangup(ab.CONNECTION_UNREACHABLE, "Connection could not be established.");
      }
      return true;
    }
    peer.retryCount += 1;
    const retries = peer.retryCount;
    const [what, scheduled] = wasOpen
      ? ["lost", ab.CONNECTION_LOST_SCHEDULED_RECONNECT]
      : ["unreachable", ab.CONNECTION_UNREACHABLE_SCHEDULED_RECONNECT];
    const text = `Connection ${what} - scheduled ${retries}th reconnect to occur in ${delay / 1000} second(s).`;
    if (
      retries > maxRetries ||
      peer.onHangup(scheduled, text, { delay, retries, maxretries: maxRetries })
    ) {
      peer.onHangup(
        ab.CONNECTION_RETRIES_EXCEEDED,
        wasOpen ? "Connection lost." : "Number of connection retries exceeded.",
      );
      return true;
    }
    return false;
  };
  open(connection, () =>
    peer.onHangup(ab.CONNECTION_UNSUPPORTED, "Browser does not support WebSocket."),
  );
};

ab.connect = (wsuri, onConnect, onHangup, options) => {
  if (!onConnect) {
    refuse("onConnect handler required!");
  }
  const logged = (...args) => {
    if (ab._debugconnect) {
      console.log(...args);
    }
  };
  ab._connect({
    wsuri,
    options: options || {},
    onConnect,
    onHangup: onHangup || logged,
    connects: 0,
    retryCount: 0,
  });
};

export default ab;
