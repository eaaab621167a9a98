package handlers

import (
	"context"

	"longwire/chat"
)

// Service is the use cases as this package calls them; chat.Service has them all.
type Service interface {
	accounts
	ownAccount
	people
	groups
	groupRules
	messages
	presence
	singleMessages
	finding
	conversations
}

type accounts interface {
	Register(ctx context.Context, in chat.RegisterInput) (chat.SignIn, error)
	Login(ctx context.Context, in chat.LoginInput) (chat.SignIn, error)
	Refresh(ctx context.Context, token string) (chat.SignIn, error)
	Logout(ctx context.Context, caller chat.Caller) error
	Authenticate(ctx context.Context, token string) (chat.Identity, error)
	AuthenticateInbox(ctx context.Context, token string) (chat.Identity, error)
	SessionLives(ctx context.Context, caller chat.Caller) error
	NewInboxToken(ctx context.Context, caller chat.Caller) (chat.InboxToken, error)
	Sessions(ctx context.Context, caller chat.Caller) ([]chat.Session, error)
	EndSession(ctx context.Context, caller chat.Caller, id chat.ID) error
	Me(ctx context.Context, caller chat.Caller) (chat.User, error)
	UpdateMe(ctx context.Context, caller chat.Caller, patch chat.ProfilePatch) (chat.User, error)
}

type people interface {
	Profile(ctx context.Context, id chat.ID) (chat.Profile, error)
	FindUsers(ctx context.Context, caller chat.Caller, prefix string, page chat.Page) (chat.List[chat.Profile], error)
	RequestFriend(ctx context.Context, caller chat.Caller, in chat.FriendRequestInput) (chat.FriendRequest, bool, error)
	FriendRequests(ctx context.Context, caller chat.Caller, direction chat.Direction, page chat.Page) (chat.List[chat.FriendRequest], error)
	AcceptRequest(ctx context.Context, caller chat.Caller, id chat.ID) (chat.FriendRequest, error)
	DeclineRequest(ctx context.Context, caller chat.Caller, id chat.ID) (chat.FriendRequest, error)
	CancelRequest(ctx context.Context, caller chat.Caller, id chat.ID) error
	Friends(ctx context.Context, caller chat.Caller, page chat.Page) (chat.List[chat.Friend], error)
	SetRemark(ctx context.Context, caller chat.Caller, friend chat.ID, remark string) (chat.Friend, error)
	RemoveFriend(ctx context.Context, caller chat.Caller, friend chat.ID) error
	Block(ctx context.Context, caller chat.Caller, user chat.ID) error
	Unblock(ctx context.Context, caller chat.Caller, user chat.ID) error
	Blocks(ctx context.Context, caller chat.Caller, page chat.Page) (chat.List[chat.Block], error)
}

type groups interface {
	CreateGroup(ctx context.Context, caller chat.Caller, in chat.NewGroup) (chat.Group, bool, error)
	Group(ctx context.Context, caller chat.Caller, id chat.ID) (chat.Group, error)
	UpdateGroup(ctx context.Context, caller chat.Caller, id chat.ID, patch chat.GroupPatch) (chat.Group, error)
	DissolveGroup(ctx context.Context, caller chat.Caller, id chat.ID) error
	MyGroups(ctx context.Context, caller chat.Caller, page chat.Page) (chat.List[chat.Group], error)
	FindGroups(ctx context.Context, caller chat.Caller, query string, page chat.Page) (chat.List[chat.Group], error)
	JoinGroup(ctx context.Context, caller chat.Caller, id chat.ID, note string) (chat.JoinResult, error)
	LeaveGroup(ctx context.Context, caller chat.Caller, id chat.ID) error
	GroupMembers(ctx context.Context, caller chat.Caller, id chat.ID, page chat.Page) (chat.List[chat.Member], error)
	PutMember(ctx context.Context, caller chat.Caller, group, user chat.ID, role *chat.Role) (chat.Member, bool, error)
	RemoveMember(ctx context.Context, caller chat.Caller, group, user chat.ID) error
	JoinRequests(ctx context.Context, caller chat.Caller, group chat.ID, page chat.Page) (chat.List[chat.JoinRequest], error)
	DeclineJoinRequest(ctx context.Context, caller chat.Caller, group, user chat.ID) error
}

type messages interface {
	SendToUser(ctx context.Context, caller chat.Caller, to chat.ID, draft chat.Draft) (chat.Outcome, error)
	SendToGroup(ctx context.Context, caller chat.Caller, group chat.ID, draft chat.Draft) (chat.Outcome, error)
	Conversation(ctx context.Context, caller chat.Caller, id chat.ID) (chat.Conversation, error)
	History(ctx context.Context, caller chat.Caller, conversation chat.ID, query chat.HistoryQuery) (chat.History, error)
	MarkRead(ctx context.Context, caller chat.Caller, conversation chat.ID, seq int64) (chat.ReadState, error)
	Sync(ctx context.Context, caller chat.Caller) (chat.Snapshot, error)
	Limits() chat.Limits
}

type singleMessages interface {
	Message(ctx context.Context, caller chat.Caller, ref chat.MessageRef) (chat.Message, error)
	MessageVersions(ctx context.Context, caller chat.Caller, ref chat.MessageRef) (chat.List[chat.MessageVersion], error)
	EditMessage(ctx context.Context, caller chat.Caller, ref chat.MessageRef, patch chat.MessagePatch) (chat.Message, error)
	RecallMessage(ctx context.Context, caller chat.Caller, ref chat.MessageRef) (chat.Message, error)
	DeleteMessage(ctx context.Context, caller chat.Caller, ref chat.MessageRef) error
	SetReaction(ctx context.Context, caller chat.Caller, ref chat.MessageRef, emoji string, on bool) (chat.ReactionChangedData, error)
	Reactors(ctx context.Context, caller chat.Caller, ref chat.MessageRef, page chat.Page) (chat.List[chat.Reactor], error)
	SetPin(ctx context.Context, caller chat.Caller, ref chat.MessageRef, on bool) (chat.PinChangedData, error)
	Pins(ctx context.Context, caller chat.Caller, conversation chat.ID) (chat.List[chat.PinnedMessage], error)
}

var _ Service = (*chat.Service)(nil)
