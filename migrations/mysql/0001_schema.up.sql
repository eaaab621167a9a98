-- Ids are 63-bit integers, times milliseconds since the Unix epoch. Character
-- set and collation stand on every table, so that a server's defaults do not
-- matter; comparison is by code point, and what is to be found in any case has
-- a lower-cased column beside it. There are no foreign keys: they would lock
-- parent rows on every insert, and nothing they refer to is ever deleted.

CREATE TABLE IF NOT EXISTS meta (
  name  VARCHAR(64)  NOT NULL,
  value VARCHAR(255) NOT NULL,
  PRIMARY KEY (name)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `user` (
  id                   BIGINT        NOT NULL,
  username             VARCHAR(64)   NOT NULL,
  username_key         VARCHAR(64)   NOT NULL, -- lower case
  display_name         VARCHAR(255)  NOT NULL,
  display_key          VARCHAR(255)  NOT NULL, -- lower case
  avatar_url           VARCHAR(2048) NULL,
  accept_messages_from VARCHAR(16)   NOT NULL,
  password_hash        VARCHAR(255)  NOT NULL,
  created_at           BIGINT        NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY user_by_username (username_key),
  KEY user_by_display_name (display_key, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS session (
  id                 BIGINT       NOT NULL,
  user_id            BIGINT       NOT NULL,
  device_name        VARCHAR(255) NOT NULL,
  created_at         BIGINT       NOT NULL,
  last_seen_at       BIGINT       NOT NULL,
  expires_at         BIGINT       NOT NULL,
  ended_at           BIGINT       NULL, -- NULL while it lives
  refresh_generation BIGINT       NOT NULL,
  saved_seq          BIGINT       NOT NULL,
  PRIMARY KEY (id),
  KEY session_by_user (user_id, ended_at, created_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A friendship is two rows, one for each side.
CREATE TABLE IF NOT EXISTS friend (
  user_id   BIGINT       NOT NULL,
  friend_id BIGINT       NOT NULL,
  remark    VARCHAR(255) NOT NULL,
  since     BIGINT       NOT NULL,
  PRIMARY KEY (user_id, friend_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS friend_request (
  id          BIGINT        NOT NULL,
  from_id     BIGINT        NOT NULL,
  to_id       BIGINT        NOT NULL,
  note        VARCHAR(1000) NOT NULL,
  state       VARCHAR(16)   NOT NULL,
  pending_key VARCHAR(48)   NULL, -- "from.to" while pending: one for each ordered pair
  created_at  BIGINT        NOT NULL,
  updated_at  BIGINT        NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY friend_request_pending (pending_key),
  KEY friend_request_to (to_id, state, id),
  KEY friend_request_from (from_id, state, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `block` (
  user_id    BIGINT NOT NULL,
  blocked_id BIGINT NOT NULL,
  since      BIGINT NOT NULL,
  PRIMARY KEY (user_id, blocked_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A group's id is its conversation's id too.
CREATE TABLE IF NOT EXISTS chat_group (
  id           BIGINT        NOT NULL,
  name         VARCHAR(255)  NOT NULL,
  name_key     VARCHAR(255)  NOT NULL, -- lower case
  description  VARCHAR(4000) NOT NULL,
  visibility   VARCHAR(16)   NOT NULL,
  join_policy  VARCHAR(16)   NOT NULL,
  owner_id     BIGINT        NOT NULL,
  member_count INT           NOT NULL, -- of group_member, kept in step under the conversation's lock
  created_at   BIGINT        NOT NULL,
  dissolved_at BIGINT        NULL, -- NULL while it lives
  PRIMARY KEY (id),
  KEY chat_group_directory (visibility, dissolved_at, name_key, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS group_member (
  group_id  BIGINT      NOT NULL,
  user_id   BIGINT      NOT NULL,
  role      VARCHAR(16) NOT NULL,
  joined_at BIGINT      NOT NULL,
  PRIMARY KEY (group_id, user_id),
  KEY group_member_by_user (user_id, group_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS join_request (
  group_id   BIGINT NOT NULL,
  user_id    BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (group_id, user_id),
  KEY join_request_by_age (group_id, created_at, user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The lock on a row of this table orders sending against everything that
-- changes who may send or receive; each such change adds to audience_version.
CREATE TABLE IF NOT EXISTS conversation (
  id               BIGINT      NOT NULL,
  kind             VARCHAR(16) NOT NULL,
  user_lo          BIGINT      NULL, -- private conversations: the lower user id
  user_hi          BIGINT      NULL, -- and the higher
  last_seq         BIGINT      NOT NULL,
  last_activity_at BIGINT      NOT NULL,
  audience_version BIGINT      NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY conversation_by_pair (user_lo, user_hi),
  KEY conversation_by_higher (user_hi)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The primary key makes a page of history one range scan. The key by sender
-- finds replays; keys are bytes, because text is compared without trailing spaces.
CREATE TABLE IF NOT EXISTS chat_history (
  conversation_id BIGINT         NOT NULL,
  seq             BIGINT         NOT NULL,
  sender_id       BIGINT         NOT NULL,
  kind            VARCHAR(16)    NOT NULL,
  body            MEDIUMTEXT     NOT NULL,
  reply_to        BIGINT         NULL,
  mentions        TEXT           NULL, -- decimal ids with commas between
  created_at      BIGINT         NOT NULL,
  edited_at       BIGINT         NULL,
  recalled        TINYINT        NOT NULL,
  idempotency_key VARBINARY(255) NULL,
  fingerprint     BINARY(16)     NULL, -- of what the sender asked for; NULL without a key
  PRIMARY KEY (conversation_id, seq),
  UNIQUE KEY chat_history_by_key (sender_id, idempotency_key)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What an event says, once for all inboxes that have it. Messages are no rows here.
CREATE TABLE IF NOT EXISTS `event` (
  id   BIGINT      NOT NULL,
  type VARCHAR(64) NOT NULL,
  at   BIGINT      NOT NULL,
  data MEDIUMTEXT  NOT NULL, -- JSON
  PRIMARY KEY (id),
  KEY event_by_age (at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS inbox (
  user_id BIGINT  NOT NULL,
  seq     BIGINT  NOT NULL,
  source  TINYINT NOT NULL, -- 1: chat_history (ref_id, ref_seq); 2: event (ref_id)
  ref_id  BIGINT  NOT NULL,
  ref_seq BIGINT  NOT NULL,
  at      BIGINT  NOT NULL,
  PRIMARY KEY (user_id, seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Rows pruned+1 … seq of inbox are there.
CREATE TABLE IF NOT EXISTS inbox_head (
  user_id BIGINT NOT NULL,
  seq     BIGINT NOT NULL,
  pruned  BIGINT NOT NULL,
  PRIMARY KEY (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS read_position (
  user_id         BIGINT NOT NULL,
  conversation_id BIGINT NOT NULL,
  read_seq        BIGINT NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Answers to creating calls, kept for replays under the same idempotency key.
CREATE TABLE IF NOT EXISTS remembered_answer (
  user_id         BIGINT         NOT NULL,
  idempotency_key VARBINARY(255) NOT NULL,
  fingerprint     BINARY(16)     NOT NULL,
  answer          MEDIUMTEXT     NOT NULL, -- JSON
  created_at      BIGINT         NOT NULL,
  PRIMARY KEY (user_id, idempotency_key),
  KEY remembered_answer_by_age (created_at)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
