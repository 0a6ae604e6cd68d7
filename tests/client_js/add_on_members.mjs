/* Prints the public members of the add-ons as JSON; names that end in "_" are for the inside. */

import { ab } from "../../client-js/src/index.js";
import * as cra from "../../client-js/src/cra.js";
import { Wampush } from "../../client-js/src/modern.js";
import { SharedConnection, sharedConnection } from "../../client-js/src/tabs.js";

const isPublic = (name) => !name.endsWith("_") && !/^(constructor|on_\w+)$/.test(name);
const membersOf = ({ prototype }) => Object.getOwnPropertyNames(prototype).filter(isPublic).sort();

const before = new Set([...Object.keys(ab), ...Object.getOwnPropertyNames(ab.Session.prototype)]);
const added = (object) => Object.getOwnPropertyNames(object).filter((name) => !before.has(name));
const values = { deriveKey: ab.deriveKey, authsign: ab.Session.prototype.authsign };
cra.install(ab);

console.log(JSON.stringify({
  Wampush: membersOf(Wampush),
  SharedConnection: membersOf(SharedConnection),
  tabs: [SharedConnection.name, sharedConnection.name],
  cra: Object.keys(cra).sort(),
  isInstalled: ab.deriveKey === cra.deriveKey && ab.deriveKey !== values.deriveKey,
  added: [...added(ab), ...added(ab.Session.prototype)].sort(),
}));
