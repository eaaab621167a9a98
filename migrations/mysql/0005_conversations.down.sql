ALTER TABLE chat_history DROP COLUMN peer_inbox_seq;

DROP TABLE IF EXISTS delivered_position;
DROP TABLE IF EXISTS conversation_state;

ALTER TABLE conversation
  ADD KEY conversation_by_higher (user_hi),
  DROP KEY conversation_list_lo,
  DROP KEY conversation_list_hi,
  DROP COLUMN listed_at,
  DROP COLUMN lo_folder,
  DROP COLUMN hi_folder,
  DROP COLUMN lo_kept_until,
  DROP COLUMN hi_kept_until;
