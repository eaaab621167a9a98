-- When a user was connected last: once for each time that the last connection
-- ended. It is a table of its own because it is written by those who watch
-- connections, who must not wait for, nor hold up, what locks users.
CREATE TABLE IF NOT EXISTS last_seen (
  user_id BIGINT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (user_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

ALTER TABLE `user` ADD COLUMN presence_visibility VARCHAR(16) NOT NULL DEFAULT 'friends';
