package chat

import "context"

// Page asks for a part of a list. After is the Next of the part before, "" for
// the first; a text that is no Next is a validation error on "after".
type Page struct {
	Limit int
	After string
}

// List is a part of a list. Next asks for the following one; nil = this is the last.
type List[T any] struct {
	Items []T     `json:"items"`
	Next  *string `json:"next"`
}

// Store keeps everything. Errors carry a [Code]: CodeNotFound for what is not
// there, CodeUnavailable when the database does not answer, CodeInternal for
// what nobody expected. Reads see what committed before they began.
type Store interface {
	presenceStore
	messageStore
	deliveryStore

	// Write runs fn in one transaction that sees what is current under the
	// locks it takes, commits, and returns what fn appended to inboxes. When
	// the database asks for it (deadlock, lock timeout) fn runs again, so it
	// must have no effect but through tx. An error of fn rolls back and is
	// returned as it is.
	Write(ctx context.Context, at Time, fn func(tx Tx) error) (Announcement, error)
	// CommitMessages puts messages into their conversations and inboxes in one
	// transaction. Outcomes stand at the index of their message; one with an
	// error has left no trace. An error of the call means that nothing was
	// committed, or that it is unknown (the connection died while committing).
	CommitMessages(ctx context.Context, messages []Outgoing) ([]Outcome, Announcement, error)
	// PrivateConversation returns the id of the conversation of two users,
	// CodeNotFound when they have none yet.
	PrivateConversation(ctx context.Context, a, b ID) (ID, error)

	accountStore

	UserByID(ctx context.Context, id ID) (User, error) // also a deleted one
	CredentialsByUsername(ctx context.Context, username string) (Credentials, error)
	// FindUsers lists users by the beginning of a name, but for those who block the viewer.
	FindUsers(ctx context.Context, viewer ID, prefix string, page Page) (List[Profile], error)
	SessionByID(ctx context.Context, id ID) (Session, error)
	// SessionsOf lists the live sessions of a user, newest first.
	SessionsOf(ctx context.Context, user ID, at Time) ([]Session, error)
	// FriendRequests lists those that can be answered at the given time, newest first.
	FriendRequests(ctx context.Context, user ID, direction Direction, at Time, page Page) (List[FriendRequest], error)
	// CountIncomingRequests counts them, up to MaxRequestCount.
	CountIncomingRequests(ctx context.Context, user ID, at Time) (int, error)
	FriendRequestByID(ctx context.Context, id ID) (FriendRequest, error)
	Friends(ctx context.Context, user ID, page Page) (List[Friend], error)
	Friend(ctx context.Context, user, friend ID) (Friend, error)
	Blocks(ctx context.Context, user ID, page Page) (List[Block], error)
	RelationOf(ctx context.Context, user, peer ID) (Relation, error)

	// GroupByID returns a group with the viewer's role; dissolved groups are CodeNotFound.
	GroupByID(ctx context.Context, id, viewer ID) (Group, error)
	GroupsOf(ctx context.Context, user ID, page Page) (List[Group], error)
	FindGroups(ctx context.Context, viewer ID, query string, page Page) (List[Group], error) // public ones; "" = all
	GroupMembers(ctx context.Context, group ID, page Page) (List[Member], error)
	JoinRequests(ctx context.Context, group ID, page Page) (List[JoinRequest], error)

	// Conversations lists those of a user that have something to show, and all
	// the user's groups, by last activity, newest first; pinned ones by when
	// they were pinned. A part may be short, and have a Next all the same.
	Conversations(ctx context.Context, user ID, filter ConversationFilter, page Page) (List[Conversation], error)
	// ConversationFor returns one conversation as a user sees it, CodeNotFound
	// when the user does not belong to it.
	ConversationFor(ctx context.Context, id, user ID) (Conversation, error)
	// History returns messages of a conversation as a user sees them,
	// CodeNotFound when the user does not belong to it.
	History(ctx context.Context, conversation, user ID, query HistoryQuery) (History, error)
	SearchStore

	// InboxHead returns where the user's inbox stands.
	InboxHead(ctx context.Context, user ID) (InboxHead, error)
	// SavePositions moves saved positions forward, never back.
	SavePositions(ctx context.Context, positions []SavedPosition) error
	// Epoch names the past that this data has; see [Cursor].
	Epoch(ctx context.Context) (string, error)
	// PruneInboxes deletes up to limit inbox rows committed before the given
	// time, and returns how many it deleted.
	PruneInboxes(ctx context.Context, before Time, limit int) (int, error)

	GroupStore
}

// InboxHead is where an inbox stands: its last seq, and the last one pruned.
// Events Pruned+1 … Seq are there; 0, 0 is an inbox that never had any.
type InboxHead struct {
	Seq    int64
	Pruned int64
	// Forgotten is before which seq copies of events are not to be believed,
	// see [Forgotten]; 0 = none was ever forgotten.
	Forgotten int64
}

// InboxPage is a run of an inbox without a hole, beginning right after where it was asked for.
type InboxPage struct {
	Events []InboxEvent
	Head   InboxHead
}

// Remembered is the answer to a creating call, kept for its replay.
type Remembered struct {
	Fingerprint [16]byte // of the request; a replay must have the same
	Answer      []byte   // JSON
}

// Tx is one transaction. Locks are taken in one order everywhere: users
// ascending, then conversations ascending, then inbox heads ascending; the last
// of these is done by the store itself when fn has returned.
type Tx interface {
	messageTx
	stateTx

	// At is the transaction's time.
	At() Time

	// Append puts an event into the inboxes of the given users, after
	// everything that is in them. Events appended earlier come earlier. Its
	// seqs are given when fn has returned, under the locks of the inbox heads.
	Append(kind EventType, data any, users ...ID) error

	// Remembered returns the answer that was given to a creating call under an
	// idempotency key, CodeNotFound when the key is new for this user. Sending
	// has its own: there the key is kept with the message.
	Remembered(user ID, key string) (Remembered, error)
	// Remember keeps an answer under a key; it is pruned with the inbox's retention.
	// CodeConflict when the key is there already: a twin was faster.
	Remember(user ID, key string, answer Remembered) error

	accountTx

	// InsertUser adds a user with an empty inbox; CodeUsernameTaken when
	// somebody has or had the name, in any case.
	InsertUser(user User, passwordHash string) error
	// LockUsers makes concurrent transactions over the same users wait.
	// CodeNotFound when one of them does not exist or is deleted.
	LockUsers(ids ...ID) error
	UserByID(id ID) (User, error)
	// UpdateUser stores profile and acceptance.
	UpdateUser(user User) error

	// InsertSession adds a session whose saved position is where the inbox stands.
	InsertSession(session Session) error
	// LockSession returns a session and keeps others from changing it.
	LockSession(id ID) (Session, error)
	// SetRefreshGeneration stores the newest refresh token's generation, and
	// that the session was seen and until when it lives.
	SetRefreshGeneration(session ID, generation int64, expiresAt Time) error
	// EndSession ends a live session and notes it for the announcement.
	EndSession(ref SessionRef) error

	RelationOf(user, peer ID) (Relation, error)
	PendingFriendRequest(from, to ID) (FriendRequest, error)
	FriendRequestByID(id ID) (FriendRequest, error)
	InsertFriendRequest(id, from, to ID, note string, expiresAt Time) (FriendRequest, error)
	SetFriendRequestState(id ID, state RequestState) error
	// InsertFriendship makes two users friends and makes sure that they have a conversation.
	InsertFriendship(conversation, a, b ID) error
	DeleteFriendship(a, b ID) (bool, error)
	SetRemark(user, friend ID, remark string) error // CodeNotFound when they are no friends
	// SetBlock adds or removes a block; it tells whether anything changed.
	SetBlock(user, blocked ID, on bool) (bool, error)
	// EnsurePrivateConversation returns the conversation of two users, adding
	// it under the given id when they have none.
	EnsurePrivateConversation(id, a, b ID) (ID, error)

	InsertGroup(group Group) error
	// LockGroup returns a live group and orders this transaction against
	// messages and other changes of it.
	LockGroup(id ID) (Group, error)
	// UpdateGroup stores name, description, policies, announcement and owner.
	UpdateGroup(group Group) error
	// DissolveGroup ends a group: it is CodeNotFound from then on, for everybody.
	DissolveGroup(id ID) error
	MemberOf(group, user ID) (Member, error) // CodeNotFound for others
	MemberIDs(group ID) ([]ID, error)
	// Refusals returns which of the users do not exist, and which may not be
	// added by inviter: it is the one place where a user's wishes are asked.
	Refusals(inviter ID, users []ID) (missing, refusing []ID, err error)
	// InsertMembers adds users that are no members yet.
	InsertMembers(group ID, role Role, users ...ID) error
	SetRole(group, user ID, role Role) error
	DeleteMember(group, user ID) error

	// LockConversation returns who belongs to a conversation and its last seq,
	// and orders this transaction against messages in it.
	LockConversation(id ID) (Audience, int64, error)
	ReadSeq(conversation, user ID) (int64, error)
	// SetReadSeq stores how far a user has read and returns how many messages
	// of others come after it.
	SetReadSeq(conversation, user ID, seq int64) (unread int64, err error)

	GroupTx
}

// Announcer tells nodes and readers what has been committed. It never blocks
// and never fails: what it cannot tell, readers find out by themselves.
type Announcer interface {
	Announce(announcement Announcement)
}

// Settler is an [Announcer] that can be waited for.
type Settler interface {
	// Settle returns when all nodes have been told what was announced before,
	// or do not believe in what they remember any more because nobody can tell
	// them anything; or when ctx ends.
	Settle(ctx context.Context)
}
