package repo

import (
	"context"
	"database/sql"

	"longwire/chat"
)

// Lists of groups and of what belongs to them.
const (
	listGroups       = 'g'
	listDirectory    = 'n'
	listMembers      = 'm'
	listJoinRequests = 'j'
)

// groupColumns are the columns of chat_group as g, and of group_member as v,
// that make a group as a viewer sees it.
const groupColumns = "g.id, g.name, g.description, g.visibility, g.join_policy, g.owner_id, g.member_count, g.created_at, v.role" +
	", g.add_policy, g.send_policy, g.history_for_newcomers, g.announcement, g.announcement_by, g.announcement_at" +
	", CASE WHEN v.role IN ('owner', 'admin') THEN (SELECT COUNT(*) FROM join_request w WHERE w.group_id = g.id) END"

// selectGroups reads groups with the role of a viewer, who is the first argument.
const selectGroups = "SELECT " + groupColumns +
	" FROM chat_group g LEFT JOIN group_member v ON v.group_id = g.id AND v.user_id = ?"

func scanGroup(r row) (group chat.Group, err error) {
	var (
		role, text sql.NullString
		by, at     sql.NullInt64
	)
	err = r.Scan(&group.ID, &group.Name, &group.Description, &group.Visibility, &group.JoinPolicy, &group.OwnerID,
		&group.MemberCount, &group.CreatedAt, &role, &group.AddPolicy, &group.SendPolicy, &group.HistoryForNewcomers,
		&text, &by, &at, &group.JoinRequestCount)
	if role.Valid {
		mine := chat.Role(role.String)
		group.MyRole = &mine
	}
	if text.Valid {
		group.Announcement = &chat.GroupAnnouncement{Text: text.String, By: chat.ID(by.Int64), At: chat.Time(at.Int64)}
	}
	return group, err
}

// groupByID returns a live group; viewer 0 is nobody.
func groupByID(c *conn, id, viewer chat.ID) (chat.Group, error) {
	return one(c, errNoGroup(), scanGroup, selectGroups+" WHERE g.id = ? AND g.dissolved_at IS NULL", viewer, id)
}

// groupsByID returns those of the groups that live.
func groupsByID(c *conn, ids []chat.ID, viewer chat.ID) (map[chat.ID]*chat.Group, error) {
	found := make(map[chat.ID]*chat.Group, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	text := new(statement)
	text.args = append(text.args, viewer)
	text.sql(selectGroups + " WHERE g.dissolved_at IS NULL AND g.id IN ").ids(ids)
	return found, text.each(c, func(r row) error {
		group, err := scanGroup(r)
		found[group.ID] = &group
		return err
	})
}

// GroupByID returns a group with the viewer's role; CodeNotFound when there is
// none or it is dissolved. Whether the viewer may know of it the caller decides.
func (db *DB) GroupByID(ctx context.Context, id, viewer chat.ID) (chat.Group, error) {
	return groupByID(db.reader(ctx), id, viewer)
}

// GroupsOf lists the groups of a user, by id, which is by age.
func (db *DB) GroupsOf(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.Group], error) {
	after, err := placeByID(listGroups, page.After)
	if err != nil {
		return chat.List[chat.Group]{}, err
	}
	items, err := all(db.reader(ctx), scanGroup,
		"SELECT "+groupColumns+" FROM group_member v JOIN chat_group g ON g.id = v.group_id"+
			" WHERE v.user_id = ? AND v.group_id > ? AND g.dissolved_at IS NULL ORDER BY v.group_id LIMIT ?", user, after, page.Limit+1)
	return listByID(listGroups, items, page.Limit, func(last chat.Group) chat.ID { return last.ID }), err
}

// FindGroups lists public groups whose name begins with query, in any case, by name.
func (db *DB) FindGroups(ctx context.Context, viewer chat.ID, query string, page chat.Page) (chat.List[chat.Group], error) {
	from := place{text: fold(query), numbers: []int64{0}}
	if page.After != "" {
		var err error
		if from, err = parsePlace(listDirectory, page.After, 1); err != nil {
			return chat.List[chat.Group]{}, err
		}
	}
	from.text = max(from.text, fold(query))
	items, err := all(db.reader(ctx), scanGroup, selectGroups+
		" WHERE g.visibility = ? AND g.dissolved_at IS NULL AND g.name_key >= ? AND g.name_key <= ? AND (g.name_key > ? OR g.id > ?)"+
		" ORDER BY g.name_key, g.id LIMIT ?",
		viewer, string(chat.VisibilityPublic), from.text, fold(query)+lastRune, from.text, from.numbers[0], page.Limit+1)
	return list(items, page.Limit, func(last chat.Group) string {
		return place{list: listDirectory, text: fold(last.Name), numbers: []int64{int64(last.ID)}}.String()
	}), err
}

const selectMembers = "SELECT " + profileColumns + ", m.role, m.joined_at, m.muted_until FROM group_member m JOIN `user` u ON u.id = m.user_id"

func scanMember(r row) (member chat.Member, err error) {
	return member, scanProfile(r, &member.User, &member.Role, &member.JoinedAt, &member.MutedUntil)
}

// GroupMembers lists the members of a group by their ids.
func (db *DB) GroupMembers(ctx context.Context, group chat.ID, page chat.Page) (chat.List[chat.Member], error) {
	after, err := placeByID(listMembers, page.After)
	if err != nil {
		return chat.List[chat.Member]{}, err
	}
	items, err := all(db.reader(ctx), scanMember, selectMembers+" WHERE m.group_id = ? AND m.user_id > ? ORDER BY m.user_id LIMIT ?",
		group, after, page.Limit+1)
	return listByID(listMembers, items, page.Limit, func(last chat.Member) chat.ID { return last.User.ID }), err
}

// JoinRequests lists those who wait to be let into a group, the longest waiting first.
func (db *DB) JoinRequests(ctx context.Context, group chat.ID, page chat.Page) (chat.List[chat.JoinRequest], error) {
	from := place{numbers: []int64{0, 0}}
	if page.After != "" {
		var err error
		if from, err = parsePlace(listJoinRequests, page.After, 2); err != nil {
			return chat.List[chat.JoinRequest]{}, err
		}
	}
	items, err := all(db.reader(ctx), scanJoinRequest, selectJoinRequests+
		" WHERE j.group_id = ? AND j.created_at >= ? AND (j.created_at > ? OR j.user_id > ?) ORDER BY j.created_at, j.user_id LIMIT ?",
		group, from.numbers[0], from.numbers[0], from.numbers[1], page.Limit+1)
	return list(items, page.Limit, func(last chat.JoinRequest) string {
		return place{list: listJoinRequests, numbers: []int64{int64(last.CreatedAt), int64(last.User.ID)}}.String()
	}), err
}
