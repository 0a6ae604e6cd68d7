/**
 * Promises with the methods of when.js 2 that pages use.
 *
 * A rejection that nobody handles is not reported, as with when.js: pages that call a procedure and
 * do not care whether it fails would fill the console otherwise.
 */

const ignore = () => {};
const nativeThen = Promise.prototype.then;

export class WhenPromise extends Promise {
  then(onResult, onError) {
    const next = super.then(onResult, onError);
    nativeThen.call(next, ignore, ignore);
    return next;
  }

  otherwise(onError) {
    return this.then(undefined, onError);
  }

  always(onEither) {
    return this.then(onEither, onEither);
  }

  ensure(onEither) {
    return this.finally(() => onEither());
  }
}

/** Return a deferred as `when.defer()` does: a promise, and the functions that decide it. */
export function defer() {
  const resolver = { notify: (progress) => progress };
  const promise = new WhenPromise((resolve, reject) => {
    const deciding = (decide) => (value) => {
      decide(value);
      return promise;
    };
    resolver.resolve = deciding(resolve);
    resolver.reject = deciding(reject);
  });
  // Also the rejection of a promise that nobody looks at is not reported.
  promise.then();
  return { promise, resolver, ...resolver };
}
