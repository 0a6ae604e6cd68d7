/*
 * Keeps a WAMP v1 session open with AutobahnJS 0.7 or 0.8, and shows the state of its connection.
 *
 * ab.connect reconnects by itself after a lost connection, here without a limit of attempts. It
 * gives up when the first attempt fails, and when the server closes the connection with a Close
 * frame: the former is tried again here, the latter means that the server wants no more of this page.
 */
"use strict";

/**
 * @param {string} url of the WebSocket
 * @param {function} onOpen gets each new session; subscribe here, because every reconnect makes one
 * @param {function} onLost called when there is no session any more
 * @returns {function} call(procedure, ...arguments), a promise; it is rejected without a session
 */
const stayConnected = (url, onOpen, onLost = () => {}) => {
  const delay = 5000; // milliseconds, the default of AutobahnJS
  let session = null;

  const connect = () => {
    connectionState.connecting();
    ab.connect(url, opened, hungUp, { retryDelay: delay, maxRetries: Infinity });
  };

  const opened = (opening) => {
    session = opening;
    connectionState.connected();
    onOpen(session);
  };

  const hungUp = (code, text) => {
    session = null;
    onLost();
    switch (code) {
      case ab.CONNECTION_LOST_SCHEDULED_RECONNECT:
        connectionState.waiting(delay, null);
        break;
      case ab.CONNECTION_UNREACHABLE_SCHEDULED_RECONNECT:
        connectionState.waiting(delay, "/refusal.json");
        break;
      case ab.CONNECTION_UNREACHABLE:
        connectionState.waiting(delay, "/refusal.json");
        setTimeout(connect, delay);
        break;
      default: {
        // "Connection was closed properly [WS-3000: reason]"
        const found = /\[WS-(\d+): (.*)\]$/s.exec(text);
        const reason = found?.[2] || `The server ended the connection with code ${found?.[1]}.`;
        connectionState.ended(found === null ? text : reason, connect);
      }
    }
  };

  connect();

  // Without a session AutobahnJS throws, and it never answers calls of a session that has ended.
  return (...call) =>
    session === null ? Promise.reject({ desc: "There is no connection." }) : session.call(...call);
};
