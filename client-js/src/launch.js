/**
 * `ab.launch`: connect, authenticate by WAMP-CRA, and go on with the session.
 */

/**
 * Return `ab.launch` for an `ab` that can authenticate.
 *
 * @param {object} ab
 */
export const launchOf = (ab) => ({ wsuri, appkey, appextra, appsecret, sessionConfig }, onOpen, onClose) =>
  ab.connect(
    wsuri,
    (session) => {
      const sign = (challenge) =>
        typeof appsecret === "function"
          ? appsecret(challenge)
          : session.authsign(challenge, ab.deriveKey(appsecret, JSON.parse(challenge).authextra));
      (appkey
        ? session
            .authreq(appkey, appextra)
            .then(sign)
            .then((signature) => session.auth(signature))
        : session.authreq().then(() => session.auth())
      ).then(
        () => {
          if (onOpen) {
            onOpen(session);
          } else if (ab._debugconnect) {
            session.log("Session opened.");
          }
        },
        (error) => session.log(error),
      );
    },
    (...args) => {
      if (onClose) {
        return onClose(...args);
      }
      if (ab._debugconnect) {
        ab.log("Session closed.", ...args);
      }
    },
    sessionConfig,
  );
