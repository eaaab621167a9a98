-- The same changes as for MySQL; see there for what they mean.
ALTER TABLE conversation ADD COLUMN listed_at INTEGER NULL;
ALTER TABLE conversation ADD COLUMN lo_folder INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN hi_folder INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN lo_kept_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN hi_kept_until INTEGER NOT NULL DEFAULT 0;

UPDATE conversation SET listed_at = last_activity_at, lo_folder = 1, hi_folder = 1 WHERE user_lo IS NOT NULL AND last_seq > 0;

CREATE INDEX IF NOT EXISTS conversation_list_lo ON conversation (user_lo, lo_folder, listed_at, id);
CREATE INDEX IF NOT EXISTS conversation_list_hi ON conversation (user_hi, hi_folder, listed_at, id);
DROP INDEX IF EXISTS conversation_by_higher;

CREATE TABLE IF NOT EXISTS conversation_state (
  user_id         INTEGER NOT NULL,
  conversation_id INTEGER NOT NULL,
  pinned_at       INTEGER NULL,
  muted_until     INTEGER NOT NULL,
  archived_seq    INTEGER NULL,
  marked_unread   INTEGER NOT NULL,
  cleared_seq     INTEGER NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS conversation_state_pinned ON conversation_state (user_id, pinned_at, conversation_id);

CREATE TABLE IF NOT EXISTS delivered_position (
  user_id INTEGER PRIMARY KEY,
  seq     INTEGER NOT NULL
);

ALTER TABLE chat_history ADD COLUMN peer_inbox_seq INTEGER NULL;
