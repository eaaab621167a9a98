// The agreed surface of web/longwire.js (ES module, no dependencies). The module's author may add, and must tell the page's author of changes
// by editing /tmp/team/longwire-api.d.ts; names here stay.

export interface Options {
  url?: string;                 // base URL of the server; default: location.origin. Needed in Node.
  storage?: KeyValue;           // default: localStorage in browsers, memory in Node. Keeps tokens, outbox, cursor, under keys with a prefix
  prefix?: string;              // of storage keys, lock and channel names; default "longwire"
  transports?: Transport[];     // default ["sse", "long-poll", "short-poll"], in order of preference
  deviceName?: string;          // shown in the list of sessions
  shared?: boolean;             // one connection for all tabs of this origin (Web Locks + BroadcastChannel); default true where there are both
  presence?: "active" | "background" | "none"; // default: follows document.visibilityState
  fetch?: typeof fetch; EventSource?: typeof EventSource; // injected in tests and in Node; without EventSource the stream is read by fetch
  log?: (message: string, detail?: unknown) => void;
}
export type Transport = "sse" | "long-poll" | "short-poll";

export interface Client {
  readonly session: { user: User; session_id: string } | null;   // null: signed out
  register(input: { username: string; password: string; display_name?: string }): Promise<User>;
  login(input: { username: string; password: string }): Promise<User>;
  logout(): Promise<void>;

  // One call of the API. Renews the access token when needed (one tab at a time), repeats once after a 401, repeats GET/PUT/DELETE and calls with an
  // idempotency key on network errors, 429, 500, 502, 503, 504 as docs/protocol.md "Retrying" says (bounded by `timeout`, default 30 s). Throws LongwireError.
  request<T = any>(method: string, path: string, options?: { body?: unknown; query?: Record<string, unknown>; idempotencyKey?: string; signal?: AbortSignal; timeout?: number }): Promise<T>;

  // Sending with an outbox that survives a reload. Resolves `sent` when the server has it on disk; rejects with LongwireError when it was refused for good
  // (the item then stays in the outbox as failed until retried or discarded). Messages to one recipient leave in order.
  send(to: { user: string } | { group: string }, message: OutgoingMessage): { key: string; sent: Promise<Message> };
  readonly outbox: OutboxItem[];            // { key, to, message, state: "sending"|"waiting"|"failed", error?, at }
  retry(key: string): void;
  discard(key: string): void;

  // The inbox. start() takes a position (a stored cursor that fits to what the application keeps, or the one of sync()) and reads from there for ever.
  sync(): Promise<Sync>;                    // GET /v1/sync; its cursor is where start() goes on
  start(cursor?: string): void;             // without: sync() is called first and given out as "reset" with reason "start"
  stop(): void;
  readonly cursor: string | null;           // up to where events were given to the application
  readonly connection: Connection;          // { state: "connecting"|"live"|"offline"|"waiting"|"signed_out"|"stopped", transport: Transport|null, leader: boolean, retryAt: number|null (ms since epoch), reason?: string }

  // Every function returned by on() removes the handler. Each inbox event reaches the handlers of each tab exactly once, in order.
  on(type: "event", f: (e: InboxEvent) => void): () => void;          // all inbox events, ephemeral ones too (no cursor)
  on(type: "reset", f: (r: { reason: string; sync: Sync }) => void): () => void; // throw away what is shown and begin with this
  on(type: "connection", f: (c: Connection) => void): () => void;
  on(type: "outbox", f: (items: OutboxItem[]) => void): () => void;
  on(type: "session", f: (s: { user: User; session_id: string } | null, reason?: string) => void): () => void; // sign in, sign out, ended elsewhere; in all tabs
}
export interface InboxEvent { cursor?: string; type: string; at: string; data: any }
export class LongwireError extends Error { status: number; code: string; detail: string; errors: { field: string; message: string }[]; retryAfter: number | null; requestId: string | null }
export function createClient(options?: Options): Client;
// Served at /longwire.js with types at /longwire.d.ts.
