-- The same as for MySQL.
DROP TABLE IF EXISTS pin;
DROP TABLE IF EXISTS reaction;
DROP TABLE IF EXISTS hidden_message;
DROP TABLE IF EXISTS mention;
DROP TABLE IF EXISTS message_version;
UPDATE inbox SET source = 1 WHERE source > 2;
ALTER TABLE inbox_head DROP COLUMN forgotten;
ALTER TABLE chat_history DROP COLUMN payload;
ALTER TABLE chat_history DROP COLUMN forwarded_from;
ALTER TABLE chat_history DROP COLUMN reactions;
ALTER TABLE chat_history DROP COLUMN recalled_by;
