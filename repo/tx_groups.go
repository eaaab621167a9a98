package repo

import (
	"errors"
	"slices"

	"longwire/chat"
)

// InsertGroup adds a group without members, and its conversation.
// MemberCount is not taken over: it counts what InsertMembers adds.
func (t *tx) InsertGroup(group chat.Group) error {
	_, err := t.exec("INSERT INTO conversation (id, kind, user_lo, user_hi, last_seq, last_activity_at, audience_version) VALUES (?, ?, NULL, NULL, 0, ?, 1)",
		group.ID, string(chat.KindGroup), group.CreatedAt)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO chat_group (id, name, name_key, description, visibility, join_policy, owner_id, member_count, created_at, dissolved_at,"+
		" add_policy, send_policy, history_for_newcomers) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, NULL, ?, ?, ?)",
		group.ID, group.Name, fold(group.Name), group.Description, string(group.Visibility), string(group.JoinPolicy),
		group.OwnerID, group.CreatedAt, string(group.AddPolicy), string(group.SendPolicy), group.HistoryForNewcomers)
	return err
}

// LockGroup returns a live group without MyRole, and orders this transaction
// against messages and other changes of it.
func (t *tx) LockGroup(id chat.ID) (chat.Group, error) {
	if err := lockConversations(t.conn, []chat.ID{id}, func(*conversation) {}); err != nil {
		return chat.Group{}, err
	}
	return groupByID(t.conn, id, 0)
}

// UpdateGroup stores name, description, policies, announcement and owner.
func (t *tx) UpdateGroup(group chat.Group) error {
	if err := raiseVersions(t.conn, []chat.ID{group.ID}); err != nil {
		return err
	}
	text, by, at := announcementColumns(group.Announcement)
	n, err := t.exec("UPDATE chat_group SET name = ?, name_key = ?, description = ?, visibility = ?, join_policy = ?, owner_id = ?,"+
		" add_policy = ?, send_policy = ?, history_for_newcomers = ?, announcement = ?, announcement_by = ?, announcement_at = ?"+
		" WHERE id = ? AND dissolved_at IS NULL", group.Name, fold(group.Name), group.Description, string(group.Visibility),
		string(group.JoinPolicy), group.OwnerID, string(group.AddPolicy), string(group.SendPolicy), group.HistoryForNewcomers,
		text, by, at, group.ID)
	if err == nil && n == 0 {
		return errNoGroup()
	}
	return err
}

// DissolveGroup ends a group and all memberships: it is CodeNotFound from then
// on, for everybody.
func (t *tx) DissolveGroup(id chat.ID) error {
	if err := raiseVersions(t.conn, []chat.ID{id}); err != nil {
		return err
	}
	n, err := t.exec("UPDATE chat_group SET dissolved_at = ?, member_count = 0 WHERE id = ? AND dissolved_at IS NULL", t.at, id)
	if err != nil {
		return err
	}
	if n == 0 {
		return errNoGroup()
	}
	if _, err := t.exec("DELETE FROM group_member WHERE group_id = ?", id); err != nil {
		return err
	}
	return t.deleteGroupRules(id)
}

// MemberOf returns a member, CodeNotFound for somebody who is none.
func (t *tx) MemberOf(group, user chat.ID) (chat.Member, error) {
	return one(t.conn, errNoMember(), scanMember, selectMembers+" WHERE m.group_id = ? AND m.user_id = ?", group, user)
}

// MemberIDs returns all members of a group, ascending.
func (t *tx) MemberIDs(group chat.ID) ([]chat.ID, error) {
	return all(t.conn, scanID, "SELECT user_id FROM group_member WHERE group_id = ? ORDER BY user_id", group)
}

// Refusals returns which of the users do not exist, and which may not be added
// by inviter because one blocks the other; both ascending.
func (t *tx) Refusals(inviter chat.ID, users []chat.ID) (missing, refusing []chat.ID, err error) {
	wanted := slices.Clone(users)
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	text := new(statement)
	for chunk := range slices.Chunk(wanted, inChunk) {
		there := make(map[chat.ID]bool, len(chunk))
		text.reset().sql("SELECT id FROM `user` WHERE deleted_at IS NULL AND id IN ").ids(chunk)
		err := text.each(t.conn, func(r row) error {
			id, err := scanID(r)
			there[id] = true
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		for _, id := range chunk {
			if !there[id] {
				missing = append(missing, id)
			}
		}
		text.reset().sql("SELECT blocked_id FROM `block` WHERE user_id = ").id(inviter).sql(" AND blocked_id IN ").ids(chunk).
			sql(" UNION SELECT user_id FROM `block` WHERE blocked_id = ").id(inviter).sql(" AND user_id IN ").ids(chunk)
		refused, err := all(t.conn, scanID, string(text.text))
		if err != nil {
			return nil, nil, err
		}
		slices.Sort(refused)
		refusing = append(refusing, refused...)
	}
	return missing, refusing, nil
}

// InsertMembers adds users that are no members yet; CodeConflict when one is.
func (t *tx) InsertMembers(group chat.ID, role chat.Role, users ...chat.ID) error {
	if len(users) == 0 {
		return nil
	}
	if err := raiseVersions(t.conn, []chat.ID{group}); err != nil {
		return err
	}
	visibleFrom, err := t.visibleToNewcomers(group)
	if err != nil {
		return err
	}
	sorted := slices.Sorted(slices.Values(users))
	text := new(statement)
	for chunk := range slices.Chunk(sorted, inChunk) {
		mutes, err := t.keptMutes(group, chunk)
		if err != nil {
			return err
		}
		text.reset().sql("INSERT INTO group_member (group_id, user_id, role, joined_at, visible_from_seq, muted_until) VALUES ")
		for i, user := range chunk {
			text.comma(i).sql("(").id(group).sql(",").id(user).sql(",").arg(string(role)).sql(",").int(int64(t.at)).
				sql(",").int(visibleFrom).sql(",")
			if until, muted := mutes[user]; muted {
				text.int(until).sql(")")
			} else {
				text.sql("NULL)")
			}
		}
		err = text.exec(t.conn)
		if errors.Is(err, errDuplicate) {
			return chat.Conflict("This user is a member already.")
		}
		if err != nil {
			return err
		}
	}
	return t.countMembers(group, len(users))
}

// visibleToNewcomers returns the first seq that those who join now may read.
func (t *tx) visibleToNewcomers(group chat.ID) (int64, error) {
	return one(t.conn, errNoGroup(), scanInt, "SELECT CASE WHEN g.history_for_newcomers <> 0 THEN 1 ELSE c.last_seq + 1 END"+
		" FROM chat_group g JOIN conversation c ON c.id = g.id WHERE g.id = ?", group)
}

// countMembers keeps the group's count in step, under the conversation's lock.
func (t *tx) countMembers(group chat.ID, more int) error {
	n, err := t.exec("UPDATE chat_group SET member_count = member_count + ? WHERE id = ? AND dissolved_at IS NULL", more, group)
	if err == nil && n == 0 {
		return errNoGroup()
	}
	return err
}

// SetRole gives a member another role; CodeNotFound for somebody who is none.
func (t *tx) SetRole(group, user chat.ID, role chat.Role) error {
	if err := raiseVersions(t.conn, []chat.ID{group}); err != nil {
		return err
	}
	n, err := t.exec("UPDATE group_member SET role = ? WHERE group_id = ? AND user_id = ?", string(role), group, user)
	if err == nil && n == 0 {
		return errNoMember()
	}
	return err
}

// DeleteMember ends a membership; CodeNotFound for somebody who is no member.
// No message that commits later reaches or comes from them.
func (t *tx) DeleteMember(group, user chat.ID) error {
	if err := raiseVersions(t.conn, []chat.ID{group}); err != nil {
		return err
	}
	if err := t.keepMute(group, user); err != nil {
		return err
	}
	n, err := t.exec("DELETE FROM group_member WHERE group_id = ? AND user_id = ?", group, user)
	if err != nil {
		return err
	}
	if n == 0 {
		return errNoMember()
	}
	// What is recalled from now on, they do not hear of.
	t.forget = append(t.forget, user)
	return t.countMembers(group, -1)
}

// LockConversation returns who belongs to a conversation and its last seq, and
// orders this transaction against messages in it. CodeNotFound when there is
// no such conversation or its group is dissolved.
func (t *tx) LockConversation(id chat.ID) (chat.Audience, int64, error) {
	var locked *conversation
	if err := lockConversations(t.conn, []chat.ID{id}, func(c *conversation) { locked = c }); err != nil {
		return chat.Audience{}, 0, err
	}
	if locked == nil {
		return chat.Audience{}, 0, errNoConversation()
	}
	// Not by way of the cache: this transaction may have changed the audience,
	// and may yet roll back.
	if err := readAudiences(t.conn, map[chat.ID]*conversation{id: locked}); err != nil {
		return chat.Audience{}, 0, err
	}
	if len(locked.audience.Members) == 0 {
		return chat.Audience{}, 0, errNoConversation()
	}
	return *locked.audience, locked.lastSeq, nil
}

// ReadSeq returns how far a user has read a conversation; 0 = nothing.
func (t *tx) ReadSeq(conversation, user chat.ID) (int64, error) {
	return one(t.conn, nil, scanInt, "SELECT read_seq FROM read_position WHERE user_id = ? AND conversation_id = ?", user, conversation)
}

// SetReadSeq stores how far a user has read and returns how many messages of
// others come after it, at most chat.MaxUnreadCount.
func (t *tx) SetReadSeq(conversation, user chat.ID, seq int64) (unread int64, err error) {
	_, err = t.exec("INSERT INTO read_position (user_id, conversation_id, read_seq) VALUES (?, ?, ?)"+t.dialect.replaceReadMark,
		user, conversation, seq)
	if err != nil {
		return 0, err
	}
	first, err := t.firstSeq(conversation, user)
	if err != nil {
		return 0, err
	}
	return t.countUnreadAfter(conversation, user, max(seq, first-1))
}
