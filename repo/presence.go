package repo

import (
	"cmp"
	"context"
	"database/sql"
	"slices"

	"longwire/chat"
)

// TypingAudience returns who is told that a user types in a conversation: all
// others in it, but for those where one blocks the other. It is nobody when the
// conversation has more than most members, or the user may not send there at the
// given time. CodeNotFound when the user does not belong to it.
func (db *DB) TypingAudience(ctx context.Context, id, user chat.ID, most int, at chat.Time) ([]chat.ID, error) {
	c := db.reader(ctx)
	type known struct {
		kind    chat.ConversationKind
		lo, hi  sql.NullInt64
		members sql.NullInt64
	}
	found, err := one(c, errNoConversation(), func(r row) (k known, err error) {
		return k, r.Scan(&k.kind, &k.lo, &k.hi, &k.members)
	}, "SELECT c.kind, c.user_lo, c.user_hi, g.member_count FROM conversation c"+
		" LEFT JOIN chat_group g ON g.id = c.id AND g.dissolved_at IS NULL WHERE c.id = ?", id)
	if err != nil {
		return nil, err
	}
	if found.kind != chat.KindGroup {
		return typingPeer(c, chat.ID(found.lo.Int64), chat.ID(found.hi.Int64), user)
	}
	switch {
	case !found.members.Valid:
		return nil, errNoConversation()
	case found.members.Int64 > int64(most):
		_, err := one(c, errNoConversation(), scanID, "SELECT user_id FROM group_member WHERE group_id = ? AND user_id = ?", id, user)
		return nil, err
	default:
		return typingMembers(c, id, user, at)
	}
}

func typingPeer(c *conn, lo, hi, user chat.ID) ([]chat.ID, error) {
	peer := lo
	switch user {
	case lo:
		peer = hi
	case hi:
	default:
		return nil, errNoConversation()
	}
	rel, err := relation(c, user, peer)
	if err != nil || rel.MaySend() != nil {
		return nil, err
	}
	return []chat.ID{peer}, nil
}

func typingMembers(c *conn, group, user chat.ID, at chat.Time) ([]chat.ID, error) {
	var told []chat.ID
	belongs, speaks := false, false
	err := each(c, func(r row) error {
		var (
			member         chat.ID
			blocked, heard bool
		)
		err := r.Scan(&member, &blocked, &heard)
		switch {
		case member == user:
			belongs, speaks = true, heard
		case !blocked:
			told = append(told, member)
		}
		return err
	}, "SELECT m.user_id, b.user_id IS NOT NULL OR r.user_id IS NOT NULL,"+
		" (m.muted_until IS NULL OR m.muted_until <= ?) AND (g.send_policy <> 'admins' OR m.role <> 'member')"+
		" FROM group_member m JOIN chat_group g ON g.id = m.group_id"+
		" LEFT JOIN `block` b ON b.user_id = m.user_id AND b.blocked_id = ?"+
		" LEFT JOIN `block` r ON r.user_id = ? AND r.blocked_id = m.user_id WHERE m.group_id = ?", at, user, user, group)
	if err == nil && !belongs {
		err = errNoConversation()
	}
	if !speaks {
		return nil, err
	}
	return told, err
}

// FriendsSeen returns those of the users who are the viewer's friends, without
// any block between them, and when they were seen last.
func (db *DB) FriendsSeen(ctx context.Context, viewer chat.ID, users []chat.ID) ([]chat.VisibleUser, error) {
	if len(users) == 0 {
		return nil, nil
	}
	var found []chat.VisibleUser
	text := new(statement).sql("SELECT u.id, u.presence_visibility, s.at FROM friend f JOIN `user` u ON u.id = f.friend_id" +
		" LEFT JOIN last_seen s ON s.user_id = f.friend_id" +
		" LEFT JOIN `block` b ON b.user_id = f.friend_id AND b.blocked_id = f.user_id" +
		" LEFT JOIN `block` r ON r.user_id = f.user_id AND r.blocked_id = f.friend_id WHERE f.user_id = ").id(viewer).
		sql(" AND f.friend_id IN ").ids(users).sql(" AND b.user_id IS NULL AND r.user_id IS NULL")
	err := text.each(db.reader(ctx), func(r row) error {
		var (
			user chat.VisibleUser
			at   sql.NullInt64
		)
		err := r.Scan(&user.ID, &user.Visibility, &at)
		if at.Valid {
			user.LastSeenAt = new(chat.Time(at.Int64))
		}
		found = append(found, user)
		return err
	})
	return found, err
}

// audienceChunk bounds the parts of one union.
const audienceChunk = 50

// PresenceAudiences returns who is told of each user's presence: up to most
// friends, or none when there are more. Users that are not there are left out.
func (db *DB) PresenceAudiences(ctx context.Context, users []chat.ID, most int) (map[chat.ID]chat.PresenceAudience, error) {
	c, text := db.reader(ctx), new(statement)
	audiences := make(map[chat.ID]chat.PresenceAudience, len(users))
	for chunk := range slices.Chunk(users, inChunk) {
		text.reset().sql("SELECT u.id, u.presence_visibility FROM `user` u WHERE u.id IN ").ids(chunk)
		err := text.each(c, func(r row) error {
			var (
				id       chat.ID
				audience chat.PresenceAudience
			)
			err := r.Scan(&id, &audience.Visibility)
			audiences[id] = audience
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for chunk := range slices.Chunk(users, audienceChunk) {
		text.reset()
		for i, id := range chunk {
			if i > 0 {
				text.sql(" UNION ALL ")
			}
			text.sql("SELECT user_id, friend_id FROM (SELECT user_id, friend_id FROM friend WHERE user_id = ").id(id).
				sql(" ORDER BY friend_id LIMIT ").int(int64(most) + 1).sql(") page")
		}
		err := text.each(c, func(r row) error {
			var id, friend chat.ID
			err := r.Scan(&id, &friend)
			if audience, there := audiences[id]; there {
				audience.Friends = append(audience.Friends, friend)
				audiences[id] = audience
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	for id, audience := range audiences {
		if len(audience.Friends) > most {
			audience.Friends, audience.TooMany = nil, true
			audiences[id] = audience
		}
	}
	return audiences, nil
}

// SaveLastSeen notes when users were seen; it only moves forward.
func (db *DB) SaveLastSeen(ctx context.Context, seen []chat.LastSeen) error {
	if len(seen) == 0 {
		return nil
	}
	sorted := slices.Clone(seen) // so that two nodes lock in one order
	slices.SortFunc(sorted, func(a, b chat.LastSeen) int { return cmp.Compare(a.User, b.User) })
	return db.transact(ctx, func(x *conn) error {
		text := new(statement)
		for chunk := range slices.Chunk(sorted, inChunk) {
			text.reset().sql("INSERT INTO last_seen (user_id, at) VALUES ")
			for i, s := range chunk {
				text.comma(i).sql("(").id(s.User).sql(",").int(int64(s.At)).sql(")")
			}
			if err := text.sql(x.dialect.laterLastSeen).exec(x); err != nil {
				return err
			}
		}
		return nil
	})
}
