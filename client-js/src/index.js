/**
 * The core, for modules: `ab`, and what it and the add-ons are made of.
 */
import ab from "./ab.js";
import { Connection, callError } from "./connection.js";

export { ab, Connection, callError };
export default ab;
