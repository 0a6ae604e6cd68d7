/** The global `ab` of pages that load wampush.js as a plain script. */
import type { Ab } from "./wampush.js";

declare global {
  const ab: Ab;
}
