/**
 * Messages of WAMP v1 and their text. Each is a JSON list whose first element is its type.
 */

export const WELCOME = 0;
export const PREFIX = 1;
export const CALL = 2;
export const CALL_RESULT = 3;
export const CALL_ERROR = 4;
export const SUBSCRIBE = 5;
export const UNSUBSCRIBE = 6;
export const PUBLISH = 7;
export const EVENT = 8;

/** The subprotocol that clients offer. */
export const SUBPROTOCOL = "wamp";

/**
 * Return the text of a message. `undefined` becomes null.
 *
 * Prototype.js gives every array a `toJSON` that returns text; JSON.stringify would quote it again.
 */
export const encode = (message) =>
  typeof message.toJSON === "function" ? message.toJSON() : JSON.stringify(message);

/** Return the list in a text, or null for what is not a message. */
export const decode = (text) => {
  try {
    const message = JSON.parse(text);
    return Array.isArray(message) ? message : null;
  } catch (error) {
    return null;
  }
};

/**
 * Return a PUBLISH.
 *
 * @param {string} topic
 * @param {*} event any JSON value
 * @param {{excludeMe?: boolean, exclude?: string[], eligible?: string[]}} [options] `exclude` and
 *   `eligible` are session ids; `exclude` takes the place of `excludeMe`
 */
export const publication = (topic, event, { excludeMe, exclude = excludeMe, eligible } = {}) =>
  [PUBLISH, topic, event, exclude, eligible].slice(0, eligible ? 5 : exclude === undefined ? 3 : 4);
