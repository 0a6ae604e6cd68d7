/*
 * SHA-256 (FIPS 180-4), HMAC (RFC 2104) and PBKDF2 (RFC 8018), synchronous. `crypto.subtle` is
 * asynchronous and absent on pages over plain HTTP, and `authsign` and `deriveKey` return their value.
 */

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/** The first 32 bits of the fraction of a number. */
const fraction = (number) => ((number % 1) * 0x100000000) | 0;

const ROUND_CONSTANTS = new Int32Array(64);
const INITIAL_STATE = new Int32Array(8);

for (let candidate = 2, primes = []; primes.length < 64; candidate++) {
  if (primes.every((prime) => candidate % prime)) {
    ROUND_CONSTANTS[primes.length] = fraction(Math.cbrt(candidate));
    if (primes.length < 8) {
      INITIAL_STATE[primes.length] = fraction(Math.sqrt(candidate));
    }
    primes.push(candidate);
  }
}

const schedule = new Int32Array(64);

/** Rotate a word to the right. */
const rotated = (word, bits) => (word >>> bits) | (word << (32 - bits));

/**
 * Take one block into the state of a hash.
 *
 * @param {Int32Array} state 8 words, changed in place
 * @param {Int32Array} words holds the block
 * @param {number} start index of the block's first word
 */
const compress = (state, words, start) => {
  let [a, b, c, d, e, f, g, h] = state;
  for (let round = 0; round < 64; round++) {
    if (round < 16) {
      schedule[round] = words[start + round];
    } else {
      const early = schedule[round - 15];
      const late = schedule[round - 2];
      schedule[round] = schedule[round - 16] + schedule[round - 7] +
        (rotated(early, 7) ^ rotated(early, 18) ^ (early >>> 3)) +
        (rotated(late, 17) ^ rotated(late, 19) ^ (late >>> 10));
    }
    const first = (h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & f) ^ (~e & g)) +
      ROUND_CONSTANTS[round] + schedule[round]) | 0;
    const second = ((rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) +
      ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + second) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
};

/**
 * Pad the end of a message to whole blocks.
 *
 * @param {Uint8Array} bytes
 * @param {number} before bytes of the message that were hashed already, whole blocks
 * @returns {Int32Array} big-endian words
 */
const padded = (bytes, before) => {
  const length = Math.ceil((bytes.length + 9) / BLOCK_BYTES) * BLOCK_BYTES;
  const words = new Int32Array(length / 4);
  for (let index = 0; index < bytes.length; index++) {
    words[index >> 2] |= bytes[index] << (24 - 8 * (index & 3));
  }
  words[bytes.length >> 2] |= 0x80 << (24 - 8 * (bytes.length & 3));
  const total = before + bytes.length;
  words[words.length - 2] = total / 0x20000000;
  words[words.length - 1] = total << 3;
  return words;
};

/** Hash the rest of a message from a state on; the state stays as it is. */
const finish = (start, bytes, before) => {
  const state = start.slice();
  const words = padded(bytes, before);
  for (let index = 0; index < words.length; index += BLOCK_BYTES / 4) {
    compress(state, words, index);
  }
  return state;
};

const toBytes = (words) => {
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, index) => new DataView(bytes.buffer).setInt32(index * 4, word));
  return bytes;
};

/**
 * Return the SHA-256 digest of bytes.
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array} 32 bytes
 */
export const sha256 = (bytes) => toBytes(finish(INITIAL_STATE, bytes, 0));

/** The states after the two padded keys of HMAC. */
const keyed = (key) => {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? sha256(key) : key);
  return [0x36, 0x5c].map((pad) => {
    const state = INITIAL_STATE.slice();
    compress(state, padded(block.map((byte) => byte ^ pad), 0), 0);
    return state;
  });
};

/**
 * Return the HMAC-SHA-256 of a message.
 *
 * @param {Uint8Array} key
 * @param {Uint8Array} message
 * @returns {Uint8Array} 32 bytes
 */
export const hmac = (key, message) => {
  const [inner, outer] = keyed(key);
  return toBytes(finish(outer, toBytes(finish(inner, message, BLOCK_BYTES)), BLOCK_BYTES));
};

/**
 * Return a key that PBKDF2-HMAC-SHA-256 derives.
 *
 * @param {Uint8Array} secret
 * @param {Uint8Array} salt
 * @param {number} iterations at least 1
 * @param {number} length bytes of the key
 * @returns {Uint8Array}
 */
export const pbkdf2 = (secret, salt, iterations, length) => {
  const [inner, outer] = keyed(secret);
  const derived = new Uint8Array(Math.ceil(length / DIGEST_BYTES) * DIGEST_BYTES);
  // Each round hashes 32 bytes after a block of the key, so the padding is the same every time.
  const block = padded(new Uint8Array(DIGEST_BYTES), BLOCK_BYTES);
  const numbered = new Uint8Array(salt.length + 4);
  numbered.set(salt);
  const state = new Int32Array(8);
  for (let index = 0; index * DIGEST_BYTES < length; index++) {
    new DataView(numbered.buffer).setUint32(salt.length, index + 1);
    block.set(finish(inner, numbered, BLOCK_BYTES));
    const sum = new Int32Array(8);
    for (let round = 0; round < iterations; round++) {
      if (round) {
        state.set(inner);
        compress(state, block, 0);
        block.set(state);
      }
      state.set(outer);
      compress(state, block, 0);
      block.set(state);
      for (let word = 0; word < 8; word++) {
        sum[word] ^= state[word];
      }
    }
    derived.set(toBytes(sum), index * DIGEST_BYTES);
  }
  return derived.slice(0, length);
};
