-- The same as for MySQL; see there for what it is for. The terms are in an FTS5
-- table beside, whose rowid is the id; it keeps the index and no text.
CREATE TABLE IF NOT EXISTS message_search (
  id              INTEGER PRIMARY KEY,
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  sender_id       INTEGER NOT NULL,
  created_at      INTEGER NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS message_search_by_seq ON message_search (conversation_id, seq);

CREATE VIRTUAL TABLE IF NOT EXISTS message_terms USING fts5 (
  terms, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii'
);

CREATE TABLE IF NOT EXISTS search_segment (
  conversation_id INTEGER NOT NULL,
  segment         INTEGER NOT NULL,
  oldest_at       INTEGER NOT NULL,
  newest_at       INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, segment)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS search_progress (
  conversation_id INTEGER PRIMARY KEY,
  indexed_seq     INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS search_pending (
  conversation_id INTEGER NOT NULL,
  seq             INTEGER NOT NULL,
  change_id       INTEGER NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
