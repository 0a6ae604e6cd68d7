/** The values of a page: names that objects have anyway are names like others. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { StateValues } from "../src/state_values.js";

for (const name of ["constructor", "toString", "__proto__"]) {
  test(`a value may be called ${name}`, async () => {
    const push = [];
    const values = new StateValues((_, handler) => {
      push.push(handler);
      return () => {};
    });
    const got = [];
    const listen = ({ original, value }) => got.push([Object.keys(original), value[name]]);
    const stops = [values.watch(name, listen), values.watch(name, listen)];
    await null;
    assert.deepEqual(got, [], "nothing has come yet");
    push[0](1);
    push[0](1);
    assert.deepEqual(got, [[[], 1], [[], 1]]);
    values.watch(name, listen)();
    stops.forEach((stop) => stop());
    assert.deepEqual(Object.keys(values.current), []);
  });
}
