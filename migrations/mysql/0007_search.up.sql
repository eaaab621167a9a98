-- What full-text search finds messages by. Terms are made by the program, out
-- of [a-z0-9]: each is the part of a conversation that it stands in, hashed, and
-- a word. So the index is asked about one's own conversations only, and no
-- server's stop words, shortest word or language matter. The text itself stays
-- in chat_history, and what is found is always held against it.
CREATE TABLE IF NOT EXISTS message_search (
  conversation_id BIGINT     NOT NULL,
  seq             BIGINT     NOT NULL,
  sender_id       BIGINT     NOT NULL,
  created_at      BIGINT     NOT NULL,
  terms           MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL, -- with spaces between
  PRIMARY KEY (conversation_id, seq),
  FULLTEXT KEY message_search_terms (terms)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The parts of conversations that are indexed, and from when to when they are.
CREATE TABLE IF NOT EXISTS search_segment (
  conversation_id BIGINT NOT NULL,
  segment         BIGINT NOT NULL,
  oldest_at       BIGINT NOT NULL,
  newest_at       BIGINT NOT NULL,
  PRIMARY KEY (conversation_id, segment)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far each conversation is indexed. The lock on a row is held by who
-- indexes the conversation, never by who sends or edits.
CREATE TABLE IF NOT EXISTS search_progress (
  conversation_id BIGINT NOT NULL,
  indexed_seq     BIGINT NOT NULL,
  PRIMARY KEY (conversation_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages that were edited or recalled after they were indexed.
CREATE TABLE IF NOT EXISTS search_pending (
  conversation_id BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  change_id       BIGINT NOT NULL, -- another with each change
  PRIMARY KEY (conversation_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
