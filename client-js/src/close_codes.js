/**
 * Close codes after which a client does not come back by itself (RFC 6455 section 7.4).
 *
 * After every other end it does: a server that restarts may say 1000, 1001 or 1012, one that fails
 * 1011, and a connection that is cut says nothing, which browsers report as 1006.
 */
const FINAL = new Set([
  1008, // policy violation: the server does not want this client
  3000, // wampush: the application or the operator has ended the session
  3003, // IANA: forbidden
]);

/**
 * Return whether a client comes back after a close code.
 *
 * 4000 to 4999 are the application's own, such as "logged in elsewhere"; two tabs that come back
 * after it would throw each other out for ever.
 */
export const comesBack = (code) => !(FINAL.has(code) || (code >= 4000 && code <= 4999));
