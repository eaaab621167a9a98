// Types of longwire.js. docs/javascript.md says how to use it, docs/protocol.md what the server's objects mean.

export type Transport = "sse" | "long-poll" | "short-poll";

/** What `localStorage` has of what is needed. */
export type KeyValue = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

export interface Options {
  /** Base URL of the server. Default: the page's origin. Needed in Node. */
  url?: string;
  /** Keeps tokens, outbox and cursor. Default: localStorage in a page, memory elsewhere. */
  storage?: KeyValue;
  /** Begins the names of storage keys, locks and the channel. Default: "longwire". Two clients in one origin need two. */
  prefix?: string;
  /** In order of preference. Default: all three, as in the type. */
  transports?: Transport[];
  /** Shown in the list of sessions. */
  deviceName?: string;
  /** One connection for all tabs of this origin. Default: true where there are Web Locks and BroadcastChannel. */
  shared?: boolean;
  /** What others see of this user's presence. Default: "active" while one of the tabs is visible, otherwise "background"; in Node "active". */
  presence?: "active" | "background" | "none";
  /** Called with what may help to find a fault. Never with tokens or texts of messages. */
  log?: (message: string, detail?: unknown) => void;

  /** For tests and other environments; null = there is none. Default: what a page has. Without EventSource the stream is read by fetch. */
  fetch?: typeof fetch;
  EventSource?: typeof EventSource | null;
  locks?: LockManager | null;
  BroadcastChannel?: typeof BroadcastChannel | null;
  /** When to take another transport. */
  timing?: Partial<Timing>;
}

/** Milliseconds, unless it says otherwise. */
export interface Timing {
  /** A stream that has not said hello by then is looked into. 5,000 */
  hello: number;
  /** So many streams that die within `deathsWithin` without having brought an event are too many. 3; 120,000 */
  deaths: number;
  deathsWithin: number;
  /** When a better transport is tried again, ±50 %; doubled each time that fails, up to `upMax`. 180,000; 1,800,000 */
  up: number;
  upMax: number;
  /** Seconds of a long-poll; the next one is taken when something on the way cuts it. [25, 10] */
  waits: number[];
  /** A poll that fails sooner was not cut while it waited. 2,000 */
  cut: number;
  /** Least and most between short polls. [3,000, 5,000] */
  short: [number, number];
  /** When a tab becomes visible and nothing has come for so long, the connection is made anew. 5,000 */
  quiet: number;
}

export interface User {
  id: string;
  username: string;
  display_name: string;
  avatar_url: string | null;
  status_text: string;
  [field: string]: unknown;
}

export interface OutgoingMessage {
  body?: string;
  kind?: "text" | "custom";
  payload?: Record<string, unknown>;
  reply_to?: number | null;
  mentions?: string[];
  forward?: { conversation_id: string; seq: number };
}

export interface Message {
  conversation_id: string;
  seq: number;
  sender_id: string;
  kind: string;
  body: string;
  payload?: Record<string, unknown>;
  reply_to: number | null;
  mentions: string[];
  created_at: string;
  edited_at: string | null;
  recalled: boolean;
  idempotency_key?: string;
  [field: string]: unknown;
}

export type Recipient = { user: string } | { group: string };

export interface OutboxItem {
  /** The idempotency key; the message has it too when it comes back through the inbox. */
  key: string;
  to: Recipient;
  message: OutgoingMessage;
  state: "waiting" | "sending" | "failed";
  /** Why it failed. */
  error?: LongwireError;
  /** When it was written, in ms since 1970; the order of sending. */
  at: number;
}

/** An event as docs/protocol.md lists them. `typing` and `presence` have no cursor. */
export interface InboxEvent<T = any> {
  cursor?: string;
  type: string;
  at: string;
  data: T;
}

/** The answer of GET /v1/sync. */
export interface Sync {
  cursor: string;
  me: User;
  conversations: any[];
  pinned_conversations: any[];
  incoming_request_count: number;
  limits: Record<string, any>;
}

export interface Reset {
  /** "start", "invalid_cursor", or the server's: "too_old", "unknown_future", "epoch". */
  reason: string;
  sync: Sync;
}

export interface Connection {
  state: "connecting" | "live" | "waiting" | "offline" | "signed_out" | "stopped";
  transport: Transport | null;
  /** Whether this tab has the connection for all. */
  leader: boolean;
  /** When it is tried again, in ms since 1970. */
  retryAt: number | null;
  /** The code of the error, or what became of the stream: "cut", "silent", "no_hello". */
  reason?: string;
}

export interface CurrentSession {
  user: User;
  session_id: string;
}

export interface RequestOptions {
  body?: unknown;
  /** null and undefined are left out. */
  query?: Record<string, unknown>;
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** For all tries together, in ms. Default: 30,000. */
  timeout?: number;
}

export interface Client {
  /** null: nobody is signed in. */
  readonly session: CurrentSession | null;
  register(input: { username: string; password: string; display_name?: string }): Promise<User>;
  login(input: { username: string; password: string }): Promise<User>;
  logout(): Promise<void>;

  /** Makes one call of the API with the session's token, renewed when needed, and repeats it while that is harmless and may help. */
  request<T = any>(method: string, path: string, options?: RequestOptions): Promise<T>;

  /** Keeps a message in the outbox and sends it as soon as possible. `sent` resolves when the server has it on disk. */
  send(to: Recipient, message: OutgoingMessage): { key: string; sent: Promise<Message> };
  /** What is not sent yet, and what was refused; oldest first. */
  readonly outbox: OutboxItem[];
  retry(key: string): void;
  discard(key: string): void;

  /** Fetches a snapshot, without touching the position. */
  sync(): Promise<Sync>;
  /** Reads the inbox from a cursor on, for ever. Without one, or with an empty one, it begins with a `reset` of the reason "start". */
  start(cursor?: string | null): void;
  stop(): void;
  /** Up to where events were given to the handlers; before start(), where the last start() of this session came to. */
  readonly cursor: string | null;
  readonly connection: Connection;

  /** Each returns what removes the handler. */
  on(type: "event", handler: (event: InboxEvent) => void): () => void;
  on(type: "reset", handler: (reset: Reset) => void): () => void;
  on(type: "connection", handler: (connection: Connection) => void): () => void;
  on(type: "outbox", handler: (items: OutboxItem[]) => void): () => void;
  /** The reason is "signed_in", "signed_out", "session_ended", "expired", or "changed" when another tab did it. */
  on(type: "session", handler: (session: CurrentSession | null, reason?: string) => void): () => void;

  /** Stops, forgets all handlers, and lets go of the page. What is kept in the storage stays. */
  close(): void;
}

export class LongwireError extends Error {
  constructor(status: number, code: string, detail: string, more?: object);
  /** 0 when no answer came. */
  status: number;
  /**
   * One of docs/errors.md, "http_" and the status for what no Longwire has answered, or the client's own: network, timeout, aborted,
   * bad_answer, signed_out, discarded, outbox_full, outbox_expired.
   */
  code: string;
  detail: string;
  errors: { field: string; message: string }[];
  /** In seconds. */
  retryAfter: number | null;
  requestId: string | null;
}

export function createClient(options?: Options): Client;

/** A storage that is gone with the process. */
export function memory(): KeyValue;
