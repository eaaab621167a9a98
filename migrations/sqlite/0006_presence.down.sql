ALTER TABLE `user` DROP COLUMN presence_visibility;

DROP TABLE IF EXISTS last_seen;
