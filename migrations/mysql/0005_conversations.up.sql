-- A private conversation says on its own row where each of its two users finds
-- it, so that a page of their lists is a range of an index however many there
-- are; a message, which changes that row anyway, moves it for both. Groups are
-- in no such index (listed_at is NULL): a user has a bounded number of them.
--
-- Folders: 0 is none, because there is nothing to show; 1 the list; 2 archived.
-- A message that comes at kept_until or later puts the conversation into the
-- list; one that comes before, while it is archived and muted, leaves it there.
ALTER TABLE conversation
  ADD COLUMN listed_at     BIGINT  NULL, -- last_activity_at of private conversations that have a message
  ADD COLUMN lo_folder     TINYINT NOT NULL DEFAULT 0, -- where user_lo finds it
  ADD COLUMN hi_folder     TINYINT NOT NULL DEFAULT 0, -- and user_hi
  ADD COLUMN lo_kept_until BIGINT  NOT NULL DEFAULT 0,
  ADD COLUMN hi_kept_until BIGINT  NOT NULL DEFAULT 0;

UPDATE conversation SET listed_at = last_activity_at, lo_folder = 1, hi_folder = 1 WHERE user_lo IS NOT NULL AND last_seq > 0;

ALTER TABLE conversation
  ADD KEY conversation_list_lo (user_lo, lo_folder, listed_at, id),
  ADD KEY conversation_list_hi (user_hi, hi_folder, listed_at, id),
  DROP KEY conversation_by_higher;

-- What a user has set for a conversation; there is a row only where something
-- differs from what is so by itself.
CREATE TABLE IF NOT EXISTS conversation_state (
  user_id         BIGINT  NOT NULL,
  conversation_id BIGINT  NOT NULL,
  pinned_at       BIGINT  NULL,
  muted_until     BIGINT  NOT NULL, -- 0 = not muted
  archived_seq    BIGINT  NULL, -- last_seq when it was archived; later messages may have brought it back
  marked_unread   TINYINT NOT NULL,
  cleared_seq     BIGINT  NOT NULL, -- messages up to here are hidden from the user
  PRIMARY KEY (user_id, conversation_id),
  KEY conversation_state_pinned (user_id, pinned_at, conversation_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far any device of a user has acknowledged the inbox.
CREATE TABLE IF NOT EXISTS delivered_position (
  user_id BIGINT NOT NULL,
  seq     BIGINT NOT NULL,
  PRIMARY KEY (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Where a private message stands in the inbox of the one it was sent to.
ALTER TABLE chat_history ADD COLUMN peer_inbox_seq BIGINT NULL;
