/* The add-on for connections that tabs share as a plain script. */

import { SharedConnection, sharedConnection } from "./tabs.js";

globalThis.WampushTabs = { SharedConnection, sharedConnection };
