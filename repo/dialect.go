package repo

// dialect is all in which the databases differ, but for how they are opened
// and for the SQL that makes the tables.
type dialect struct {
	// name is also the folder of the migrations.
	name string
	// forUpdate ends a SELECT whose rows are to be locked. SQLite has one
	// writer at a time, which is lock enough.
	forUpdate string
	// The ends of INSERTs into tables whose row may be there already.
	addToHead       string // inbox_head: add to seq
	addToLastSeq    string // conversation: add to last_seq, else as replaceLastSeq; empty where nothing is raised ahead
	replaceLastSeq  string // conversation: take over last_seq and last_activity_at, and put it where both users find it
	replaceReadMark string // read_position: take over read_seq
	laterLastSeen   string // last_seen: take over at if it is later
	keepProgress    string // search_progress: leave it as it is
	replaceProgress string // search_progress: take over indexed_seq
	replaceChange   string // search_pending: take over change_id
	widenSegment    string // search_segment: from the older to the newer time
	// terms is how full-text search is done.
	terms          termIndex
	replaceState   string // conversation_state: take over everything
	raiseDelivered string // delivered_position: take over a higher seq
	// fault tells a driver's errors apart.
	fault func(err error) fault
}

// fault is what a driver's error means to us.
type fault int

const (
	// faultUnknown is what nobody expected.
	faultUnknown fault = iota
	// faultDuplicate: a unique key has the value already. The transaction goes on.
	faultDuplicate
	// faultRetry: the transaction was or must be rolled back, and may succeed
	// when it is run again.
	faultRetry
	// faultUnavailable: the database does not answer, or takes no writes just now.
	faultUnavailable
)

var mysqlDialect = dialect{
	name:      "mysql",
	forUpdate: " FOR UPDATE",
	// VALUES() is deprecated in MySQL, but what replaces it is unknown to MariaDB.
	addToHead: " ON DUPLICATE KEY UPDATE seq = seq + VALUES(seq)",
	// GREATEST is said again because whether an assignment sees those before it is nothing to rely on.
	addToLastSeq: " ON DUPLICATE KEY UPDATE last_seq = last_seq + VALUES(last_seq), last_activity_at = GREATEST(last_activity_at, VALUES(last_activity_at))," +
		" listed_at = CASE WHEN user_lo IS NULL THEN NULL ELSE GREATEST(last_activity_at, VALUES(last_activity_at)) END," +
		" lo_folder = CASE WHEN lo_kept_until > GREATEST(last_activity_at, VALUES(last_activity_at)) THEN lo_folder ELSE 1 END," +
		" hi_folder = CASE WHEN hi_kept_until > GREATEST(last_activity_at, VALUES(last_activity_at)) THEN hi_folder ELSE 1 END",
	replaceLastSeq: " ON DUPLICATE KEY UPDATE last_seq = VALUES(last_seq), last_activity_at = VALUES(last_activity_at)," +
		" listed_at = CASE WHEN user_lo IS NULL THEN NULL ELSE VALUES(last_activity_at) END," +
		" lo_folder = CASE WHEN lo_kept_until > VALUES(last_activity_at) THEN lo_folder ELSE 1 END," +
		" hi_folder = CASE WHEN hi_kept_until > VALUES(last_activity_at) THEN hi_folder ELSE 1 END",
	replaceReadMark: " ON DUPLICATE KEY UPDATE read_seq = VALUES(read_seq)",
	replaceState: " ON DUPLICATE KEY UPDATE pinned_at = VALUES(pinned_at), muted_until = VALUES(muted_until), archived_seq = VALUES(archived_seq)," +
		" marked_unread = VALUES(marked_unread), cleared_seq = VALUES(cleared_seq)",
	raiseDelivered:  " ON DUPLICATE KEY UPDATE seq = GREATEST(seq, VALUES(seq))",
	laterLastSeen:   " ON DUPLICATE KEY UPDATE at = GREATEST(at, VALUES(at))",
	keepProgress:    " ON DUPLICATE KEY UPDATE indexed_seq = indexed_seq",
	replaceProgress: " ON DUPLICATE KEY UPDATE indexed_seq = VALUES(indexed_seq)",
	replaceChange:   " ON DUPLICATE KEY UPDATE change_id = VALUES(change_id)",
	widenSegment:    " ON DUPLICATE KEY UPDATE oldest_at = LEAST(oldest_at, VALUES(oldest_at)), newest_at = GREATEST(newest_at, VALUES(newest_at))",
	terms:           fulltextIndex{},
	fault:           mysqlFault,
}

var sqliteDialect = dialect{
	name:      "sqlite",
	addToHead: " ON CONFLICT (user_id) DO UPDATE SET seq = seq + excluded.seq",
	replaceLastSeq: " ON CONFLICT (id) DO UPDATE SET last_seq = excluded.last_seq, last_activity_at = excluded.last_activity_at," +
		" listed_at = CASE WHEN user_lo IS NULL THEN NULL ELSE excluded.last_activity_at END," +
		" lo_folder = CASE WHEN lo_kept_until > excluded.last_activity_at THEN lo_folder ELSE 1 END," +
		" hi_folder = CASE WHEN hi_kept_until > excluded.last_activity_at THEN hi_folder ELSE 1 END",
	replaceReadMark: " ON CONFLICT (user_id, conversation_id) DO UPDATE SET read_seq = excluded.read_seq",
	replaceState: " ON CONFLICT (user_id, conversation_id) DO UPDATE SET pinned_at = excluded.pinned_at, muted_until = excluded.muted_until," +
		" archived_seq = excluded.archived_seq, marked_unread = excluded.marked_unread, cleared_seq = excluded.cleared_seq",
	raiseDelivered:  " ON CONFLICT (user_id) DO UPDATE SET seq = max(seq, excluded.seq)",
	laterLastSeen:   " ON CONFLICT (user_id) DO UPDATE SET at = max(at, excluded.at)",
	keepProgress:    " ON CONFLICT (conversation_id) DO NOTHING",
	replaceProgress: " ON CONFLICT (conversation_id) DO UPDATE SET indexed_seq = excluded.indexed_seq",
	replaceChange:   " ON CONFLICT (conversation_id, seq) DO UPDATE SET change_id = excluded.change_id",
	widenSegment:    " ON CONFLICT (conversation_id, segment) DO UPDATE SET oldest_at = MIN(oldest_at, excluded.oldest_at), newest_at = MAX(newest_at, excluded.newest_at)",
	terms:           fts5Index{},
	fault:           sqliteFault,
}
