/** WAMP v1 for pages: the API of AutobahnJS, and connections that come back. */

/** The error of a call. */
export interface CallError extends Error {
  uri: string;
  desc: string;
  detail?: unknown;
}

/** A promise with the methods of when.js that pages use. */
export interface WhenPromise<T> extends Promise<T> {
  then<R1 = T, R2 = never>(
    onResult?: ((value: T) => R1 | PromiseLike<R1>) | null,
    onError?: ((reason: any) => R2 | PromiseLike<R2>) | null,
  ): WhenPromise<R1 | R2>;
  otherwise<R>(onError: (reason: any) => R | PromiseLike<R>): WhenPromise<T | R>;
  always<R>(onEither: (valueOrReason: any) => R | PromiseLike<R>): WhenPromise<R>;
  ensure(onEither: () => unknown): WhenPromise<T>;
}

export interface Deferred<T = any> {
  promise: WhenPromise<T>;
  resolver: Pick<Deferred<T>, "resolve" | "reject" | "notify">;
  resolve(value?: T | PromiseLike<T>): WhenPromise<T>;
  reject(reason?: unknown): WhenPromise<T>;
  notify<P>(progress: P): P;
}

export interface PrefixMap {
  get(prefix: string): string | undefined;
  set(prefix: string, uri: string): void;
  setDefault(uri: string): void;
  remove(prefix: string): void;
  forEach(use: (prefix: string, uri: string) => void): void;
  resolve(curie: string, pass: true): string;
  resolve(curie: string, pass?: boolean): string | null;
  shrink(uri: string, pass: true): string;
  shrink(uri: string, pass?: boolean): string | null;
}

export type TopicHandler<E = any> = (topicUri: string, event: E) => void;

export interface SessionOptions {
  /** Whether a server is accepted that does not select the subprotocol "wamp". */
  skipSubprotocolCheck?: boolean;
  /** Whether the subprotocol "wamp" is left out of the handshake. */
  skipSubprotocolAnnounce?: boolean;
  /** Name in `session.log`. */
  sessionIdent?: string;
  /** Whether `onopen` is called after each return; the page then subscribes anew. */
  reopen?: boolean;
  /** `false`: the first loss is the end, as with AutobahnJS. */
  reconnect?: boolean;
}

export interface ConnectOptions {
  skipSubprotocolCheck?: boolean;
  skipSubprotocolAnnounce?: boolean;
  sessionIdent?: string;
  /** Attempts in a row before it gives up; without it, it never does. */
  maxRetries?: number;
  /** Longest delay before an attempt, in ms (20,000). */
  retryDelay?: number;
}

export interface RetryDetails {
  /** Milliseconds until the next attempt. */
  delay: number;
  retries: number;
  maxretries: number;
}

export interface Session {
  call<T = any>(procedure: string, ...args: unknown[]): WhenPromise<T>;
  subscribe<E = any>(topic: string, callback: TopicHandler<E>): void;
  unsubscribe(topic: string, callback?: TopicHandler): void;
  publish(topic: string, event: unknown): void;
  publish(topic: string, event: unknown, excludeMe: boolean): void;
  publish(topic: string, event: unknown, exclude: string[]): void;
  publish(topic: string, event: unknown, exclude: string[], eligible: string[]): void;
  prefix(prefix: string, uri: string): void;
  shrink(uri: string, pass?: true): string;
  shrink(uri: string, pass: boolean): string | null;
  resolve(curie: string, pass?: true): string;
  resolve(curie: string, pass: boolean): string | null;
  sessionid(): string;
  wsuri(): string;
  close(): void;
  log(...items: unknown[]): void;
  /** Needs wampush-cra, as the two below. */
  authreq(key?: string | null, extra?: unknown): WhenPromise<string>;
  authsign(challenge: string, secret?: string): string;
  auth(signature?: string | null): WhenPromise<any>;
}

export interface SessionConstructor {
  new (
    wsuri: string,
    onopen?: (() => void) | null,
    onclose?: ((code: number, reason?: string) => void) | null,
    options?: SessionOptions,
  ): Session;
  readonly prototype: Session;
}

export interface LaunchConfig {
  wsuri: string;
  appkey?: string;
  appextra?: unknown;
  appsecret?: string | ((challenge: string) => string | PromiseLike<string>);
  sessionConfig?: ConnectOptions;
}

export type HangupHandler = (
  code: number,
  reason: string,
  details?: RetryDetails,
) => boolean | void;

/** The global of AutobahnJS for WAMP v1. */
export interface Ab {
  readonly CONNECTION_CLOSED: 0;
  readonly CONNECTION_LOST: 1;
  readonly CONNECTION_RETRIES_EXCEEDED: 2;
  readonly CONNECTION_UNREACHABLE: 3;
  readonly CONNECTION_UNSUPPORTED: 4;
  readonly CONNECTION_UNREACHABLE_SCHEDULED_RECONNECT: 5;
  readonly CONNECTION_LOST_SCHEDULED_RECONNECT: 6;
  readonly browserNotSupportedMessage: string;
  Session: SessionConstructor;
  Connection: typeof Connection;
  PrefixMap: new () => PrefixMap;
  Deferred: { new (): Deferred; (): Deferred };
  connect(
    wsuri: string,
    onConnect: (session: Session) => void,
    onHangup?: HangupHandler,
    options?: ConnectOptions,
  ): void;
  /** Needs wampush-cra. */
  launch(
    config: LaunchConfig,
    onOpen?: (session: Session) => void,
    onClose?: HangupHandler,
  ): void;
  /** Needs wampush-cra. */
  deriveKey(
    secret: string,
    extra?: { salt?: string; iterations?: number; keylen?: number } | null,
  ): string;
  debug(wamp: boolean, ws?: boolean, connect?: boolean): void;
  log(...items: unknown[]): void;
  version(): string;
  getBrowser(): { name: string; version: number[] } | null;
  getServerUrl(path?: string, fallback?: string): string;
  lookupWsSupport(): [boolean, boolean, boolean];
}

export interface Position {
  epoch: string;
  offset: number;
}

export type ConnectionState = "closed" | "connecting" | "open" | "waiting";

export interface ConnectionOptions {
  /** Makes the socket. */
  construct?: (url: string, protocols: string[]) => WebSocket;
  /** Whether the subprotocol "wamp" is offered (true). */
  announce?: boolean;
  /** Whether the server must select it (true). */
  check?: boolean;
  /** Longest delay before an attempt, in ms (20,000). */
  longest?: number;
  /** Whether prefixes and subscriptions are forgotten at a loss, because the page makes them again. */
  fresh?: boolean;
  /** Which close codes are not the end. */
  comesBack?: (code: number) => boolean;
  /** What each session does before anything else, such as to authenticate. */
  prepare?: (connection: Connection) => PromiseLike<unknown> | unknown;
}

export interface ConnectionEnd {
  code: number;
  reason: string;
  wasClean: boolean;
  wasOpen: boolean;
  isFinal: boolean;
  /** Milliseconds until the next attempt, unless it is the end. */
  delay?: number;
}

export interface PublishOptions {
  excludeMe?: boolean;
  /** Session ids. */
  exclude?: string[];
  /** Session ids. */
  eligible?: string[];
}

/** One logical connection, which comes back after every loss. */
export class Connection {
  constructor(
    url: string | (() => string | PromiseLike<string>),
    options?: ConnectionOptions,
  );
  readonly state: ConnectionState;
  readonly sessionId: string | null;
  /** What the server calls itself. */
  readonly server: string | null;
  onopen: (isReturn: boolean) => void;
  /** Ends the connection for good by returning something true. */
  onclose: (end: ConnectionEnd) => unknown;
  onstate: (state: ConnectionState) => void;
  /** By default, a `wampush:state-lost` event on the window. */
  onstatelost: (topic: string) => void;
  onrefused: (topic: string, error: CallError) => void;
  open(): void;
  close(code?: number, reason?: string): void;
  prefix(prefix: string, uri: string): void;
  subscribe<E = any>(
    topic: string,
    handler: (topicUri: string, event: E, position?: Position) => void,
    since?: Position | null,
  ): void;
  unsubscribe(topic: string, handler?: (...args: any[]) => void): void;
  publish(topic: string, event: unknown, options?: PublishOptions): void;
  /** Rejected with a `CallError`; without a connection, at once. */
  call<T = any>(procedure: string, args?: unknown[]): Promise<T>;
  /** As `call`, with the answer in the moment when it comes. */
  request(
    procedure: string,
    args: unknown[],
    onResult: (result: any) => void,
    onError: (error: CallError) => void,
  ): void;
}

export function callError(uri: string, desc: string, detail?: unknown): CallError;

export const ab: Ab;
export default ab;

declare global {
  interface WindowEventMap {
    /** Events of a topic may be missing: load its state anew. */
    "wampush:state-lost": CustomEvent<{ topic: string }>;
  }
}
