package repo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"longwire/chat"
)

// CredentialsByID returns what a password is checked against, CodeNotFound for
// a user who does not exist or is deleted.
func (db *DB) CredentialsByID(ctx context.Context, id chat.ID) (chat.Credentials, error) {
	found, err := credentialsByID(db.reader(ctx), id)
	if err == nil && found.DeletedAt != nil {
		return chat.Credentials{}, errNoUser()
	}
	return found, err
}

func credentialsByID(c *conn, id chat.ID) (chat.Credentials, error) {
	return one(c, errNoUser(), func(r row) (found chat.Credentials, err error) {
		return found, scanUserAnd(r, &found.User, &found.PasswordHash, &found.DeletedAt)
	}, "SELECT "+userColumns+", u.password_hash, u.deleted_at FROM `user` u WHERE u.id = ?", id)
}

// seenChunk bounds the alternatives in one CASE.
const seenChunk = 100

// SaveSeen stores when and from where sessions were last used; times only move
// forward. Sessions that are not there are passed over.
func (db *DB) SaveSeen(ctx context.Context, seen []chat.SessionSighting) error {
	sorted := slices.Clone(seen)
	slices.SortFunc(sorted, func(a, b chat.SessionSighting) int { return cmp.Compare(a.Session, b.Session) })
	return db.transact(ctx, func(x *conn) error {
		text := new(statement)
		ids := make([]chat.ID, 0, seenChunk)
		for chunk := range slices.Chunk(sorted, seenChunk) {
			text.reset().sql("UPDATE session SET address = CASE")
			for _, s := range chunk {
				text.newer(s).arg(s.Origin.Address)
			}
			text.sql(" ELSE address END, user_agent = CASE")
			for _, s := range chunk {
				text.newer(s).arg(s.Origin.UserAgent)
			}
			// The time comes last: MySQL sets one column after the other, and each looks at it.
			text.sql(" ELSE user_agent END, last_seen_at = CASE")
			ids = ids[:0]
			for _, s := range chunk {
				text.newer(s).int(int64(s.At))
				ids = append(ids, s.Session)
			}
			if err := text.sql(" ELSE last_seen_at END WHERE id IN ").ids(ids).exec(x); err != nil {
				return err
			}
		}
		return nil
	})
}

// newer writes the alternative for a session that was not seen later.
func (s *statement) newer(seen chat.SessionSighting) *statement {
	return s.sql(" WHEN id = ").id(seen.Session).sql(" AND last_seen_at <= ").int(int64(seen.At)).sql(" THEN ")
}

// PruneSessions deletes up to limit sessions that ended or expired before the
// given time, and returns how many. Their tokens stay refused: what is not
// there has ended.
func (db *DB) PruneSessions(ctx context.Context, before chat.Time, limit int) (int, error) {
	deleted := 0
	err := db.transact(ctx, func(x *conn) error {
		deleted = 0
		for _, old := range []string{
			"SELECT id FROM session WHERE ended_at < ? ORDER BY ended_at LIMIT ?",
			"SELECT id FROM session WHERE expires_at < ? ORDER BY expires_at LIMIT ?",
		} {
			if deleted == limit {
				return nil
			}
			ids, err := all(x, scanID, old, before, min(limit-deleted, pruneRows))
			if err != nil || len(ids) == 0 {
				if err != nil {
					return err
				}
				continue
			}
			slices.Sort(ids)
			if err := new(statement).sql("DELETE FROM session WHERE id IN ").ids(ids).exec(x); err != nil {
				return err
			}
			deleted += len(ids)
		}
		return nil
	})
	return deleted, err
}

// SentRuns returns in which conversations a user has written, also in those the
// user has left, and from where to where. It reads an index and no message.
func (db *DB) SentRuns(ctx context.Context, sender chat.ID) ([]chat.SentRun, error) {
	runs := make(map[chat.ID]chat.SentRun)
	err := each(db.reader(ctx), func(r row) error {
		var (
			conversation chat.ID
			seq          int64
		)
		if err := r.Scan(&conversation, &seq); err != nil {
			return err
		}
		run, known := runs[conversation]
		if !known {
			run = chat.SentRun{ConversationID: conversation, First: seq}
		}
		run.First, run.Last = min(run.First, seq), max(run.Last, seq)
		runs[conversation] = run
		return nil
	}, "SELECT conversation_id, seq FROM chat_history WHERE sender_id = ?", sender)
	return slices.SortedFunc(maps.Values(runs), func(a, b chat.SentRun) int { return cmp.Compare(a.ConversationID, b.ConversationID) }), err
}

// SentIn returns up to limit messages of a sender in a part of a conversation,
// after one seq up to another, ascending, without what a group says by itself. The sum keeps databases from an index
// by sender, of which they would sort all.
func (db *DB) SentIn(ctx context.Context, sender, conversation chat.ID, after, upTo int64, limit int) ([]chat.Message, error) {
	return all(db.reader(ctx), func(r row) (chat.Message, error) {
		var m messageRow
		err := r.Scan(m.dest()...)
		return m.message(), err
	}, "SELECT "+messageColumns+" FROM chat_history h WHERE h.conversation_id = ? AND h.seq > ? AND h.seq <= ? AND h.sender_id + 0 = ? AND h.kind <> 'system' ORDER BY h.seq LIMIT ?",
		conversation, after, upTo, sender, limit)
}

// ExpiredRequests returns up to limit pending requests whose time is over.
func (db *DB) ExpiredRequests(ctx context.Context, at chat.Time, limit int) ([]chat.FriendRequest, error) {
	return all(db.reader(ctx), scanFriendRequest, selectFriendRequests+"r.state = ? AND r.expires_at <= ? ORDER BY r.expires_at LIMIT ?",
		string(chat.RequestPending), at, limit)
}

// PendingRequestOf returns a pending request by or to a user, CodeNotFound when
// there is none.
func (db *DB) PendingRequestOf(ctx context.Context, user chat.ID) (chat.FriendRequest, error) {
	found, err := friendRequest(db.reader(ctx), "r.from_id = ? AND r.state = 'pending' LIMIT 1", user)
	if chat.CodeOf(err) == chat.CodeNotFound {
		return friendRequest(db.reader(ctx), "r.to_id = ? AND r.state = 'pending' LIMIT 1", user)
	}
	return found, err
}

// DeletedUsers returns up to limit deleted users who are to be looked at again
// at the given time.
func (db *DB) DeletedUsers(ctx context.Context, at chat.Time, limit int) ([]chat.ID, error) {
	return all(db.reader(ctx), scanID, "SELECT id FROM `user` WHERE purge_at <= ? ORDER BY purge_at LIMIT ?", at, limit)
}

// formerKey stands in username_key for a name whose account is deleted. It is no
// beginning of any name, and does not tell the name.
func formerKey(username string) string {
	sum := sha256.Sum256([]byte(fold(username)))
	return "~" + hex.EncodeToString(sum[:20])
}
