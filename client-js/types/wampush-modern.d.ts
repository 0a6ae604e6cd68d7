/** A client with one object. */

/** "waiting" is for the next attempt, "closed" is for good. */
export type ConnectionState = "connecting" | "open" | "waiting" | "closed";

/** Why a connection has ended. */
export interface ConnectionEnd {
  /** The close code, 1006 if there was none. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** Whether there was a session; false after an attempt. */
  readonly wasOpen: boolean;
  /** Whether no attempt follows. */
  readonly isFinal: boolean;
  /** Milliseconds until the next attempt. */
  readonly delay?: number;
}

/** The error of a call. */
export interface CallError extends Error {
  readonly uri: string;
  readonly desc: string;
  readonly detail?: unknown;
}

export interface CallOptions {
  /** Milliseconds, waiting for a connection included. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface PublishOptions {
  /** Whether this session does not get the event; true without it. */
  readonly excludeMe?: boolean;
  /** Session ids that do not get the event. */
  readonly exclude?: readonly string[];
  /** The only session ids that get the event. */
  readonly eligible?: readonly string[];
}

/** A message for a handler of the server: a call of `MODULE.HANDLER` with the data. */
export interface HandlerMessage {
  readonly handler: string;
  readonly module: string;
  readonly data?: unknown;
}

/** A change of named values. */
export interface StateChange {
  readonly changes: readonly string[];
  readonly original: Readonly<Record<string, unknown>>;
  readonly value: Readonly<Record<string, unknown>>;
}

/** What a connection for `Wampush` has; `Connection` of the core and `SharedConnection` have it. */
export interface ConnectionLike {
  readonly state: ConnectionState;
  readonly sessionId: string | null;
  open(): void;
  close(code?: number, reason?: string): void;
  subscribe(topic: string, handler: (topic: string, event: any) => void): void;
  unsubscribe(topic: string, handler?: (topic: string, event: any) => void): void;
  publish(topic: string, event: unknown, options?: PublishOptions): void;
  call(procedure: string, args?: readonly unknown[]): Promise<any>;
  request(
    procedure: string,
    args: readonly unknown[],
    onResult: (result: any) => void,
    onError: (error: Error) => void,
  ): void;
}

export type Url = string | (() => string | Promise<string>);

export interface WampushOptions {
  /** Returns a fresh token: for the URL of each attempt, and to extend the session before it expires. */
  readonly token?: () => string | null | Promise<string | null>;
  /** The name of the token in the URL; "token" without it. */
  readonly tokenParameter?: string;
  /** What each session does before anything else. */
  readonly authenticate?: (connection: {
    call<Result = unknown>(procedure: string, args?: readonly unknown[]): Promise<Result>;
  }) => Promise<unknown>;
  /** Names for `onStateChange`, and their topics. */
  readonly states?: Readonly<Record<string, string>>;
  /** Milliseconds that a call may take if it does not say otherwise; no limit without it. */
  readonly timeout?: number;
  /** Messages that may wait for a connection; 1,000 without it. */
  readonly queue?: number;
  /** Makes the connection, such as `sharedConnection`. It also gets options that are not listed here. */
  readonly connect?: (url: Url, options: any) => ConnectionLike;
  /** Longest delay before an attempt in milliseconds; 20,000 without it. */
  readonly longest?: number;
  /** Whether the subprotocol is offered; true without it. */
  readonly announce?: boolean;
  /** Whether the server must select the subprotocol; true without it. */
  readonly check?: boolean;
  /** Which close codes are not the end. */
  readonly comesBack?: (code: number) => boolean;
  /** What is shared, for `sharedConnection`. */
  readonly name?: string;
  /** Where wampush-tabs-worker.js is, for `sharedConnection`; null for no worker. */
  readonly worker?: string | null;
}

/** Events came faster than the loop over them took them. */
export class StreamOverflow extends Error {
  constructor(topic: string, limit: number);
}

/** The events of a topic, from the moment on in which it was made. */
export interface EventStream<Event> extends AsyncIterableIterator<Event> {
  next(): Promise<IteratorResult<Event, undefined>>;
  return(value?: any): Promise<IteratorResult<Event, any>>;
  /** End, after the events that wait. */
  end(): void;
}

type Stop = () => void;

/**
 * A client that stays connected.
 *
 * @template Events the types of events by topic
 */
export class Wampush<Events extends object = Record<string, any>> {
  constructor(url: Url, options?: WampushOptions);

  readonly state: ConnectionState;
  readonly connected: boolean;
  readonly sessionId: string | null;
  /** The newest values that `onStateChange` knows. */
  readonly values: Readonly<Record<string, unknown>>;

  /** Connect again after the end for good. Handlers are kept. */
  open(): void;
  close(code?: number, reason?: string): void;

  on(
    name: string,
    success: ((...details: any[]) => void) | null | undefined,
    error?: (code: number, text: string) => void,
  ): this;
  once(
    name: string,
    success: ((...details: any[]) => void) | null | undefined,
    error?: (code: number, text: string) => void,
  ): this;
  off(
    name: string,
    success?: ((...details: any[]) => void) | null,
    error?: (code: number, text: string) => void,
  ): this;

  /** `{handler, module, data}`, also as JSON text, is a call. */
  send<Result = unknown>(message: HandlerMessage): Promise<Result>;
  send(action: string, details?: unknown): this;

  publish<Topic extends keyof Events & string>(
    topic: Topic,
    event: Events[Topic],
    options?: PublishOptions,
  ): void;

  /** Rejected with a `CallError`. */
  call<Result = unknown>(
    procedure: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<Result>;

  onStateChange(listener: (change: StateChange) => void): Stop;
  onStateChange<Value = any>(name: string, listener: (value: Value) => void): Stop;

  onMessage<Topic extends keyof Events & string>(
    topic: Topic,
    listener: (event: Events[Topic]) => void,
  ): Stop;

  events<Topic extends keyof Events & string>(
    topic: Topic,
    options?: { readonly limit?: number; readonly signal?: AbortSignal },
  ): EventStream<Events[Topic]>;

  onConnectionChange(listener: (state: ConnectionState, end?: ConnectionEnd) => void): Stop;
  onStateLost(listener: (topic: string) => void): Stop;
  onError(listener: (error: Error) => void): Stop;
}

declare global {
  interface Window {
    readonly Wampush: typeof Wampush & { readonly StreamOverflow: typeof StreamOverflow };
  }
}
