-- When a user was connected last: once for each time that the last connection
-- ended.
CREATE TABLE IF NOT EXISTS last_seen (
  user_id INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL
);

ALTER TABLE `user` ADD COLUMN presence_visibility TEXT NOT NULL DEFAULT 'friends';
