-- The same as for MySQL; see there for what it is for.

ALTER TABLE chat_history ADD COLUMN payload        TEXT    NULL;
ALTER TABLE chat_history ADD COLUMN forwarded_from TEXT    NULL;
ALTER TABLE chat_history ADD COLUMN reactions      TEXT    NULL;
ALTER TABLE chat_history ADD COLUMN recalled_by    INTEGER NULL;
ALTER TABLE inbox_head   ADD COLUMN forgotten      INTEGER NOT NULL DEFAULT 0;

CREATE TABLE IF NOT EXISTS message_version (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  version         INTEGER NOT NULL,
  body            TEXT    NOT NULL,
  payload         TEXT    NULL,
  mentions        TEXT    NULL,
  written_at      INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, seq, version)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS mention (
  user_id         INTEGER NOT NULL,
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  PRIMARY KEY (user_id, conversation_id, seq)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS hidden_message (
  user_id         INTEGER NOT NULL,
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  PRIMARY KEY (user_id, conversation_id, seq)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS reaction (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  user_id         INTEGER NOT NULL,
  emoji           TEXT    NOT NULL,
  created_at      INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, seq, user_id, emoji)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS pin (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  pinned_by       INTEGER NOT NULL,
  pinned_at       INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;

INSERT OR IGNORE INTO mention (user_id, conversation_id, seq)
  SELECT CAST(m.value AS INTEGER), h.conversation_id, h.seq
  FROM chat_history h, json_each('[' || h.mentions || ']') m
  WHERE h.mentions IS NOT NULL AND CAST(m.value AS INTEGER) <> h.sender_id;
