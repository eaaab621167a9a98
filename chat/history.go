package chat

// check tells what is wrong with a query as it came from a client.
func (q HistoryQuery) check() error {
	var faults fieldErrors
	given := 0
	bound := func(field string, set bool) {
		if !set {
			return
		}
		if given++; given > 1 {
			faults.add(field, "must be the only one of before_seq, after_seq, around_seq, before_time, after_time and around_time")
		}
	}
	for _, by := range []struct {
		field string
		seq   *int64
	}{{"before_seq", q.BeforeSeq}, {"after_seq", q.AfterSeq}, {"around_seq", q.AroundSeq}} {
		bound(by.field, by.seq != nil)
		if by.seq != nil && *by.seq < 0 {
			faults.add(by.field, "must not be negative")
		}
	}
	bound("before_time", q.BeforeTime != nil)
	bound("after_time", q.AfterTime != nil)
	bound("around_time", q.AroundTime != nil)
	return faults.err()
}
