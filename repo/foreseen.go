package repo

import (
	"errors"
	"slices"

	"longwire/chat"
)

// Whose inboxes a batch reaches is known for certain only when its
// conversations are locked. But nearly always it is what it was the last time,
// so the heads are raised in the round trip that locks, and only then is looked
// whether they had to be. When not, the batch is undone and runs again step by
// step: nothing was committed, and no seq is lost.

// mostForeseen bounds the inbox rows of such a batch: beyond, a round trip is
// little beside the rest, and much would be undone.
const mostForeseen = 512

// foreseen returns how messages will raise the heads if all are accepted and
// their conversations still have the audiences that are remembered; nil when
// those are not known or many.
func foreseen(messages []chat.Outgoing, audiences *audienceCache) []raise {
	var users []chat.ID
	for i := range messages {
		audience := audiences.likely(messages[i].ConversationID)
		if audience == nil || len(users)+len(audience.Members) > mostForeseen {
			return nil
		}
		users = append(users, audience.Members...)
	}
	slices.Sort(users)
	return raisesFor(len(users), func(i int) chat.ID { return users[i] })
}

// errMisjudged is why a batch runs again that raised other heads than it had to.
var errMisjudged = errors.New("other inbox heads were raised than have new rows")

// raiseHeads raises the heads for sorted rows, or finds that they were.
func (b *batch) raiseHeads(rows []inboxRow) ([]raise, error) {
	raises := raisesFor(len(rows), func(i int) chat.ID { return rows[i].user })
	if b.raised == nil {
		return raises, b.x.eachOf(raiseQueries(b.x, raises))
	}
	same := func(a, b raise) bool { return a.user == b.user && a.by == b.by }
	if !slices.EqualFunc(raises, b.raised, same) {
		b.db.misjudged.note()
		return nil, &retryError{cause: errMisjudged, atOnce: true}
	}
	return b.raised, nil
}
