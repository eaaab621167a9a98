package repo

import (
	"longwire/chat"
)

// byTime turns the time of a query into a seq.
func byTime(c *conn, conversation chat.ID, newest int64, query chat.HistoryQuery) (chat.HistoryQuery, error) {
	at := query.BeforeTime
	if at == nil {
		at = query.AfterTime
	}
	if at == nil {
		at = query.AroundTime
	}
	if at == nil {
		return query, nil
	}
	seq, err := seqAt(c, conversation, newest, *at)
	switch {
	case query.BeforeTime != nil:
		query.BeforeSeq = &seq
	case query.AfterTime != nil:
		seq--
		query.AfterSeq = &seq
	default:
		query.AroundSeq = &seq
	}
	return query, err
}

// probes is how many messages are looked at in one round trip: four round
// trips find a time among a million messages.
const probes = 31

// seqAt returns the seq of the first message of a time or later, newest+1 when
// there is none. Times grow with seqs but for the difference between the clocks
// of nodes: within that, it is a message of this time or later whose predecessor
// is of an earlier one. It needs no index but the primary key.
func seqAt(c *conn, conversation chat.ID, newest int64, at chat.Time) (int64, error) {
	// All before low are earlier; high is not.
	low, high := int64(1), newest+1
	text := new(statement)
	for low < high {
		text.reset().sql("SELECT seq, created_at FROM chat_history WHERE conversation_id = ").id(conversation).sql(" AND seq IN (")
		step := max((high-low)/(probes+1), 1)
		for i, seq := 0, low; i < probes && seq < high; i, seq = i+1, seq+step {
			text.comma(i).int(seq)
		}
		from, to, seen := low, high, false
		err := text.sql(") ORDER BY seq").each(c, func(r row) error {
			var (
				seq     int64
				created chat.Time
			)
			if err := r.Scan(&seq, &created); err != nil {
				return err
			}
			seen = true
			if to == high && created >= at {
				to = seq
			} else if to == high {
				from = seq + 1
			}
			return nil
		})
		if err != nil || !seen {
			return high, err
		}
		low, high = from, to
	}
	return high, nil
}
