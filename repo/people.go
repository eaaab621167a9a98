package repo

import (
	"context"
	"database/sql"
	"strings"

	"longwire/chat"
)

// What is not there, by what it is.
func errNoUser() *chat.Error    { return chat.NotFound("There is no such user.") }
func errNoSession() *chat.Error { return chat.NotFound("There is no such session.") }
func errNoFriend() *chat.Error  { return chat.NotFound("You are no friends.") }
func errNoGroup() *chat.Error   { return chat.NotFound("There is no such group.") }
func errNoMember() *chat.Error  { return chat.NotFound("This user is no member of the group.") }
func errNoConversation() *chat.Error {
	return chat.NotFound("There is no such conversation.")
}

// fold returns the form in which names are compared.
func fold(name string) string {
	return strings.ToLower(name)
}

// profileColumns are the columns of user as u that make a profile.
const profileColumns = "u.id, u.username, u.display_name, u.avatar_url, u.status_text, u.deleted_at"

// scanProfile reads profileColumns and what the caller has behind them.
func scanProfile(r row, profile *chat.Profile, more ...any) error {
	read := profileRow{profile: profile}
	if err := r.Scan(append(read.dest(), more...)...); err != nil {
		return err
	}
	read.finish()
	return nil
}

// profileRow is a profile while it is read.
type profileRow struct {
	profile *chat.Profile
	avatar  sql.NullString
	deleted sql.NullInt64
}

// dest returns where profileColumns go.
func (p *profileRow) dest() []any {
	return []any{&p.profile.ID, &p.profile.Username, &p.profile.DisplayName, &p.avatar, &p.profile.StatusText, &p.deleted}
}

// finish makes the profile of what was read.
func (p *profileRow) finish() {
	if p.avatar.Valid {
		p.profile.AvatarURL = &p.avatar.String
	}
	p.profile.Deleted = p.deleted.Valid
}

// userColumns are the columns of user as u that make a user.
const userColumns = profileColumns + ", u.accept_messages_from, u.accept_friend_requests_from, u.accept_group_invites_from, u.presence_visibility, u.created_at"

func scanUser(r row) (user chat.User, err error) {
	return user, scanUserAnd(r, &user)
}

// scanUserAnd reads userColumns and what the caller has behind them.
func scanUserAnd(r row, user *chat.User, more ...any) error {
	return scanProfile(r, &user.Profile, append([]any{
		&user.AcceptMessagesFrom, &user.AcceptFriendRequestsFrom, &user.AcceptGroupInvitesFrom, &user.PresenceVisibility, &user.CreatedAt,
	}, more...)...)
}

func userByID(c *conn, id chat.ID) (chat.User, error) {
	return one(c, errNoUser(), scanUser, "SELECT "+userColumns+" FROM `user` u WHERE u.id = ?", id)
}

func userByName(c *conn, username string) (chat.Credentials, error) {
	found, err := one(c, errNoUser(), func(r row) (found chat.Credentials, err error) {
		return found, scanUserAnd(r, &found.User, &found.PasswordHash)
	}, "SELECT "+userColumns+", u.password_hash FROM `user` u WHERE u.username_key = ? AND u.deleted_at IS NULL", fold(username))
	// MySQL takes trailing spaces for nothing when it compares.
	if err == nil && fold(found.User.Username) != fold(username) {
		return chat.Credentials{}, errNoUser()
	}
	return found, err
}

// profilesByID returns the profiles of those users that are there.
func profilesByID(c *conn, ids []chat.ID) (map[chat.ID]*chat.Profile, error) {
	found := make(map[chat.ID]*chat.Profile, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	text := new(statement).sql("SELECT " + profileColumns + " FROM `user` u WHERE u.id IN ").ids(ids)
	return found, text.each(c, func(r row) error {
		profile := new(chat.Profile)
		err := scanProfile(r, profile)
		found[profile.ID] = profile
		return err
	})
}

// UserByID returns a user, CodeNotFound when there is none.
func (db *DB) UserByID(ctx context.Context, id chat.ID) (chat.User, error) {
	return userByID(db.reader(ctx), id)
}

// CredentialsByUsername returns what a login is checked against; case does not
// matter. CodeNotFound when nobody has the name.
func (db *DB) CredentialsByUsername(ctx context.Context, username string) (chat.Credentials, error) {
	return userByName(db.reader(ctx), username)
}

// lastRune sorts behind whatever a name may continue with.
const lastRune = "\U0010ffff"

// Places in the list of FindUsers: first those found by username, then those
// found by display name only.
const (
	listUsersByName    = 'u'
	listUsersByDisplay = 'd'
)

// findable are the users as u whom a viewer may find, who is the argument: not
// those who block the viewer, which the viewer is not told.
const findable = " AND u.deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM `block` b WHERE b.user_id = u.id AND b.blocked_id = ?)"

// FindUsers lists users whose username begins with prefix, in its order, and
// then those whose display name does, in any case, but for those who block the
// viewer. Each part is a range of an index.
func (db *DB) FindUsers(ctx context.Context, viewer chat.ID, prefix string, page chat.Page) (chat.List[chat.Profile], error) {
	c, key := db.reader(ctx), fold(prefix)
	items := []chat.Profile{}
	var display, from string
	var fromID chat.ID
	if page.After == "" || isPlaceOf(listUsersByName, page.After) {
		lower, comparison := key, ">="
		if page.After != "" {
			place, err := parsePlace(listUsersByName, page.After, 0)
			if err != nil {
				return chat.List[chat.Profile]{}, err
			}
			lower, comparison = place.text, ">"
		}
		var err error
		items, err = all(c, func(r row) (profile chat.Profile, err error) {
			return profile, scanProfile(r, &profile)
		}, "SELECT "+profileColumns+" FROM `user` u WHERE u.username_key "+comparison+" ? AND u.username_key <= ?"+findable+" ORDER BY u.username_key LIMIT ?",
			lower, key+lastRune, viewer, page.Limit+1)
		if err != nil {
			return chat.List[chat.Profile]{}, err
		}
		if len(items) > page.Limit {
			return list(items, page.Limit, func(last chat.Profile) string {
				return place{list: listUsersByName, text: fold(last.Username)}.String()
			}), nil
		}
		display = key
	} else {
		place, err := parsePlace(listUsersByDisplay, page.After, 1)
		if err != nil {
			return chat.List[chat.Profile]{}, err
		}
		display, fromID = place.text, chat.ID(place.numbers[0])
	}
	from = display
	return findByDisplay(c, viewer, items, key, from, fromID, page.Limit)
}

const (
	// displayChunk is how many rows are read at once, of which many may have
	// been found by username already.
	displayChunk = 200
	// displayRounds bounds the work for one page; a page may be short for it.
	displayRounds = 10
)

// findByDisplay fills a page with users whose display name begins with key but
// whose username does not, from a place on.
func findByDisplay(c *conn, viewer chat.ID, items []chat.Profile, key, from string, fromID chat.ID, limit int) (chat.List[chat.Profile], error) {
	from = max(from, key)
	for range displayRounds {
		found, err := all(c, func(r row) (profile chat.Profile, err error) {
			return profile, scanProfile(r, &profile)
		}, "SELECT "+profileColumns+" FROM `user` u WHERE u.display_key >= ? AND u.display_key <= ? AND (u.display_key > ? OR u.id > ?)"+
			findable+" ORDER BY u.display_key, u.id LIMIT ?", from, key+lastRune, from, fromID, viewer, displayChunk)
		if err != nil {
			return chat.List[chat.Profile]{}, err
		}
		for _, profile := range found {
			if strings.HasPrefix(fold(profile.Username), key) {
				from, fromID = fold(profile.DisplayName), profile.ID
				continue
			}
			if len(items) == limit {
				next := place{list: listUsersByDisplay, text: from, numbers: []int64{int64(fromID)}}.String()
				return chat.List[chat.Profile]{Items: items, Next: &next}, nil
			}
			items = append(items, profile)
			from, fromID = fold(profile.DisplayName), profile.ID
		}
		if len(found) < displayChunk {
			return chat.List[chat.Profile]{Items: items}, nil
		}
	}
	next := place{list: listUsersByDisplay, text: from, numbers: []int64{int64(fromID)}}.String()
	return chat.List[chat.Profile]{Items: items, Next: &next}, nil
}

const sessionColumns = "id, user_id, device_name, created_at, last_seen_at, expires_at, ended_at, refresh_generation, saved_seq, address, user_agent"

func scanSession(r row) (session chat.Session, err error) {
	var ended sql.NullInt64
	err = r.Scan(&session.ID, &session.UserID, &session.DeviceName, &session.CreatedAt, &session.LastSeenAt,
		&session.ExpiresAt, &ended, &session.RefreshGeneration, &session.SavedSeq, &session.Address, &session.UserAgent)
	if ended.Valid {
		at := chat.Time(ended.Int64)
		session.EndedAt = &at
	}
	return session, err
}

func sessionByID(c *conn, id chat.ID, lock string) (chat.Session, error) {
	return one(c, errNoSession(), scanSession, "SELECT "+sessionColumns+" FROM session WHERE id = ?"+lock, id)
}

// SessionByID returns a session, live or not; CodeNotFound when there is none.
func (db *DB) SessionByID(ctx context.Context, id chat.ID) (chat.Session, error) {
	return sessionByID(db.reader(ctx), id, "")
}

// SessionsOf lists the sessions of a user that live at the given time, newest first.
func (db *DB) SessionsOf(ctx context.Context, user chat.ID, at chat.Time) ([]chat.Session, error) {
	return all(db.reader(ctx), scanSession, "SELECT "+sessionColumns+
		" FROM session WHERE user_id = ? AND ended_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id DESC", user, at)
}
