/*
 * One connection for all tabs of a page: in a shared worker, or else in a tab that the tabs elect.
 */

import { Connection } from "./index.js";
import { Hub } from "./hub.js";
import { SharedConnection } from "./shared_connection.js";
import { ChannelTransport, WorkerTransport } from "./tab_transports.js";

export { SharedConnection };

const isFunction = (value) => typeof value === "function";

/** Where the script of the worker is, if this one is a plain script: next to it. */
const script = typeof document !== "undefined" && document.currentScript && document.currentScript.src;
const usualWorker = script && script.replace(/[^/]*$/, "wampush-tabs-worker.js");

/**
 * Make a connection that is shared by all tabs of the same origin with the same name.
 *
 * @param {string|function(): (string|Promise<string>)} url
 * @param {object} [options] those of `Connection` that are not functions, and those below
 * @param {string} [options.name] of what is shared ("URL" without one); needed if `url` is a function.
 *   All tabs with a name share one session, so it must say who the user is if there are several
 * @param {?string} [options.worker] address of wampush-tabs-worker.js, of the same origin; null for no
 *   worker
 * @param {function(): (string|Promise<string>)} [options.token] returns a fresh token, for a session
 *   that is extended before it expires
 * @param {function(object): Promise} [options.prepare] what each session does first
 * @returns {SharedConnection|Connection} the latter where browsers can share nothing
 * @throws {TypeError} `url` is a function, and there is no name
 */
export const sharedConnection = (url, options = {}) => {
  const { name = url, worker = usualWorker, token, prepare, ...others } = options;
  if (typeof name !== "string") {
    throw new TypeError("a shared connection needs the option name if its URL is a function");
  }
  const unknown = Object.keys(others).find((key) => isFunction(others[key]));
  if (unknown) {
    throw new TypeError(`a shared connection cannot have the function ${unknown}`);
  }
  const settings = {
    connection: others,
    url: isFunction(url) ? null : url,
    hasToken: Boolean(token),
    hasPreparation: Boolean(prepare),
  };
  const canWork = typeof SharedWorker === "function" && worker;
  if (!canWork && typeof BroadcastChannel !== "function") {
    return new Connection(url, { ...others, prepare });
  }
  const openTransport = (workerFailed) =>
    canWork && !workerFailed
      ? new WorkerTransport(name, worker, settings)
      : new ChannelTransport(name, (post) => makeHub(settings, post));
  return new SharedConnection(openTransport, {
    url: () => (isFunction(url) ? url() : url),
    token,
    prepare,
  });
};

/** Make the hub of a connection; see `Hub`. */
export const makeHub = ({ connection, url, hasToken, hasPreparation }, post) =>
  new Hub(
    (ask) => new Connection(url === null ? ask.url : url, {
      ...connection,
      prepare: hasPreparation ? ask.prepare : undefined,
    }),
    post,
    hasToken,
  );
