-- As in ../mysql, where the comments are.

ALTER TABLE chat_group ADD COLUMN history_for_newcomers INTEGER NOT NULL DEFAULT 1;
ALTER TABLE chat_group ADD COLUMN add_policy TEXT NOT NULL DEFAULT 'admins';
ALTER TABLE chat_group ADD COLUMN send_policy TEXT NOT NULL DEFAULT 'everyone';
ALTER TABLE chat_group ADD COLUMN announcement TEXT NULL;
ALTER TABLE chat_group ADD COLUMN announcement_by INTEGER NULL;
ALTER TABLE chat_group ADD COLUMN announcement_at INTEGER NULL;

ALTER TABLE group_member ADD COLUMN visible_from_seq INTEGER NOT NULL DEFAULT 1;
ALTER TABLE group_member ADD COLUMN muted_until INTEGER NULL;

ALTER TABLE join_request ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS join_request_by_user ON join_request (user_id, group_id);

ALTER TABLE chat_history ADD COLUMN system_data TEXT NULL;

CREATE TABLE IF NOT EXISTS group_invitation (
  id         INTEGER PRIMARY KEY,
  group_id   INTEGER NOT NULL,
  secret     TEXT    NOT NULL,
  created_by INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NULL,
  max_uses   INTEGER NULL,
  uses       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS group_invitation_by_group ON group_invitation (group_id, id);

CREATE TABLE IF NOT EXISTS group_ban (
  group_id  INTEGER NOT NULL,
  user_id   INTEGER NOT NULL,
  banned_by INTEGER NOT NULL,
  reason    TEXT    NOT NULL,
  banned_at INTEGER NOT NULL,
  PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS group_mute (
  group_id    INTEGER NOT NULL,
  user_id     INTEGER NOT NULL,
  muted_until INTEGER NOT NULL,
  PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
