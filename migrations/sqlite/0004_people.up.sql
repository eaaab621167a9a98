-- The same as for MySQL; see there for what the columns mean.
ALTER TABLE `user` ADD COLUMN status_text TEXT NOT NULL DEFAULT '';
ALTER TABLE `user` ADD COLUMN accept_friend_requests_from TEXT NOT NULL DEFAULT 'everyone';
ALTER TABLE `user` ADD COLUMN accept_group_invites_from TEXT NOT NULL DEFAULT 'everyone';
ALTER TABLE `user` ADD COLUMN deleted_at INTEGER NULL;
ALTER TABLE `user` ADD COLUMN purge_at INTEGER NULL;
CREATE INDEX IF NOT EXISTS user_by_purge ON `user` (purge_at);

ALTER TABLE session ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN user_agent TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS session_by_end ON session (ended_at);
CREATE INDEX IF NOT EXISTS session_by_expiry ON session (expires_at);

ALTER TABLE friend_request ADD COLUMN expires_at INTEGER NOT NULL DEFAULT 0;
CREATE INDEX IF NOT EXISTS friend_request_by_expiry ON friend_request (state, expires_at);
UPDATE friend_request SET expires_at = created_at + 2592000000;

CREATE INDEX IF NOT EXISTS block_by_blocked ON `block` (blocked_id, user_id);
