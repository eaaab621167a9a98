package repo

import (
	"cmp"
	"errors"
	"slices"

	"longwire/chat"
)

// raise moves the head of a user's inbox.
type raise struct {
	user chat.ID
	by   int64 // rows
	seq  int64 // where the head stands then
}

// insertInboxRows gives rows their seqs and writes them.
func insertInboxRows(x *conn, text *statement, rows []inboxRow) ([]chat.Delivery, error) {
	sortInboxRows(rows)
	raises := raisesFor(len(rows), func(i int) chat.ID { return rows[i].user })
	if err := x.eachOf(raiseQueries(x, raises)); err != nil {
		return nil, err
	}
	deliveries, err := deliveriesOf(rows, raises)
	if err != nil {
		return nil, err
	}
	return deliveries, writeInboxRows(x, text, rows, deliveries)
}

// sortInboxRows sorts rows by the primary key they will have.
func sortInboxRows(rows []inboxRow) {
	slices.SortFunc(rows, func(a, b inboxRow) int {
		return cmp.Or(cmp.Compare(a.user, b.user), cmp.Compare(a.order, b.order))
	})
}

// raisesFor returns how the heads move for n rows that are in the users' order.
func raisesFor(n int, user func(i int) chat.ID) []raise {
	raises := make([]raise, 0, n)
	for i := range n {
		if last := len(raises) - 1; last >= 0 && raises[last].user == user(i) {
			raises[last].by++
			continue
		}
		raises = append(raises, raise{user: user(i), by: 1})
	}
	return raises
}

// raiseQueries is how heads are moved, which locks them, ascending: one query,
// but for very many. It fills in where they stand then.
func raiseQueries(x *conn, raises []raise) []query {
	var queries []query
	for chunk := range slices.Chunk(raises, inChunk) {
		q := query{}
		q.sql("INSERT INTO inbox_head (user_id, seq, pruned) VALUES ")
		for i, r := range chunk {
			q.comma(i).sql("(").id(r.user).sql(",").int(r.by).sql(",0)")
		}
		q.sql(x.dialect.addToHead)
		q.scan = func(r row) error {
			var (
				user chat.ID
				seq  int64
			)
			if err := r.Scan(&user, &seq); err != nil {
				return err
			}
			i, found := slices.BinarySearchFunc(chunk, user, func(r raise, user chat.ID) int { return cmp.Compare(r.user, user) })
			if !found {
				return errors.New("an inbox head that nobody asked for")
			}
			chunk[i].seq = seq
			return nil
		}
		q.returning(x, "user_id, seq", "inbox_head", len(chunk), func(i int) chat.ID { return chunk[i].user })
		queries = append(queries, q)
	}
	return queries
}

// deliveriesOf gives sorted rows their places below the raised heads. Row and
// delivery stand at the same index.
func deliveriesOf(rows []inboxRow, raises []raise) ([]chat.Delivery, error) {
	deliveries := make([]chat.Delivery, len(rows))
	i := 0
	for _, raised := range raises {
		if raised.seq < raised.by {
			return nil, errors.New("an inbox head that was written is not there")
		}
		for seq := raised.seq - raised.by + 1; seq <= raised.seq; seq++ {
			deliveries[i] = chat.Delivery{User: rows[i].user, Event: rows[i].event, Seq: seq}
			i++
		}
	}
	return deliveries, nil
}
