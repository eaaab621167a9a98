package handlers

import (
	"context"
	"encoding/json"
	"iter"

	"longwire/chat"
)

// The double's answers: one of each noun, with every optional field set somewhere.

var (
	avatar   = "https://example.com/ada.png"
	owner    = chat.RoleOwner
	replyTo  = int64(3)
	next     = "more"
	readSeq  = int64(6)
	profile  = chat.Profile{ID: bob, Username: "bob", DisplayName: "Bob", AvatarURL: &avatar}
	me       = chat.User{Profile: chat.Profile{ID: ada, Username: "ada", DisplayName: "Ada"}, AcceptMessagesFrom: chat.AcceptFriends, AcceptFriendRequestsFrom: chat.AcceptEveryone, AcceptGroupInvitesFrom: chat.AcceptNobody, PresenceVisibility: chat.PresenceToFriends, CreatedAt: then}
	session  = chat.Session{ID: laptop, UserID: ada, DeviceName: "Laptop", CreatedAt: then, LastSeenAt: then, ExpiresAt: then, Current: true}
	request  = chat.FriendRequest{ID: bob, From: me.Profile, To: profile, State: chat.RequestPending, CreatedAt: then, UpdatedAt: then, ExpiresAt: then}
	friend   = chat.Friend{User: profile, Remark: "from the fair", Since: then}
	group    = chat.Group{ID: bob, Name: "Chess club", Visibility: chat.VisibilityPublic, JoinPolicy: chat.JoinOpen, OwnerID: ada, MemberCount: 2, CreatedAt: then, AddPolicy: chat.AddByAdmins, SendPolicy: chat.SendByAdmins, Announcement: &chat.GroupAnnouncement{Text: "Next week.", By: ada, At: then}, JoinRequestCount: &nWaiting, MyRole: &owner}
	nWaiting = 1
	member   = chat.Member{User: profile, Role: chat.RoleMember, JoinedAt: then, MutedUntil: &later}
	joining  = chat.JoinRequest{GroupID: bob, User: profile, Note: "please", State: chat.RequestPending, CreatedAt: then, PendingCount: &nWaiting}
	message  = chat.Message{ConversationID: bob, Seq: 7, SenderID: ada, Kind: chat.KindText, Body: "Hello", ReplyTo: &replyTo, Mentions: []chat.ID{bob}, CreatedAt: then, EditedAt: &then, IdempotencyKey: "k1", Delivery: chat.DeliveryRead}
	custom   = chat.Message{ConversationID: bob, Seq: 8, SenderID: ada, Kind: chat.KindCustom, Payload: json.RawMessage(`{"a":1}`), Mentions: []chat.ID{}, CreatedAt: then, ForwardedFrom: &chat.Origin{SenderID: bob, CreatedAt: then, ConversationID: bob, Seq: 3}, Reactions: []chat.Reaction{{Emoji: "👍", Count: 2, Mine: true}}}
	recalled = chat.Message{ConversationID: bob, Seq: 9, SenderID: ada, Kind: chat.KindText, Mentions: []chat.ID{}, CreatedAt: then, Recalled: true, RecalledBy: bob}
	deleted  = chat.Message{ConversationID: bob, Seq: 10, SenderID: ada, Kind: chat.KindText, Mentions: []chat.ID{}, CreatedAt: then, Deleted: true}
	reacted  = chat.ReactionChangedData{ConversationID: bob, Seq: 7, UserID: ada, Emoji: "👍", Reacted: true, Reactions: []chat.ReactionCount{{Emoji: "👍", Count: 2}}}
	pins     = chat.PinChangedData{ConversationID: bob, Seq: 7, Pinned: true, By: ada, Pins: []chat.Pin{{Seq: 7, PinnedBy: ada, PinnedAt: then}}}
	private  = chat.Conversation{
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

func (d *double) EndOtherSessions(context.Context, chat.Caller) error {
	return d.called("EndOtherSessions")
}

func (d *double) ChangePassword(context.Context, chat.Caller, chat.PasswordChange) error {
	return d.called("ChangePassword")
}

func (d *double) DeleteMe(context.Context, chat.Caller, string) error { return d.called("DeleteMe") }

func (d *double) Export(context.Context, chat.Caller) (chat.Export, error) {
	items := func(all ...any) iter.Seq2[any, error] {
		return func(yield func(any, error) bool) {
			for range 1 + d.exportLonger {
				for _, item := range all {
					if !yield(item, nil) {
						return
					}
				}
			}
			if d.exportFails != nil {
				yield(nil, d.exportFails)
			}
		}
	}
	return chat.Export{At: then, User: me, Lists: []chat.ExportList{
		{Name: "sessions", Items: items(session)},
		{Name: "friends", Items: items(friend, friend)},
		{Name: "incoming_requests", Items: items(request)},
		{Name: "outgoing_requests", Items: items()},
		{Name: "blocks", Items: items(chat.Block{User: profile, Since: then})},
		{Name: "groups", Items: items(group)},
		{Name: "conversations", Items: items(private, crowd)},
		{Name: "messages", Items: items(message, message)},
	}}, d.called("Export")
}

func (d *double) Me(context.Context, chat.Caller) (chat.User, error) { return me, d.called("Me") }

func (d *double) UpdateMe(_ context.Context, _ chat.Caller, patch chat.ProfilePatch) (chat.User, error) {
	d.patch = patch
	return me, d.called("UpdateMe")
}

func (d *double) Profile(context.Context, chat.ID) (chat.Profile, error) {
	return profile, d.called("Profile")
}

func (d *double) FindUsers(_ context.Context, _ chat.Caller, _ string, page chat.Page) (chat.List[chat.Profile], error) {
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

func (d *double) JoinGroup(context.Context, chat.Caller, chat.ID, string) (chat.JoinResult, error) {
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
	return chat.History{Items: []chat.Message{message, custom, recalled, deleted}}, d.called("History")
}

func (d *double) MarkRead(context.Context, chat.Caller, chat.ID, int64) (chat.ReadState, error) {
	return chat.ReadState{ConversationID: bob, ReadSeq: 7, LastSeq: 7}, d.called("MarkRead")
}

func (d *double) Message(_ context.Context, _ chat.Caller, ref chat.MessageRef) (chat.Message, error) {
	d.ref = ref
	return custom, d.called("Message")
}

func (d *double) MessageVersions(context.Context, chat.Caller, chat.MessageRef) (chat.List[chat.MessageVersion], error) {
	return chat.List[chat.MessageVersion]{Items: []chat.MessageVersion{
		{Version: 1, Body: "Hello", Mentions: []chat.ID{}, At: then},
		{Version: 2, Payload: json.RawMessage(`{}`), Mentions: []chat.ID{bob}, At: then},
	}}, d.called("MessageVersions")
}

func (d *double) EditMessage(_ context.Context, _ chat.Caller, _ chat.MessageRef, patch chat.MessagePatch) (chat.Message, error) {
	d.edit = patch
	return message, d.called("EditMessage")
}

func (d *double) RecallMessage(context.Context, chat.Caller, chat.MessageRef) (chat.Message, error) {
	return recalled, d.called("RecallMessage")
}

func (d *double) DeleteMessage(context.Context, chat.Caller, chat.MessageRef) error {
	return d.called("DeleteMessage")
}

func (d *double) SetReaction(_ context.Context, _ chat.Caller, _ chat.MessageRef, emoji string, on bool) (chat.ReactionChangedData, error) {
	d.emoji, d.on = emoji, on
	return reacted, d.called("SetReaction")
}

func (d *double) Reactors(context.Context, chat.Caller, chat.MessageRef, chat.Page) (chat.List[chat.Reactor], error) {
	return listOf(chat.Reactor{User: profile, Emoji: "👍", At: then}), d.called("Reactors")
}

func (d *double) SetPin(_ context.Context, _ chat.Caller, _ chat.MessageRef, on bool) (chat.PinChangedData, error) {
	d.on = on
	return pins, d.called("SetPin")
}

func (d *double) Pins(context.Context, chat.Caller, chat.ID) (chat.List[chat.PinnedMessage], error) {
	return chat.List[chat.PinnedMessage]{Items: []chat.PinnedMessage{{Message: message, PinnedBy: ada, PinnedAt: then}}}, d.called("Pins")
}

func (d *double) Sync(context.Context, chat.Caller) (chat.Snapshot, error) {
	return snapshot, d.called("Sync")
}

func (d *double) SearchMessages(_ context.Context, _ chat.Caller, search chat.MessageSearch, page chat.Page) (chat.List[chat.FoundMessage], error) {
	d.search, d.page = search, page
	return listOf(chat.FoundMessage{ConversationID: bob, Message: message, Highlights: []chat.Highlight{{Start: 0, End: 5}}}), d.called("SearchMessages")
}

func (d *double) Limits() chat.Limits { return toldLimits }

func (d *double) SetTyping(context.Context, chat.Caller, chat.ID, chat.TypingState) error {
	return d.called("SetTyping")
}

func (d *double) SetPresence(context.Context, chat.Caller, chat.Activity) error {
	return d.called("SetPresence")
}

func (d *double) Presences(_ context.Context, _ chat.Caller, users []chat.ID) ([]chat.Presence, error) {
	items := make([]chat.Presence, 0, len(users))
	for _, user := range users {
		items = append(items, chat.Presence{UserID: user, State: chat.PresenceOffline, LastSeenAt: &then})
	}
	return items, d.called("Presences")
}

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
