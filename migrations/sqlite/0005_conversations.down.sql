ALTER TABLE chat_history DROP COLUMN peer_inbox_seq;

DROP TABLE IF EXISTS delivered_position;
DROP TABLE IF EXISTS conversation_state;

CREATE INDEX IF NOT EXISTS conversation_by_higher ON conversation (user_hi);
DROP INDEX IF EXISTS conversation_list_lo;
DROP INDEX IF EXISTS conversation_list_hi;
ALTER TABLE conversation DROP COLUMN listed_at;
ALTER TABLE conversation DROP COLUMN lo_folder;
ALTER TABLE conversation DROP COLUMN hi_folder;
ALTER TABLE conversation DROP COLUMN lo_kept_until;
ALTER TABLE conversation DROP COLUMN hi_kept_until;
