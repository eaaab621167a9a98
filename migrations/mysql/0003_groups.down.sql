DROP TABLE IF EXISTS group_mute;
DROP TABLE IF EXISTS group_ban;
DROP TABLE IF EXISTS group_invitation;
ALTER TABLE chat_history DROP COLUMN system_data;
ALTER TABLE join_request DROP KEY join_request_by_user, DROP COLUMN note;
ALTER TABLE group_member DROP COLUMN muted_until, DROP COLUMN visible_from_seq;
ALTER TABLE chat_group
  DROP COLUMN announcement_at, DROP COLUMN announcement_by, DROP COLUMN announcement,
  DROP COLUMN send_policy, DROP COLUMN add_policy, DROP COLUMN history_for_newcomers;
