package chat

import "context"

// accountStore is what a Store keeps of accounts and their sessions beside the
// profile.
type accountStore interface {
	// CredentialsByID returns what a password is checked against; CodeNotFound
	// for a user who does not exist any more.
	CredentialsByID(ctx context.Context, id ID) (Credentials, error)
	// SaveSeen stores when and from where sessions were last used; times only
	// move forward.
	SaveSeen(ctx context.Context, seen []SessionSighting) error
	// PruneSessions deletes up to limit sessions that ended or expired before
	// the given time, and returns how many.
	PruneSessions(ctx context.Context, before Time, limit int) (int, error)
	// SentRuns returns where a user has written, ascending by conversation.
	SentRuns(ctx context.Context, sender ID) ([]SentRun, error)
	// SentIn returns up to limit messages of a sender in a part of a
	// conversation, after one seq up to another, ascending.
	SentIn(ctx context.Context, sender, conversation ID, after, upTo int64, limit int) ([]Message, error)
	// ExpiredRequests returns up to limit pending friend requests whose time
	// is over.
	ExpiredRequests(ctx context.Context, at Time, limit int) ([]FriendRequest, error)
	// PendingRequestOf returns a pending request by or to a user, CodeNotFound
	// when there is none.
	PendingRequestOf(ctx context.Context, user ID) (FriendRequest, error)
	// DeletedUsers returns up to limit deleted users of whom something is to
	// be cleared away at the given time.
	DeletedUsers(ctx context.Context, at Time, limit int) ([]ID, error)
}

// accountTx is how a Tx changes them.
type accountTx interface {
	// CredentialsByID does the same, for a deleted user too.
	CredentialsByID(id ID) (Credentials, error)
	SetPasswordHash(id ID, hash string) error
	// LockSessionsOf returns the live sessions of a user, the oldest first, and
	// keeps others from changing them. The user is locked already.
	LockSessionsOf(user ID) ([]Session, error)
	// ProfileAudience returns who is told of a user's new profile: friends, and
	// those with whom the user has a private conversation, but for those whom
	// one of the two blocks; limit at most, friends first.
	ProfileAudience(user ID, limit int) ([]ID, error)
	// CountIncomingRequests returns how many requests wait for the user's
	// answer, up to MaxRequestCount.
	CountIncomingRequests(user ID) (int, error)
	// Friend returns one friend of a user; CodeNotFound when they are no friends.
	Friend(user, friend ID) (Friend, error)
	// RefusingInvites returns which of the users do not want to be added to
	// groups by inviter.
	RefusingInvites(inviter ID, users []ID) ([]ID, error)

	// DeleteUser makes an account one of a deleted user: nobody can sign in to
	// it or write to it, and nothing tells who it was. Its username stays taken.
	DeleteUser(id ID, purgeAt Time) error
	// LockUsersEvenDeleted is LockUsers for users who may be deleted.
	LockUsersEvenDeleted(ids ...ID) error
	// FriendIDs returns up to limit friends of a user.
	FriendIDs(user ID, limit int) ([]ID, error)
	// DeleteFriends ends friendships of a deleted user.
	DeleteFriends(user ID, friends []ID) error
	// BlockersOf returns up to limit users who block a user.
	BlockersOf(user ID, limit int) ([]ID, error)
	// DeleteBlocksOn removes the blocks of some users on a deleted one.
	DeleteBlocksOn(user ID, blockers []ID) error
	// Members returns all members of a group, those who joined first before
	// the others.
	Members(group ID) ([]Membership, error)
	// ClearUser deletes what belongs to a deleted user and concerns nobody else.
	ClearUser(id ID) error
	// SetPurgeAt says when a deleted user is to be looked at again; nil = never.
	SetPurgeAt(id ID, at *Time) error
}

// SentRun is the part of a conversation in which a user has written.
type SentRun struct {
	ConversationID ID
	First, Last    int64 // seq of the user's first and last message there
}

// Membership is what decides who takes a group over.
type Membership struct {
	User     ID
	Role     Role
	JoinedAt Time
}
