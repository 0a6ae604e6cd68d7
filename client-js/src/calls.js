/**
 * Calls that end by themselves: after a time, or when a signal says so.
 */
import { callError } from "./index.js";

const ERROR = "http://api.wamp.ws/error#";

/**
 * Call a procedure of a connection.
 *
 * @param {Connection} connection
 * @param {string} procedure
 * @param {Array} args
 * @param {{timeout?: number, signal?: AbortSignal}} [options] timeout in ms
 * @returns {Promise} rejected with `{uri, desc, detail}`; without a connection, at once
 */
export const callWithin = (connection, procedure, args, { timeout, signal } = {}) => {
  let clock;
  let onAbort;
  return new Promise((resolve, reject) => {
    const giveUp = (name, desc) => reject(callError(ERROR + name, desc));
    onAbort = () => giveUp("aborted", "The call was aborted.");
    if (signal) {
      signal.addEventListener("abort", onAbort);
      if (signal.aborted) {
        onAbort();
        return;
      }
    }
    if (timeout !== undefined) {
      clock = setTimeout(giveUp, timeout, "timeout", `No answer within ${timeout} ms.`);
    }
    connection.request(procedure, args, resolve, reject);
  }).finally(() => {
    clearTimeout(clock);
    if (signal) {
      signal.removeEventListener("abort", onAbort);
    }
  });
};
