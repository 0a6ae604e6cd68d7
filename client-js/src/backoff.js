/** How long to wait before the next attempt to connect. */

/** Milliseconds: the shortest delay; the longest one of the first attempt, and of any. */
const SHORTEST = 500;
const FIRST = 1000;
const LONGEST = 20000;

/**
 * Return the delay before an attempt in ms, drawn from a range that doubles each time.
 *
 * @param {number} attempt how many failed before
 * @param {?number} wanted the longest delay in ms; 0 or nothing: 20 s
 */
export const backoff = (attempt, wanted) => {
  const longest = wanted || LONGEST;
  const shortest = Math.min(SHORTEST, longest);
  const ceiling = Math.min(longest, FIRST * 2 ** attempt);
  return Math.round(shortest + Math.random() * (ceiling - shortest));
};
