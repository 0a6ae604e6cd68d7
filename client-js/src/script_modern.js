/* The add-on with the class Wampush as a plain script. */

import { StreamOverflow, Wampush } from "./modern.js";

Wampush.StreamOverflow = StreamOverflow;
globalThis.Wampush = Wampush;
