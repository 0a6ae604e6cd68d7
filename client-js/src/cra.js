/*
 * WAMP-CRA: what a client derives, signs and calls to authenticate inside its session, with the names
 * of AutobahnJS.
 */

import { launchOf } from "./launch.js";
import { hmac, pbkdf2 } from "./sha256.js";

const PROCEDURE = "http://api.wamp.ws/procedure#";
const ITERATIONS = 10000;
const KEY_BYTES = 32;

const utf8 = (text) => new TextEncoder().encode(text);

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** A whole number of at least 1 from `authextra`, or the default that AutobahnJS has for it. */
const count = (extra, name, usual) => {
  const value = extra[name] || usual;
  if (!(Number.isInteger(value) && value > 0)) {
    throw new TypeError(`${name} is ${JSON.stringify(value)}; it must be a whole number above 0`);
  }
  return value;
};

/**
 * Derive the key that signs from the secret that a person knows.
 *
 * @param {string} secret
 * @param {?object} extra `authextra` of the challenge: `salt`, and optionally `iterations` (10,000) and
 *   `keylen` in bytes (32); without a salt the secret itself signs
 * @returns {string} the derived key in Base64, or the secret
 */
export const deriveKey = (secret, extra) => {
  if (!extra || !extra.salt) {
    return secret;
  }
  const iterations = count(extra, "iterations", ITERATIONS);
  return base64(pbkdf2(utf8(secret), utf8(extra.salt), iterations, count(extra, "keylen", KEY_BYTES)));
};

/**
 * Sign a challenge.
 *
 * @param {string} challenge the text that `authreq` returned, unchanged
 * @param {?string} secret the secret, or what `deriveKey` returned
 * @returns {string} HMAC-SHA-256 in Base64
 */
export const authsign = (challenge, secret) => base64(hmac(utf8(secret || ""), utf8(challenge)));

/**
 * Authenticate a connection whose `call` takes its arguments as a list, as those of the other add-ons do.
 *
 * @param {{call: function(string, Array): Promise}} connection
 * @param {string} key names the secret
 * @param {string} secret
 * @param {object} [extra] returned by the server in the challenge
 * @returns {Promise<object>} the permissions in force
 */
export const authenticate = async (connection, key, secret, extra) => {
  const challenge = await connection.call(`${PROCEDURE}authreq`, [key, extra]);
  const derived = deriveKey(secret, JSON.parse(challenge).authextra);
  return connection.call(`${PROCEDURE}auth`, [authsign(challenge, derived)]);
};

/**
 * Add what the core leaves out.
 *
 * @param {object} ab the core, or AutobahnJS
 */
export const install = (ab) => {
  ab.deriveKey = deriveKey;
  ab.launch = launchOf(ab);
  Object.assign(ab.Session.prototype, {
    authreq(key, extra) {
      return this.call(`${PROCEDURE}authreq`, key, extra);
    },
    authsign: (challenge, secret) => authsign(challenge, secret),
    auth(signature) {
      return this.call(`${PROCEDURE}auth`, signature);
    },
  });
};
