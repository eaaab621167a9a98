DROP TABLE IF EXISTS search_pending;
DROP TABLE IF EXISTS search_progress;
DROP TABLE IF EXISTS search_segment;
DROP TABLE IF EXISTS message_terms;
DROP TABLE IF EXISTS message_search;
