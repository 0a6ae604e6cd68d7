/* The add-on for WAMP-CRA as a plain script. */

import { authenticate, authsign, deriveKey, install } from "./cra.js";
import { ab } from "./index.js";

install(ab);
globalThis.WampushCra = { authenticate, authsign, deriveKey };
