-- What may happen to a message after it was sent.

ALTER TABLE chat_history
  ADD COLUMN payload        MEDIUMTEXT NULL, -- JSON of a custom message
  ADD COLUMN forwarded_from TEXT       NULL, -- JSON: where a forwarded message is from
  ADD COLUMN reactions      TEXT       NULL, -- JSON: counts of `reaction`, kept in step under the conversation's lock; NULL = none
  ADD COLUMN recalled_by    BIGINT     NULL;

-- Copies of events before `forgotten`, in Redis or in a node's memory, are not
-- to be believed: something in them was recalled.
ALTER TABLE inbox_head
  ADD COLUMN forgotten BIGINT NOT NULL DEFAULT 0;

-- What messages said before they were edited, from version 1; what they say
-- now is in chat_history.
CREATE TABLE IF NOT EXISTS message_version (
  conversation_id BIGINT     NOT NULL,
  seq             BIGINT     NOT NULL,
  version         INT        NOT NULL,
  body            MEDIUMTEXT NOT NULL,
  payload         MEDIUMTEXT NULL,
  mentions        TEXT       NULL,
  written_at      BIGINT     NOT NULL,
  PRIMARY KEY (conversation_id, seq, version)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Whom messages mention, but for their senders: for counting.
CREATE TABLE IF NOT EXISTS mention (
  user_id         BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  PRIMARY KEY (user_id, conversation_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages that a user has deleted for themselves.
CREATE TABLE IF NOT EXISTS hidden_message (
  user_id         BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  PRIMARY KEY (user_id, conversation_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS reaction (
  conversation_id BIGINT      NOT NULL,
  seq             BIGINT      NOT NULL,
  user_id         BIGINT      NOT NULL,
  emoji           VARCHAR(64) NOT NULL,
  created_at      BIGINT      NOT NULL,
  PRIMARY KEY (conversation_id, seq, user_id, emoji)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS pin (
  conversation_id BIGINT NOT NULL,
  seq             BIGINT NOT NULL,
  pinned_by       BIGINT NOT NULL,
  pinned_at       BIGINT NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT IGNORE INTO mention (user_id, conversation_id, seq)
  SELECT m.id, h.conversation_id, h.seq
  FROM chat_history h, JSON_TABLE(CONCAT('[', h.mentions, ']'), '$[*]' COLUMNS (id BIGINT PATH '$')) m
  WHERE h.mentions IS NOT NULL AND m.id <> h.sender_id;
