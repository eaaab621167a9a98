-- A deleted account keeps its row, so that its messages have a sender: without
-- a name, and with a username_key that only keeps the name from being taken.
ALTER TABLE `user`
  ADD COLUMN status_text                 VARCHAR(1000) NOT NULL DEFAULT '',
  ADD COLUMN accept_friend_requests_from VARCHAR(16)   NOT NULL DEFAULT 'everyone',
  ADD COLUMN accept_group_invites_from   VARCHAR(16)   NOT NULL DEFAULT 'everyone',
  ADD COLUMN deleted_at                  BIGINT        NULL, -- NULL while it lives
  ADD COLUMN purge_at                    BIGINT        NULL, -- when what is left of a deleted one is to be cleared away; NULL = nothing is
  ADD KEY user_by_purge (purge_at);

ALTER TABLE session
  ADD COLUMN address    VARCHAR(64)   NOT NULL DEFAULT '', -- of the client, when it was last seen
  ADD COLUMN user_agent VARCHAR(1000) NOT NULL DEFAULT '',
  ADD KEY session_by_end (ended_at),
  ADD KEY session_by_expiry (expires_at);

ALTER TABLE friend_request
  ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0,
  ADD KEY friend_request_by_expiry (state, expires_at);
UPDATE friend_request SET expires_at = created_at + 2592000000; -- 30 days

ALTER TABLE `block` ADD KEY block_by_blocked (blocked_id, user_id);
