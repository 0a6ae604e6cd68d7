/** One connection for all tabs of a page. */

type Url = string | (() => string | Promise<string>);

export interface SharedConnectionOptions {
  /** What is shared; the URL without it. It must say who the user is if there are several. */
  readonly name?: string;
  /** Where wampush-tabs-worker.js is, of the same origin; null for no worker. */
  readonly worker?: string | null;
  /** Returns a fresh token, which extends the session before it expires. */
  readonly token?: () => string | null | Promise<string | null>;
  /** What each session does before anything else. */
  readonly prepare?: (connection: {
    call<Result = unknown>(procedure: string, args?: readonly unknown[]): Promise<Result>;
  }) => Promise<unknown>;
  /** Longest delay before an attempt in milliseconds; 20,000 without it. */
  readonly longest?: number;
  /** Whether the subprotocol is offered; true without it. */
  readonly announce?: boolean;
  /** Whether the server must select the subprotocol; true without it. */
  readonly check?: boolean;
}

export interface Position {
  readonly epoch: string;
  readonly offset: number;
}

type Handler = (topic: string, event: any, position?: Position) => void;

export class SharedConnection {
  private constructor();

  readonly state: "connecting" | "open" | "waiting" | "closed";
  readonly sessionId: string | null;
  onopen: (isReturn: boolean) => void;
  onclose: (end: {
    code: number;
    reason: string;
    wasClean: boolean;
    isFinal: boolean;
    delay?: number;
  }) => void;
  onstate: (state: "connecting" | "open" | "waiting" | "closed") => void;
  onstatelost: (topic: string) => void;
  onrefused: (topic: string, error: Error) => void;
  onerror: (error: Error) => void;

  open(): void;
  close(code?: number, reason?: string): void;
  subscribe(topic: string, handler: Handler): void;
  unsubscribe(topic: string, handler?: Handler): void;
  publish(
    topic: string,
    event: unknown,
    options?: {
      readonly excludeMe?: boolean;
      readonly exclude?: readonly string[];
      readonly eligible?: readonly string[];
    },
  ): void;
  call(procedure: string, args?: readonly unknown[]): Promise<any>;
  /** Call; one of the functions gets the answer. */
  request(
    procedure: string,
    args: readonly unknown[],
    onResult: (result: any) => void,
    onError: (error: Error) => void,
  ): void;
}

/**
 * Make a connection that all tabs of the origin with the same name share. Where browsers can share
 * nothing, it is one of this tab alone.
 */
export function sharedConnection(url: Url, options?: SharedConnectionOptions): SharedConnection;

declare global {
  interface Window {
    readonly WampushTabs: {
      readonly SharedConnection: typeof SharedConnection;
      readonly sharedConnection: typeof sharedConnection;
    };
  }
}
