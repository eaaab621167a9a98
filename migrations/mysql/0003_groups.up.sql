-- What groups have beyond names and roles. Joining, being banned and being
-- muted are decided under the lock of the group's conversation.

ALTER TABLE chat_group
  ADD COLUMN history_for_newcomers TINYINT     NOT NULL DEFAULT 1,
  ADD COLUMN add_policy            VARCHAR(16) NOT NULL DEFAULT 'admins',
  ADD COLUMN send_policy           VARCHAR(16) NOT NULL DEFAULT 'everyone',
  ADD COLUMN announcement          TEXT        NULL, -- NULL = none, and then by and at are too
  ADD COLUMN announcement_by       BIGINT      NULL,
  ADD COLUMN announcement_at       BIGINT      NULL;

ALTER TABLE group_member
  ADD COLUMN visible_from_seq BIGINT NOT NULL DEFAULT 1, -- earlier messages are not shown to this member
  ADD COLUMN muted_until      BIGINT NULL; -- NULL, or past, while the member may send

ALTER TABLE join_request
  ADD COLUMN note VARCHAR(1000) NOT NULL DEFAULT '',
  ADD KEY join_request_by_user (user_id, group_id);

-- What a system message says to programs: JSON. NULL for all others.
ALTER TABLE chat_history ADD COLUMN system_data MEDIUMTEXT NULL;

-- An invitation is found by its id, which is public; its secret is then
-- compared in constant time.
CREATE TABLE IF NOT EXISTS group_invitation (
  id         BIGINT      NOT NULL,
  group_id   BIGINT      NOT NULL,
  secret     VARCHAR(64) NOT NULL,
  created_by BIGINT      NOT NULL,
  created_at BIGINT      NOT NULL,
  expires_at BIGINT      NULL, -- NULL = never
  max_uses   INT         NULL, -- NULL = any number
  uses       INT         NOT NULL,
  PRIMARY KEY (id),
  KEY group_invitation_by_group (group_id, id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS group_ban (
  group_id  BIGINT        NOT NULL,
  user_id   BIGINT        NOT NULL,
  banned_by BIGINT        NOT NULL,
  reason    VARCHAR(1000) NOT NULL,
  banned_at BIGINT        NOT NULL,
  PRIMARY KEY (group_id, user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Mutes of those who are no members just now: leaving and coming back lifts none.
CREATE TABLE IF NOT EXISTS group_mute (
  group_id    BIGINT NOT NULL,
  user_id     BIGINT NOT NULL,
  muted_until BIGINT NOT NULL,
  PRIMARY KEY (group_id, user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
