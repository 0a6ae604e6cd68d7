/**
 * The core for a plain script: the global `ab`, as AutobahnJS for WAMP v1 defines it.
 */
import { ab, callError } from "./index.js";

// Add-ons that are plain scripts find the core here.
ab.callError = callError;
globalThis.ab = ab;
globalThis.AUTOBAHNJS_VERSION = ab._version;
globalThis.AUTOBAHNJS_DEBUG = false;
