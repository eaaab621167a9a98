package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"longwire/client"
)

// replica is what a device knows of its user's world, made as docs/protocol.md says a client makes it: from a snapshot, and
// then from events alone, applied in order. Nothing is counted up or down: events are absolute, and applying one twice is harmless.
type replica struct {
	c       *client.Client
	me      string
	applied map[client.EventType]int // how often, for the log

	cursor   client.Cursor
	friends  map[string]client.Friend
	requests map[string]client.FriendRequest // pending, both ways
	blocks   map[string]client.Block
	own      client.User
	groups   map[string]client.Group // without my_role
	members  map[string]map[string]client.Role
	talks    map[string]*talk
}

// talk is what a device knows of a conversation.
type talk struct {
	kind         client.ConversationKind
	peer         string
	last         *client.Message
	lastSeq      int64
	readSeq      int64
	peerReadSeq  int64
	lastActivity time.Time

	// What the user has set.
	pinned     bool
	pinnedAt   string
	mutedUntil *client.Time
	archived   bool
	marked     bool
	cleared    int64

	// unread was told when the newest message was unreadAt; what others said later comes on top.
	unread   int64
	unreadAt int64
	later    map[int64]bool
}

func (t *talk) unreadCount() int64 {
	count := t.unread
	for seq := range t.later {
		if seq > t.unreadAt && seq > max(t.readSeq, t.cleared) {
			count++
		}
	}
	return count
}

// fetch makes a replica of what the server shows now. The cursor was taken before everything else.
func fetch(ctx context.Context, c *client.Client) (*replica, error) {
	snapshot, err := c.Sync(ctx)
	if err != nil {
		return nil, err
	}
	r := &replica{
		c: c, me: snapshot.Me.ID, applied: map[client.EventType]int{}, cursor: snapshot.Cursor, friends: map[string]client.Friend{}, own: snapshot.Me, blocks: map[string]client.Block{}, requests: map[string]client.FriendRequest{},
		groups: map[string]client.Group{}, members: map[string]map[string]client.Role{}, talks: map[string]*talk{},
	}
	archived, err := c.FindConversations(ctx, client.ConversationFilter{Archived: client.ArchivedYes}, client.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	for _, conversation := range slices.Concat(snapshot.Conversations, snapshot.PinnedConversations, archived.Items) {
		r.set(conversation)
	}
	for friend, err := range client.All(ctx, c.Friends) {
		if err != nil {
			return nil, err
		}
		r.friends[friend.User.ID] = friend
	}
	for block, err := range client.All(ctx, c.Blocks) {
		if err != nil {
			return nil, err
		}
		r.blocks[block.User.ID] = block
	}
	incoming := 0
	for _, direction := range []client.Direction{client.DirectionIncoming, client.DirectionOutgoing} {
		list, err := c.FriendRequests(ctx, direction, client.Page{Limit: 200})
		if err != nil {
			return nil, err
		}
		for _, request := range list.Items {
			r.requests[request.ID] = request
		}
		if direction == client.DirectionIncoming {
			incoming = len(list.Items)
		}
	}
	for group, err := range client.All(ctx, c.MyGroups) {
		if err != nil {
			return nil, err
		}
		if err := r.meet(ctx, group); err != nil {
			return nil, err
		}
	}
	if incoming != snapshot.IncomingRequestCount {
		return nil, fmt.Errorf("the snapshot counts %d open requests, the list has %d", snapshot.IncomingRequestCount, incoming)
	}
	return r, nil
}

// set takes over a conversation as the server shows it.
func (r *replica) set(c client.Conversation) {
	if c.LastMessage != nil {
		c.LastMessage.Delivery = nil // no event tells it
	}
	t := &talk{
		kind: c.Kind, last: c.LastMessage, lastSeq: c.LastSeq, readSeq: c.ReadSeq, unread: c.UnreadCount, unreadAt: c.LastSeq,
		lastActivity: c.LastActivityAt, later: map[int64]bool{},
		pinned: c.Pinned, pinnedAt: timeText(c.PinnedAt), mutedUntil: c.MutedUntil, archived: c.Archived, marked: c.MarkedUnread, cleared: c.ClearedSeq,
	}
	if c.Peer != nil {
		t.peer = c.Peer.ID
	}
	if c.PeerReadSeq != nil {
		t.peerReadSeq = *c.PeerReadSeq
	}
	r.talks[c.ID] = t
}

// meet learns about a group that the device did not know: its members and its conversation are asked for, because no event tells them.
func (r *replica) meet(ctx context.Context, group client.Group) error {
	group.MyRole, group.JoinRequestCount = nil, nil
	r.groups[group.ID] = group
	members := map[string]client.Role{}
	for member, err := range client.All(ctx, func(ctx context.Context, page client.Page) (client.List[client.Member], error) {
		return r.c.Members(ctx, group.ID, page)
	}) {
		if gone(err) {
			return nil // a later event says so
		}
		if err != nil {
			return err
		}
		members[member.User.ID] = member.Role
	}
	r.members[group.ID] = members
	return r.meetTalk(ctx, group.ID)
}

// meetTalk asks for a conversation that the device did not know.
func (r *replica) meetTalk(ctx context.Context, id string) error {
	conversation, err := r.c.Conversation(ctx, id)
	if gone(err) {
		return nil
	}
	if err == nil {
		r.set(conversation)
	}
	return err
}

// gone tells that the server does not show something (any more).
func gone(err error) bool {
	var problem *client.Problem
	return errors.As(err, &problem) && (problem.Status == http.StatusNotFound || problem.Status == http.StatusForbidden)
}

// applyEvent brings the replica up to an event. Every type of the specification has a case; a test sees to it.
func (r *replica) applyEvent(ctx context.Context, event client.Event) error {
	r.applied[event.Type]++
	switch data := event.Value().(type) {
	case client.Message:
		return r.applyMessage(ctx, data)
	case client.ConversationReadData:
		r.applyRead(data)
	case client.ConversationUpdatedData:
		return r.applyState(ctx, data)
	case client.FriendRequest: // created and updated
		data.IncomingRequestCount = nil // of all requests, not of this one
		if data.State == client.RequestStatePending {
			r.requests[data.ID] = data
		} else {
			delete(r.requests, data.ID)
		}
	case client.Friend:
		r.friends[data.User.ID] = data
	case client.UserUpdatedData:
		r.applyProfile(data)
	case client.BlockChangedData:
		if data.Blocked {
			r.blocks[data.User.ID] = client.Block{User: data.User, Since: *data.Since}
		} else {
			delete(r.blocks, data.User.ID)
		}
	case client.FriendRemovedData:
		delete(r.friends, data.UserID)
	case client.Group: // created and updated
		if _, known := r.groups[data.ID]; !known {
			return r.meet(ctx, data)
		}
		r.groups[data.ID] = data
	case client.GroupDissolvedData:
		r.forget(data.GroupID)
	case client.MemberJoinedData:
		if data.User.ID == r.me {
			return r.meet(ctx, data.Group)
		}
		r.groups[data.Group.ID] = data.Group
		r.setRole(data.Group.ID, data.User.ID, data.Role)
	case client.MemberLeftData:
		if data.UserID == r.me {
			r.forget(data.GroupID)
			return nil
		}
		if group, known := r.groups[data.GroupID]; known {
			group.MemberCount = data.MemberCount
			r.groups[data.GroupID] = group
		}
		delete(r.members[data.GroupID], data.UserID)
	case client.MemberUpdatedData:
		r.setRole(data.GroupID, data.UserID, data.Role)
	case client.MessageDeletedData:
		return r.look(ctx, data.ConversationID, data.Seq)
	case client.ReactionChangedData:
		return r.look(ctx, data.ConversationID, data.Seq)
	case client.PinChangedData: // pins are no part of what is compared
	case client.TypingData, client.Presence: // forgotten soon, and kept nowhere
	case client.SessionRevokedData: // the list of sessions is fetched when somebody looks at it
	case client.JoinRequest, client.Invitation, client.InvitationRevokedData, client.Ban, client.BanRemovedData: // and so are these
	default:
		return fmt.Errorf("nobody knows how to apply %s: %s", event.Type, event.Data)
	}
	return nil
}

// look asks for a conversation again when what was done to a message changes what is shown of it.
func (r *replica) look(ctx context.Context, conversation string, seq int64) error {
	if t := r.talks[conversation]; t == nil || t.lastSeq != seq {
		return nil
	}
	return r.meetTalk(ctx, conversation)
}

// applyProfile takes over a profile where the device shows it.
func (r *replica) applyProfile(data client.UserUpdatedData) {
	if data.ID == r.me {
		r.own = client.User{
			ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, AvatarURL: data.AvatarURL, StatusText: data.StatusText,
			AcceptMessagesFrom: *data.AcceptMessagesFrom, AcceptFriendRequestsFrom: *data.AcceptFriendRequestsFrom,
			AcceptGroupInvitesFrom: *data.AcceptGroupInvitesFrom, PresenceVisibility: *data.PresenceVisibility, CreatedAt: *data.CreatedAt,
		}
	}
	if friend, known := r.friends[data.ID]; known {
		friend.User = client.Profile{
			ID: data.ID, Username: data.Username, DisplayName: data.DisplayName, AvatarURL: data.AvatarURL, StatusText: data.StatusText, Deleted: data.Deleted,
		}
		r.friends[data.ID] = friend
	}
}

func (r *replica) applyMessage(ctx context.Context, message client.Message) error {
	t := r.talks[message.ConversationID]
	if t == nil {
		return r.meetTalk(ctx, message.ConversationID)
	}
	if t.archived && (t.mutedUntil == nil || !message.CreatedAt.Before(*t.mutedUntil)) {
		t.archived = false
	}
	if message.SenderID != r.me && message.Kind != client.MessageKindSystem {
		t.later[message.Seq] = true
	}
	if message.Seq >= t.lastSeq {
		t.last, t.lastSeq, t.lastActivity = &message, message.Seq, message.CreatedAt
	}
	return nil
}

func (r *replica) applyRead(read client.ConversationReadData) {
	t := r.talks[read.ConversationID]
	switch {
	case t == nil:
	case read.UserID != r.me:
		t.peerReadSeq = max(t.peerReadSeq, read.ReadSeq)
	case read.ReadSeq > t.readSeq:
		t.readSeq, t.unread, t.unreadAt = read.ReadSeq, *read.UnreadCount, t.lastSeq
	}
}

func (r *replica) applyState(ctx context.Context, state client.ConversationUpdatedData) error {
	t := r.talks[state.ConversationID]
	if t == nil {
		return r.meetTalk(ctx, state.ConversationID)
	}
	t.pinned, t.pinnedAt, t.mutedUntil = state.Pinned, timeText(state.PinnedAt), state.MutedUntil
	t.archived, t.marked = state.Archived, state.MarkedUnread
	if state.ClearedSeq > t.cleared { // it was the newest message then
		t.cleared, t.unread, t.unreadAt = state.ClearedSeq, state.UnreadCount, state.ClearedSeq
	}
	if t.last != nil && t.last.Seq <= t.cleared {
		t.last = nil
	}
	return nil
}

func (r *replica) setRole(group, user string, role client.Role) {
	if members := r.members[group]; members != nil {
		members[user] = role
	}
}

func (r *replica) forget(group string) {
	delete(r.groups, group)
	delete(r.members, group)
	delete(r.talks, group)
}

// shown is what a user would see, in a form that can be compared.
func (r *replica) shown() map[string]any {
	all := map[string]any{"me": r.own}
	for id, block := range r.blocks {
		all["block "+id] = block
	}
	for id, friend := range r.friends {
		all["friend "+id] = friend
	}
	for id, request := range r.requests {
		all["request "+id] = request
	}
	for id, group := range r.groups {
		all["group "+id] = group
		all["members "+id] = r.members[id]
	}
	for id, t := range r.talks {
		if t.kind == client.ConversationKindPrivate && t.lastSeq <= t.cleared {
			continue // there is nothing to show
		}
		all["conversation "+id] = map[string]any{
			"kind": t.kind, "peer": t.peer, "last": t.last, "last_seq": t.lastSeq, "read_seq": t.readSeq, "peer_read_seq": t.peerReadSeq,
			"unread_count": t.unreadCount(), "last_activity_at": t.lastActivity,
			"pinned": t.pinned, "pinned_at": t.pinnedAt, "muted_until": timeText(t.mutedUntil), "archived": t.archived, "marked_unread": t.marked, "cleared_seq": t.cleared,
		}
	}
	return all
}
