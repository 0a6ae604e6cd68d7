/* The core and WAMP-CRA in one plain script: all that AutobahnJS for WAMP v1 has. */

import "./script.js";
import "./script_cra.js";
