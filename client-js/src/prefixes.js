/**
 * Prefixes of URIs, and the CURIEs that are made with them: `news:sport`.
 *
 * The names of the methods are those of `ab.PrefixMap`, which this is. Objects without a prototype,
 * so that a prefix may be named "constructor".
 */
export class PrefixMap {
  constructor() {
    this._index = Object.create(null);
    this._rindex = Object.create(null);
  }

  get(prefix) {
    return this._index[prefix];
  }

  set(prefix, uri) {
    this._index[prefix] = uri;
    this._rindex[uri] = prefix;
  }

  setDefault(uri) {
    this.set("", uri);
  }

  remove(prefix) {
    const uri = this._index[prefix];
    if (uri) {
      delete this._index[prefix];
      delete this._rindex[uri];
    }
  }

  /** Call a function with each prefix and its URI. */
  forEach(use) {
    for (const prefix in this._index) {
      use(prefix, this._index[prefix]);
    }
  }

  /** Return the URI of a CURIE; of another text, null, or the text itself with `pass`. */
  resolve(curie, pass) {
    const colon = curie.indexOf(":");
    const uri = colon >= 0 && this._index[curie.slice(0, colon)];
    return uri ? uri + curie.slice(colon + 1) : pass === true ? curie : null;
  }

  /** Return the CURIE of a URI, made with the longest prefix; without one, as `resolve`. */
  shrink(uri, pass) {
    for (let length = uri.length; length > 0; length -= 1) {
      const prefix = this._rindex[uri.slice(0, length)];
      if (prefix) {
        return `${prefix}:${uri.slice(length)}`;
      }
    }
    return pass === true ? uri : null;
  }
}
