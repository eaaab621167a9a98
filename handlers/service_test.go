package handlers

import (
	"context"

	"longwire/chat"
)

// The double's answers: one of each noun, with every optional field set somewhere.

var (
	avatar  = "https://example.com/ada.png"
	owner   = chat.RoleOwner
	replyTo = int64(3)
	next    = "more"
	readSeq = int64(6)
	profile = chat.Profile{ID: bob, Username: "bob", DisplayName: "Bob", AvatarURL: &avatar}
	me      = chat.User{Profile: chat.Profile{ID: ada, Username: "ada", DisplayName: "Ada"}, AcceptMessagesFrom: chat.AcceptFriends, CreatedAt: then}
	session = chat.Session{ID: laptop, UserID: ada, DeviceName: "Laptop", CreatedAt: then, LastSeenAt: then, ExpiresAt: then, Current: true}
	request = chat.FriendRequest{ID: bob, From: me.Profile, To: profile, State: chat.RequestPending, CreatedAt: then, UpdatedAt: then}
	friend  = chat.Friend{User: profile, Remark: "from the fair", Since: then}
	group   = chat.Group{ID: bob, Name: "Chess club", Visibility: chat.VisibilityPublic, JoinPolicy: chat.JoinOpen, OwnerID: ada, MemberCount: 2, CreatedAt: then, MyRole: &owner}
	member  = chat.Member{User: profile, Role: chat.RoleMember, JoinedAt: then}
	joining = chat.JoinRequest{GroupID: bob, User: profile, CreatedAt: then}
	message = chat.Message{ConversationID: bob, Seq: 7, SenderID: ada, Kind: chat.KindText, Body: "Hello", ReplyTo: &replyTo, Mentions: []chat.ID{bob}, CreatedAt: then, EditedAt: &then, IdempotencyKey: "k1", Delivery: chat.DeliveryRead}
	private = chat.Conversation{
		ID: bob, Kind: chat.KindPrivate, Peer: &profile, LastMessage: &message, LastSeq: 7, ReadSeq: 7, PeerReadSeq: &readSeq, PeerDeliveredSeq: &readSeq, LastActivityAt: then,
		ConversationState: chat.ConversationState{Pinned: true, PinnedAt: &then, MutedUntil: new(chat.MutedForever), Archived: true, MarkedUnread: true, ClearedSeq: 3},
	}
	crowd      = chat.Conversation{ID: bob, Kind: chat.KindGroup, Group: &group, LastActivityAt: then}
	snapshot   = chat.Snapshot{Cursor: cursorAt(41), Me: me, Conversations: []chat.Conversation{private, crowd}, PinnedConversations: []chat.Conversation{private}, IncomingRequestCount: 1, Limits: toldLimits}
	toldLimits = func() chat.Limits { l := chat.FixedLimits(); l.RateLimits = RateLimits(); return l }()
	signIn     = chat.SignIn{User: me, SessionID: laptop, AccessToken: accessToken, RefreshToken: "r1", TokenType: "Bearer", ExpiresIn: 900}
)

func listOf[T any](items ...T) chat.List[T] { return chat.List[T]{Items: items, Next: &next} }

func (d *double) Register(context.Context, chat.RegisterInput) (chat.SignIn, error) {
	return signIn, d.called("Register")
}

func (d *double) Login(context.Context, chat.LoginInput) (chat.SignIn, error) {
	return signIn, d.called("Login")
}

func (d *double) Refresh(context.Context, string) (chat.SignIn, error) {
	return signIn, d.called("Refresh")
}

func (d *double) Logout(context.Context, chat.Caller) error { return d.called("Logout") }

func (d *double) NewInboxToken(context.Context, chat.Caller) (chat.InboxToken, error) {
	return chat.InboxToken{Token: inboxToken, ExpiresIn: 3600}, nil
}

func (d *double) Sessions(context.Context, chat.Caller) ([]chat.Session, error) {
	return []chat.Session{session}, d.called("Sessions")
}

func (d *double) EndSession(context.Context, chat.Caller, chat.ID) error {
	return d.called("EndSession")
}

func (d *double) Me(context.Context, chat.Caller) (chat.User, error) { return me, d.called("Me") }

func (d *double) UpdateMe(_ context.Context, _ chat.Caller, patch chat.ProfilePatch) (chat.User, error) {
	d.patch = patch
	return me, d.called("UpdateMe")
}

func (d *double) Profile(context.Context, chat.ID) (chat.Profile, error) {
	return profile, d.called("Profile")
}

func (d *double) FindUsers(_ context.Context, _ string, page chat.Page) (chat.List[chat.Profile], error) {
	d.page = page
	return listOf(profile), d.called("FindUsers")
}

func (d *double) RequestFriend(context.Context, chat.Caller, chat.FriendRequestInput) (chat.FriendRequest, bool, error) {
	return request, d.replayed, d.called("RequestFriend")
}

func (d *double) FriendRequests(context.Context, chat.Caller, chat.Direction, chat.Page) (chat.List[chat.FriendRequest], error) {
	return listOf(request), d.called("FriendRequests")
}

func (d *double) AcceptRequest(context.Context, chat.Caller, chat.ID) (chat.FriendRequest, error) {
	return request, d.called("AcceptRequest")
}

func (d *double) DeclineRequest(context.Context, chat.Caller, chat.ID) (chat.FriendRequest, error) {
	return request, d.called("DeclineRequest")
}

func (d *double) CancelRequest(context.Context, chat.Caller, chat.ID) error {
	return d.called("CancelRequest")
}

func (d *double) Friends(context.Context, chat.Caller, chat.Page) (chat.List[chat.Friend], error) {
	return listOf(friend), d.called("Friends")
}

func (d *double) SetRemark(context.Context, chat.Caller, chat.ID, string) (chat.Friend, error) {
	return friend, d.called("SetRemark")
}

func (d *double) RemoveFriend(context.Context, chat.Caller, chat.ID) error {
	return d.called("RemoveFriend")
}

func (d *double) Block(context.Context, chat.Caller, chat.ID) error { return d.called("Block") }

func (d *double) Unblock(context.Context, chat.Caller, chat.ID) error { return d.called("Unblock") }

func (d *double) Blocks(context.Context, chat.Caller, chat.Page) (chat.List[chat.Block], error) {
	return listOf(chat.Block{User: profile, Since: then}), d.called("Blocks")
}

func (d *double) CreateGroup(context.Context, chat.Caller, chat.NewGroup) (chat.Group, bool, error) {
	return group, d.replayed, d.called("CreateGroup")
}

func (d *double) Group(context.Context, chat.Caller, chat.ID) (chat.Group, error) {
	stranger := group
	stranger.MyRole = nil
	return stranger, d.called("Group")
}

func (d *double) UpdateGroup(context.Context, chat.Caller, chat.ID, chat.GroupPatch) (chat.Group, error) {
	return group, d.called("UpdateGroup")
}

func (d *double) DissolveGroup(context.Context, chat.Caller, chat.ID) error {
	return d.called("DissolveGroup")
}

func (d *double) MyGroups(context.Context, chat.Caller, chat.Page) (chat.List[chat.Group], error) {
	return listOf(group), d.called("MyGroups")
}

func (d *double) FindGroups(context.Context, chat.Caller, string, chat.Page) (chat.List[chat.Group], error) {
	return listOf(group), d.called("FindGroups")
}

func (d *double) JoinGroup(context.Context, chat.Caller, chat.ID) (chat.JoinResult, error) {
	if d.replayed {
		return chat.JoinResult{Group: &group}, d.called("JoinGroup")
	}
	return chat.JoinResult{Request: &joining}, d.called("JoinGroup")
}

func (d *double) LeaveGroup(context.Context, chat.Caller, chat.ID) error {
	return d.called("LeaveGroup")
}

func (d *double) GroupMembers(context.Context, chat.Caller, chat.ID, chat.Page) (chat.List[chat.Member], error) {
	return listOf(member), d.called("GroupMembers")
}

func (d *double) PutMember(context.Context, chat.Caller, chat.ID, chat.ID, *chat.Role) (chat.Member, bool, error) {
	return member, !d.replayed, d.called("PutMember")
}

func (d *double) RemoveMember(context.Context, chat.Caller, chat.ID, chat.ID) error {
	return d.called("RemoveMember")
}

func (d *double) JoinRequests(context.Context, chat.Caller, chat.ID, chat.Page) (chat.List[chat.JoinRequest], error) {
	return listOf(joining), d.called("JoinRequests")
}

func (d *double) DeclineJoinRequest(context.Context, chat.Caller, chat.ID, chat.ID) error {
	return d.called("DeclineJoinRequest")
}

func (d *double) SendToUser(_ context.Context, _ chat.Caller, _ chat.ID, draft chat.Draft) (chat.Outcome, error) {
	d.draft = draft
	return chat.Outcome{Message: message, Replayed: d.replayed}, d.called("SendToUser")
}

func (d *double) SendToGroup(_ context.Context, _ chat.Caller, _ chat.ID, draft chat.Draft) (chat.Outcome, error) {
	d.draft = draft
	return chat.Outcome{Message: message, Replayed: d.replayed}, d.called("SendToGroup")
}

func (d *double) Conversations(_ context.Context, _ chat.Caller, filter chat.ConversationFilter, _ chat.Page) (chat.List[chat.Conversation], error) {
	d.filter = filter
	return listOf(private, crowd), d.called("Conversations")
}

func (d *double) UpdateConversation(_ context.Context, _ chat.Caller, _ chat.ID, patch chat.ConversationPatch) (chat.Conversation, error) {
	d.change = patch
	return private, d.called("UpdateConversation")
}

func (d *double) ClearConversation(context.Context, chat.Caller, chat.ID) error {
	return d.called("ClearConversation")
}

func (d *double) Receipts(context.Context, chat.Caller, chat.ID, int64) (chat.Receipts, error) {
	if d.replayed {
		return chat.Receipts{ConversationID: bob, Seq: 7, RecipientCount: 101, ReadCount: 3}, d.called("Receipts")
	}
	return chat.Receipts{ConversationID: bob, Seq: 7, RecipientCount: 1, DeliveredCount: new(1), Items: []chat.Receipt{{User: profile, State: chat.DeliveryDelivered}}}, d.called("Receipts")
}

func (d *double) Conversation(context.Context, chat.Caller, chat.ID) (chat.Conversation, error) {
	return private, d.called("Conversation")
}

func (d *double) History(context.Context, chat.Caller, chat.ID, chat.HistoryQuery) (chat.History, error) {
	return chat.History{Items: []chat.Message{message}}, d.called("History")
}

func (d *double) MarkRead(context.Context, chat.Caller, chat.ID, int64) (chat.ReadState, error) {
	return chat.ReadState{ConversationID: bob, ReadSeq: 7, LastSeq: 7}, d.called("MarkRead")
}

func (d *double) Sync(context.Context, chat.Caller) (chat.Snapshot, error) {
	return snapshot, d.called("Sync")
}

func (d *double) Limits() chat.Limits { return toldLimits }

// brokenService panics where the double would answer.
type brokenService struct {
	*double

	nobody *chat.User // nil, and read all the same
}

func (b brokenService) Me(context.Context, chat.Caller) (chat.User, error) {
	return *b.nobody, nil
}

// silentService does not remember its calls.
type silentService struct{ double }

func (s *silentService) SendToUser(context.Context, chat.Caller, chat.ID, chat.Draft) (chat.Outcome, error) {
	return sentOutcome, nil
}

// sentOutcome is a message that was just stored.
var sentOutcome = func() chat.Outcome {
	body, err := chat.EncodeBody(chat.MessageCreated, message.CreatedAt, message)
	if err != nil {
		panic(err)
	}
	return chat.Outcome{Message: message, Body: body}
}()
