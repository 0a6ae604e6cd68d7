/** WAMP-CRA for pages that authenticate inside their session. */

/** How a key is derived from a secret: `authextra` of a challenge. */
export interface Salting {
  readonly salt?: string;
  /** Rounds of PBKDF2; 10,000 without it. */
  readonly iterations?: number;
  /** Bytes of the derived key; 32 without it. */
  readonly keylen?: number;
}

/** What a key may do, as the server returns it. */
export interface Permissions {
  readonly pubsub: ReadonlyArray<{
    readonly uri: string;
    readonly prefix: boolean;
    readonly pub: boolean;
    readonly sub: boolean;
  }>;
  readonly rpc: ReadonlyArray<{ readonly uri: string; readonly call: boolean }>;
}

/** What `authenticate` calls. */
export interface Caller {
  call<Result = unknown>(procedure: string, args?: readonly unknown[]): Promise<Result>;
}

/** Derive the key that signs; without a salt, the secret itself signs. */
export function deriveKey(secret: string, extra?: Salting | null): string;

/** Sign a challenge, exactly as `authreq` returned it. */
export function authsign(challenge: string, secret?: string | null): string;

/** Authenticate a session by name and secret. */
export function authenticate(
  connection: Caller,
  key: string,
  secret: string,
  extra?: object,
): Promise<Permissions>;

/** Add `deriveKey` and `authsign` to the core, or to AutobahnJS. */
export function install(ab: object): void;
