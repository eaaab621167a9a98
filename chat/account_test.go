package chat_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/repo"
)

// realm is a service over a real database, with a clock in the test's hand.
type realm struct {
	*chat.Service

	t         *testing.T
	store     *faultyStore
	now       time.Time
	announced []chat.Announcement
	verifying func() // called once while a password is checked; nil = nothing
}

func newRealm(t *testing.T, adjust ...func(limits *chat.Limits)) *realm {
	t.Helper()
	r := &realm{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	db, err := repo.Open(t.Context(), repo.Config{SQLitePath: filepath.Join(t.TempDir(), "chat.db"), Now: func() time.Time { return r.now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.NoError(t, db.MigrateUp(t.Context()))
	r.store = &faultyStore{DB: db}
	limits := chat.FixedLimits()
	limits.MaxPageSize, limits.MaxGroupMembers, limits.MaxGroupsPerUser = 200, 100, 100
	for _, change := range adjust {
		change(&limits)
	}
	r.Service = chat.NewService(chat.Options{
		Store: r.store, Announcer: r, Connections: nobodyConnected{}, Passwords: plainly{r}, Tokens: numbered{}, Limits: limits, Now: func() time.Time { return r.now },
		Lifetimes: chat.Lifetimes{AccessToken: time.Minute, InboxToken: time.Minute, Session: 24 * time.Hour, FriendRequest: time.Hour},
	})
	return r
}

// Announce notes what was committed.
func (r *realm) Announce(a chat.Announcement) { r.announced = append(r.announced, a) }

// register returns somebody new, who is signed in.
func (r *realm) register(name string) chat.Caller {
	r.t.Helper()
	signIn, err := r.Register(r.t.Context(), chat.RegisterInput{Username: name, Password: "correct horse"})
	require.NoError(r.t, err)
	r.now = r.now.Add(time.Second)
	return chat.Caller{User: signIn.User.ID, Session: signIn.SessionID}
}

// befriend makes two users friends.
func (r *realm) befriend(a, b chat.Caller) {
	r.t.Helper()
	for _, pair := range [][2]chat.Caller{{a, b}, {b, a}} {
		_, _, err := r.RequestFriend(r.t.Context(), pair[0], chat.FriendRequestInput{UserID: pair[1].User})
		require.NoError(r.t, err)
	}
}

// group makes a group whose members join one after the other.
func (r *realm) group(owner chat.Caller, members ...chat.Caller) chat.ID {
	r.t.Helper()
	group, _, err := r.CreateGroup(r.t.Context(), owner, chat.NewGroup{Name: "g", Visibility: chat.VisibilityPrivate, JoinPolicy: chat.JoinInvite})
	require.NoError(r.t, err)
	for _, member := range members {
		r.now = r.now.Add(time.Second)
		_, _, err := r.PutMember(r.t.Context(), owner, group.ID, member.User, nil)
		require.NoError(r.t, err)
	}
	return group.ID
}

// plainly keeps passwords as they are.
type plainly struct{ r *realm }

func (p plainly) Hash(_ context.Context, password string) (string, error) { return password, nil }

func (p plainly) Verify(_ context.Context, password, hash string) (bool, error) {
	if during := p.r.verifying; during != nil {
		p.r.verifying = nil
		during()
	}
	return password == hash, nil
}

func (p plainly) VerifyNobody(context.Context, string) error { return nil }

// nobodyConnected knows of no connections.
type nobodyConnected struct{ chat.Connections }

// numbered makes tokens that say nothing.
type numbered struct{ chat.Tokens }

func (numbered) Access(chat.SessionRef, time.Time) (string, error) { return "access", nil }
func (numbered) Refresh(chat.ID, int64) string                     { return "refresh" }

// faultyStore fails where a test wants it to.
type faultyStore struct {
	*repo.DB

	groupsOf error // what GroupsOf returns; nil = what is there
	saveSeen error
	saved    [][]chat.SessionSighting
}

func (f *faultyStore) GroupsOf(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.Group], error) {
	if f.groupsOf != nil {
		return chat.List[chat.Group]{}, f.groupsOf
	}
	return f.DB.GroupsOf(ctx, user, page)
}

func (f *faultyStore) SaveSeen(ctx context.Context, seen []chat.SessionSighting) error {
	if f.saveSeen != nil {
		return f.saveSeen
	}
	f.saved = append(f.saved, seen)
	return f.DB.SaveSeen(ctx, seen)
}

func TestOldPasswordDoesNotGetInAfterAChange(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	alice := r.register("alice")
	// Somebody who knows the old password is at the door, checked and not yet in, when it is changed.
	r.verifying = func() {
		require.NoError(t, r.ChangePassword(t.Context(), alice, chat.PasswordChange{Current: "correct horse", New: "staple battery"}))
	}
	_, err := r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "correct horse"})
	assert.Equal(t, chat.CodeInvalidCredentials, chat.CodeOf(err))
	sessions, err := r.Sessions(t.Context(), alice)
	require.NoError(t, err)
	assert.Len(t, sessions, 1)
}

func TestTwoChangesOfThePasswordAreNotBothDone(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	alice := r.register("alice")
	change := func(to string) error {
		return r.ChangePassword(t.Context(), alice, chat.PasswordChange{Current: "correct horse", New: to})
	}
	r.verifying = func() { require.NoError(t, change("the first one")) }
	assert.Equal(t, chat.CodeConflict, chat.CodeOf(change("the second one")))
	_, err := r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "the first one"})
	require.NoError(t, err)
}

func TestEndedSessionEndsNoOthers(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	alice := r.register("alice")
	signIn, err := r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "correct horse"})
	require.NoError(t, err)
	thief := chat.Caller{User: alice.User, Session: signIn.SessionID}
	require.NoError(t, r.EndOtherSessions(t.Context(), alice))
	// A request of the thief that was let in before.
	assert.Equal(t, chat.CodeSessionEnded, chat.CodeOf(r.EndOtherSessions(t.Context(), thief)))
	err = r.ChangePassword(t.Context(), thief, chat.PasswordChange{Current: "correct horse", New: "the thief's own"})
	assert.Equal(t, chat.CodeSessionEnded, chat.CodeOf(err))
	sessions, err := r.Sessions(t.Context(), alice)
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	_, err = r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "correct horse"})
	require.NoError(t, err, "the password is what it was")
}

func TestLoginBeyondTheLimitEndsTheSessionUnusedForLongest(t *testing.T) {
	t.Parallel()
	r := newRealm(t, func(limits *chat.Limits) { limits.MaxSessionsPerUser = 3 })
	alice := r.register("alice")
	var sessions []chat.ID
	for range 2 {
		signIn, err := r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "correct horse"})
		require.NoError(t, err)
		sessions = append(sessions, signIn.SessionID)
		r.now = r.now.Add(time.Minute)
	}
	r.Seen(alice, chat.ClientOrigin{Address: "192.0.2.1"})
	require.NoError(t, r.SaveSeen(t.Context()))
	r.now = r.now.Add(time.Minute)
	signIn, err := r.Login(t.Context(), chat.LoginInput{Username: "alice", Password: "correct horse"})
	require.NoError(t, err)
	live, err := r.Sessions(t.Context(), alice)
	require.NoError(t, err)
	var left []chat.ID
	for _, session := range live {
		left = append(left, session.ID)
	}
	assert.ElementsMatch(t, []chat.ID{alice.Session, sessions[1], signIn.SessionID}, left)
	assert.Equal(t, []chat.SessionRef{{User: alice.User, Session: sessions[0]}}, r.announced[len(r.announced)-1].EndedSessions)
}

func TestLastUseIsWrittenSeldomAndNeverLost(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	alice := r.register("alice")
	for range 100 {
		r.Seen(alice, chat.ClientOrigin{Address: "192.0.2.1", UserAgent: "Phone\x00\n\xff/1"})
		r.now = r.now.Add(100 * time.Millisecond)
	}
	r.store.saveSeen = chat.Unavailable(nil)
	require.Error(t, r.SaveSeen(t.Context()))
	r.store.saveSeen = nil
	for range 3 {
		require.NoError(t, r.SaveSeen(t.Context()))
	}
	require.Len(t, r.store.saved, 1, "a hundred requests are one write, which is tried until it is done")
	assert.Equal(t, chat.ClientOrigin{Address: "192.0.2.1", UserAgent: "Phone/1"}, r.store.saved[0][0].Origin)
	r.Seen(alice, chat.ClientOrigin{Address: "192.0.2.2"})
	sessions, err := r.Sessions(t.Context(), alice)
	require.NoError(t, err)
	assert.Equal(t, "192.0.2.2", sessions[0].Address, "this node knows it before it is written")
	require.NoError(t, r.SaveSeen(t.Context()))
	assert.Len(t, r.store.saved, 2)
}

func TestOwnedGroupsGoToTheOldestAdminElseTheOldestMember(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	owner, a, b, c := r.register("owner"), r.register("anna"), r.register("bert"), r.register("carl")
	admins, members, alone := r.group(owner, c, b, a), r.group(owner, c, b), r.group(owner)
	admin := chat.RoleAdmin
	for _, user := range []chat.Caller{a, b} {
		_, _, err := r.PutMember(t.Context(), owner, admins, user.User, &admin)
		require.NoError(t, err)
	}
	require.NoError(t, r.DeleteMe(t.Context(), owner, "correct horse"))
	for group, want := range map[chat.ID]chat.ID{admins: b.User, members: c.User} {
		now, err := r.Group(t.Context(), c, group)
		require.NoError(t, err)
		assert.Equal(t, want, now.OwnerID)
		_, err = r.UpdateGroup(t.Context(), chat.Caller{User: want}, group, chat.GroupPatch{})
		require.NoError(t, err, "and has the role")
	}
	_, err := r.store.GroupByID(t.Context(), alone, owner.User)
	assert.Equal(t, chat.CodeNotFound, chat.CodeOf(err))
}

// A node that dies between the two steps leaves the second to whoever comes next.
func TestDeletionIsFinishedByWhoeverComesNext(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	gone, friend, asked := r.register("gone"), r.register("friend"), r.register("asked")
	r.befriend(gone, friend)
	group := r.group(gone, friend)
	_, _, err := r.RequestFriend(t.Context(), gone, chat.FriendRequestInput{UserID: asked.User})
	require.NoError(t, err)
	r.store.groupsOf = chat.Unavailable(nil)
	require.NoError(t, r.DeleteMe(t.Context(), gone, "correct horse"), "the account is gone all the same")
	known, err := r.Profile(t.Context(), gone.User)
	require.NoError(t, err)
	assert.True(t, known.Deleted)
	_, err = r.FinishDeletions(t.Context(), 10)
	require.Error(t, err)
	r.store.groupsOf = nil

	n, err := r.FinishDeletions(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	now, err := r.Group(t.Context(), friend, group)
	require.NoError(t, err)
	assert.Equal(t, friend.User, now.OwnerID)
	friends, err := r.Friends(t.Context(), friend, chat.Page{})
	require.NoError(t, err)
	assert.Empty(t, friends.Items)
	open, err := r.FriendRequests(t.Context(), asked, chat.DirectionIncoming, chat.Page{})
	require.NoError(t, err)
	assert.Empty(t, open.Items)

	// Once more when nothing of it can be under way any longer, and then never again.
	for _, want := range []int{0, 1, 0} {
		n, err := r.FinishDeletions(t.Context(), 10)
		require.NoError(t, err)
		assert.Equal(t, want, n)
		r.now = r.now.Add(2 * time.Minute)
	}
}

func TestExpiredRequestMeetsNoMirrorImage(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	alice, bob := r.register("alice"), r.register("bob")
	first, _, err := r.RequestFriend(t.Context(), alice, chat.FriendRequestInput{UserID: bob.User})
	require.NoError(t, err)
	r.now = r.now.Add(time.Hour)
	second, _, err := r.RequestFriend(t.Context(), bob, chat.FriendRequestInput{UserID: alice.User})
	require.NoError(t, err)
	assert.Equal(t, chat.RequestPending, second.State)
	ended, err := r.store.FriendRequestByID(t.Context(), first.ID)
	require.NoError(t, err)
	assert.Equal(t, chat.RequestExpired, ended.State)
	_, err = r.AcceptRequest(t.Context(), bob, first.ID)
	assert.Equal(t, chat.CodeConflict, chat.CodeOf(err))
	accepted, err := r.AcceptRequest(t.Context(), alice, second.ID)
	require.NoError(t, err)
	assert.Equal(t, chat.RequestAccepted, accepted.State)
	n, err := r.ExpireRequests(t.Context(), 10)
	require.NoError(t, err)
	assert.Zero(t, n)
}

// Names are seen by others: one of nothing but spaces is none.
func TestDisplayNameIsNotBlank(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	ada := r.register("ada")
	_, err := r.UpdateMe(t.Context(), ada, chat.ProfilePatch{DisplayName: new(" \t ")})
	require.Equal(t, chat.CodeValidation, chat.CodeOf(err))
	_, err = r.UpdateMe(t.Context(), ada, chat.ProfilePatch{DisplayName: new("Ada ")})
	require.NoError(t, err)
}

// Whoever reads an inbox of a deleted account is told by the inbox itself that the session has ended.
func TestDeletionRevokesSessionsInTheInbox(t *testing.T) {
	t.Parallel()
	r := newRealm(t)
	ada := r.register("ada")
	r.announced = nil
	require.NoError(t, r.DeleteMe(t.Context(), ada, "correct horse"))
	var revoked int
	for _, a := range r.announced {
		for _, d := range a.Deliveries {
			if d.User == ada.User && strings.HasPrefix(string(a.Bodies[d.Event]), `"type":"session.revoked"`) {
				revoked++
			}
		}
	}
	require.Equal(t, 1, revoked)
}
