ALTER TABLE `block` DROP KEY block_by_blocked;
ALTER TABLE friend_request DROP KEY friend_request_by_expiry, DROP COLUMN expires_at;
ALTER TABLE session DROP KEY session_by_expiry, DROP KEY session_by_end, DROP COLUMN user_agent, DROP COLUMN address;
ALTER TABLE `user`
  DROP KEY user_by_purge, DROP COLUMN purge_at, DROP COLUMN deleted_at, DROP COLUMN accept_group_invites_from,
  DROP COLUMN accept_friend_requests_from, DROP COLUMN status_text;
