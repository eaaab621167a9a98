package chat

import "context"

// GroupStore reads what groups have beyond members.
type GroupStore interface {
	// Invitations lists those of a group, the oldest first, also those that are
	// used up or expired.
	Invitations(ctx context.Context, group ID, page Page) (List[Invitation], error)
	InvitationByID(ctx context.Context, id ID) (Invitation, error)
	Bans(ctx context.Context, group ID, page Page) (List[Ban], error)
	// BanOf returns a ban, CodeNotFound when there is none.
	BanOf(ctx context.Context, group, user ID) (Ban, error)
	// JoinRequestsOf lists a user's own waiting requests.
	JoinRequestsOf(ctx context.Context, user ID, page Page) (List[JoinRequest], error)
}

// GroupTx is what a transaction does to groups beyond members. The group is
// locked; everything that decides who may send raises its audience's version.
type GroupTx interface {
	// Post stores a message under the next seq of its conversation, which is
	// locked, and puts it into the inboxes of the given users, among the events
	// that are appended and in the same order. Seq and time are the store's.
	Post(message Message, users ...ID) error
	// LastSeq returns the last seq of a conversation.
	LastSeq(conversation ID) (int64, error)

	// ManagerIDs returns the owner and the admins, ascending.
	ManagerIDs(group ID) ([]ID, error)
	// InGroups returns which of the users are members of that many groups or more.
	InGroups(users []ID, many int) ([]ID, error)
	// SetMutedUntil mutes a member, or with nil lets the member speak;
	// CodeNotFound for somebody who is none.
	SetMutedUntil(group, user ID, until *Time) error

	// JoinRequestOf returns a waiting request, CodeNotFound when there is none.
	JoinRequestOf(group, user ID) (JoinRequest, error)
	InsertJoinRequest(group, user ID, note string) error
	DeleteJoinRequest(group, user ID) error
	CountJoinRequests(group ID) (int, error)
	JoinRequesters(group ID) ([]ID, error)

	InvitationByID(id ID) (Invitation, error)
	InsertInvitation(invitation Invitation) error
	CountInvitations(group ID) (int, error)
	// UseInvitation counts one more use.
	UseInvitation(id ID) error
	// DeleteInvitation tells whether there was one.
	DeleteInvitation(group, id ID) (bool, error)
	// UselessInvitations returns those that are used up or expired.
	UselessInvitations(group ID) ([]ID, error)

	BanOf(group, user ID) (Ban, error)
	InsertBan(group, user, by ID, reason string) error
	CountBans(group ID) (int, error)
	// DeleteBan tells whether there was one.
	DeleteBan(group, user ID) (bool, error)
}
