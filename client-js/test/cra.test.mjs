/* SHA-256, HMAC and PBKDF2 on the vectors of their standards and against node's own; WAMP-CRA. */

import assert from "node:assert/strict";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { authenticate, authsign, deriveKey, install } from "../src/cra.js";
import { hmac, pbkdf2, sha256 } from "../src/sha256.js";

const vectors = JSON.parse(readFileSync(new URL("wire-vectors.json", import.meta.url), "utf8"));
const utf8 = (text) => new TextEncoder().encode(text);
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (length) => Uint8Array.from({ length }, (_, index) => (index * 7 + 3) % 256);

test("SHA-256 of the examples of FIPS 180", () => {
  const examples = [
    ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
    [
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ],
    ["a".repeat(1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"],
  ];
  for (const [text, digest] of examples) {
    assert.equal(hex(sha256(utf8(text))), digest);
  }
});

test("SHA-256 of every length around the ends of blocks", () => {
  for (let length = 0; length < 260; length++) {
    const message = bytes(length);
    assert.equal(hex(sha256(message)), createHash("sha256").update(message).digest("hex"));
  }
});

test("HMAC of the examples of RFC 4231", () => {
  const repeated = (byte, count) => new Uint8Array(count).fill(byte);
  const examples = [
    [
      repeated(0x0b, 20),
      "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ],
    [
      utf8("Jefe"),
      "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
    [
      repeated(0xaa, 131),
      "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ],
  ];
  for (const [key, message, code] of examples) {
    assert.equal(hex(hmac(key, utf8(message))), code);
  }
});

test("HMAC with keys and messages of many lengths", () => {
  for (let length = 0; length < 140; length += 3) {
    const key = bytes(length);
    const message = bytes(200 - length);
    assert.equal(hex(hmac(key, message)), createHmac("sha256", key).update(message).digest("hex"));
  }
});

test("PBKDF2 of the examples of RFC 7914", () => {
  assert.equal(
    hex(pbkdf2(utf8("passwd"), utf8("salt"), 1, 64)),
    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc" +
      "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
  );
});

test("PBKDF2 with keys of many lengths", () => {
  for (const [iterations, length] of [[1, 1], [2, 31], [3, 32], [5, 33], [7, 64], [1000, 100]]) {
    const secret = bytes(length);
    const salt = bytes(iterations % 70);
    assert.equal(
      hex(pbkdf2(secret, salt, iterations, length)),
      pbkdf2Sync(secret, salt, iterations, length, "sha256").toString("hex"),
    );
  }
});

test("keys are derived as other implementations do", () => {
  for (const { secret, key, ...extra } of vectors.keys) {
    assert.equal(deriveKey(secret, extra), key);
  }
});

test("what a challenge leaves out is as AutobahnJS assumes it", () => {
  const [, usual] = vectors.keys;
  assert.equal(deriveKey(usual.secret, { salt: usual.salt }), usual.key);
  assert.equal(deriveKey("secret"), "secret");
  assert.equal(deriveKey("secret", null), "secret");
  assert.equal(deriveKey("secret", {}), "secret");
});

test("texts are UTF-8", () => {
  const expected = pbkdf2Sync("Geheimnis🙂", "Größe", 3, 32, "sha256").toString("base64");
  assert.equal(deriveKey("Geheimnis🙂", { salt: "Größe", iterations: 3 }), expected);
});

test("iterations and lengths that cannot be are refused", () => {
  for (const extra of [{ iterations: -1 }, { iterations: 1.5 }, { keylen: "32" }]) {
    assert.throws(() => deriveKey("secret", { salt: "s", ...extra }), {
      name: "TypeError",
      message: /it must be a whole number above 0/,
    });
  }
});

test("signatures are as other implementations make them", () => {
  for (const { challenge, key, signature } of vectors.signatures) {
    assert.equal(authsign(challenge, key), signature);
  }
  assert.equal(authsign("x"), createHmac("sha256", "").update("x").digest("base64"));
});

test("the core gets what it leaves out", async () => {
  const { ab } = await import("../src/index.js");
  install(ab);
  assert.equal(ab.deriveKey, deriveKey);
  const session = Object.create(ab.Session.prototype);
  assert.equal(session.authsign('{"a":1}', "secret2"), vectors.signatures[0].signature);
});

test("authenticate signs the challenge as it came, with the derived key", async () => {
  const [{ secret, key, ...authextra }] = vectors.keys;
  const challenge = `{ "authkey": "alice", "authextra": ${JSON.stringify(authextra)} }`;
  const calls = [];
  const connection = {
    call(...all) {
      calls.push(all);
      return Promise.resolve(calls.length === 1 ? challenge : { pubsub: [], rpc: [] });
    },
  };
  assert.deepEqual(await authenticate(connection, "alice", secret), { pubsub: [], rpc: [] });
  const signature = createHmac("sha256", key).update(challenge).digest("base64");
  assert.deepEqual(calls, [
    ["http://api.wamp.ws/procedure#authreq", ["alice", undefined]],
    ["http://api.wamp.ws/procedure#auth", [signature]],
  ]);
});
