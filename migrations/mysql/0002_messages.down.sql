-- What was recalled stays so: its text is gone.
DROP TABLE IF EXISTS pin;
DROP TABLE IF EXISTS reaction;
DROP TABLE IF EXISTS hidden_message;
DROP TABLE IF EXISTS mention;
DROP TABLE IF EXISTS message_version;
-- Nothing before knows of events that show a message anew.
UPDATE inbox SET source = 1 WHERE source > 2;
ALTER TABLE inbox_head DROP COLUMN forgotten;
ALTER TABLE chat_history DROP COLUMN payload, DROP COLUMN forwarded_from, DROP COLUMN reactions, DROP COLUMN recalled_by;
