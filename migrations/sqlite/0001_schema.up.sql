-- The same schema as for MySQL; see there for what the columns mean. Text is
-- compared by bytes, which is by code point. Tables with a primary key of
-- several columns are stored in its order (WITHOUT ROWID).

CREATE TABLE IF NOT EXISTS meta (
  name  TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS `user` (
  id                   INTEGER PRIMARY KEY,
  username             TEXT    NOT NULL,
  username_key         TEXT    NOT NULL,
  display_name         TEXT    NOT NULL,
  display_key          TEXT    NOT NULL,
  avatar_url           TEXT    NULL,
  accept_messages_from TEXT    NOT NULL,
  password_hash        TEXT    NOT NULL,
  created_at           INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS user_by_username ON `user` (username_key);
CREATE INDEX IF NOT EXISTS user_by_display_name ON `user` (display_key, id);

CREATE TABLE IF NOT EXISTS session (
  id                 INTEGER PRIMARY KEY,
  user_id            INTEGER NOT NULL,
  device_name        TEXT    NOT NULL,
  created_at         INTEGER NOT NULL,
  last_seen_at       INTEGER NOT NULL,
  expires_at         INTEGER NOT NULL,
  ended_at           INTEGER NULL,
  refresh_generation INTEGER NOT NULL,
  saved_seq          INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS session_by_user ON session (user_id, ended_at, created_at);

CREATE TABLE IF NOT EXISTS friend (
  user_id   INTEGER NOT NULL,
  friend_id INTEGER NOT NULL,
  remark    TEXT    NOT NULL,
  since     INTEGER NOT NULL,
  PRIMARY KEY (user_id, friend_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS friend_request (
  id          INTEGER PRIMARY KEY,
  from_id     INTEGER NOT NULL,
  to_id       INTEGER NOT NULL,
  note        TEXT    NOT NULL,
  state       TEXT    NOT NULL,
  pending_key TEXT    NULL,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS friend_request_pending ON friend_request (pending_key);
CREATE INDEX IF NOT EXISTS friend_request_to ON friend_request (to_id, state, id);
CREATE INDEX IF NOT EXISTS friend_request_from ON friend_request (from_id, state, id);

CREATE TABLE IF NOT EXISTS `block` (
  user_id    INTEGER NOT NULL,
  blocked_id INTEGER NOT NULL,
  since      INTEGER NOT NULL,
  PRIMARY KEY (user_id, blocked_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS chat_group (
  id           INTEGER PRIMARY KEY,
  name         TEXT    NOT NULL,
  name_key     TEXT    NOT NULL,
  description  TEXT    NOT NULL,
  visibility   TEXT    NOT NULL,
  join_policy  TEXT    NOT NULL,
  owner_id     INTEGER NOT NULL,
  member_count INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  dissolved_at INTEGER NULL
);
CREATE INDEX IF NOT EXISTS chat_group_directory ON chat_group (visibility, dissolved_at, name_key, id);

CREATE TABLE IF NOT EXISTS group_member (
  group_id  INTEGER NOT NULL,
  user_id   INTEGER NOT NULL,
  role      TEXT    NOT NULL,
  joined_at INTEGER NOT NULL,
  PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS group_member_by_user ON group_member (user_id, group_id);

CREATE TABLE IF NOT EXISTS join_request (
  group_id   INTEGER NOT NULL,
  user_id    INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS join_request_by_age ON join_request (group_id, created_at, user_id);

CREATE TABLE IF NOT EXISTS conversation (
  id               INTEGER PRIMARY KEY,
  kind             TEXT    NOT NULL,
  user_lo          INTEGER NULL,
  user_hi          INTEGER NULL,
  last_seq         INTEGER NOT NULL,
  last_activity_at INTEGER NOT NULL,
  audience_version INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS conversation_by_pair ON conversation (user_lo, user_hi);
CREATE INDEX IF NOT EXISTS conversation_by_higher ON conversation (user_hi);

CREATE TABLE IF NOT EXISTS chat_history (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  sender_id       INTEGER NOT NULL,
  kind            TEXT    NOT NULL,
  body            TEXT    NOT NULL,
  reply_to        INTEGER NULL,
  mentions        TEXT    NULL,
  created_at      INTEGER NOT NULL,
  edited_at       INTEGER NULL,
  recalled        INTEGER NOT NULL,
  idempotency_key TEXT    NULL,
  fingerprint     BLOB    NULL,
  PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS chat_history_by_key ON chat_history (sender_id, idempotency_key);

CREATE TABLE IF NOT EXISTS `event` (
  id   INTEGER PRIMARY KEY,
  type TEXT    NOT NULL,
  at   INTEGER NOT NULL,
  data TEXT    NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_age ON `event` (at);

CREATE TABLE IF NOT EXISTS inbox (
  user_id INTEGER NOT NULL,
  seq     INTEGER NOT NULL,
  source  INTEGER NOT NULL,
  ref_id  INTEGER NOT NULL,
  ref_seq INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (user_id, seq)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS inbox_head (
  user_id INTEGER PRIMARY KEY,
  seq     INTEGER NOT NULL,
  pruned  INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS read_position (
  user_id         INTEGER NOT NULL,
  conversation_id INTEGER NOT NULL,
  read_seq        INTEGER NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS remembered_answer (
  user_id         INTEGER NOT NULL,
  idempotency_key TEXT    NOT NULL,
  fingerprint     BLOB    NOT NULL,
  answer          TEXT    NOT NULL,
  created_at      INTEGER NOT NULL,
  PRIMARY KEY (user_id, idempotency_key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS remembered_answer_by_age ON remembered_answer (created_at);
