package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"longwire/client"
)

// replica is what a device knows of its user's world, made as docs/protocol.md says a client makes it: from a snapshot, and
// then from events alone, applied in order. It asks for nothing while it applies them, nothing is counted up or down, and
// applying an event twice is harmless.
type replica struct {
	me      string
	applied map[client.EventType]int // how often, for the log

	cursor   client.Cursor
	friends  map[string]client.Friend
	requests map[string]client.FriendRequest // pending, both ways
	blocks   map[string]client.Block
	own      client.User
	asked    map[string]client.JoinRequest // groups that the user waits to be let into
	sessions map[string]device
	groups   map[string]client.Group // without what is each member's own
	roles    map[string]client.Role  // of the user, in each group
	waiting  map[string]int          // join requests of groups that the user manages
	talks    map[string]*talk

	// Lists of groups that are there only when the device has looked at them; see open.
	members     map[string]map[string]client.Member
	joining     map[string]map[string]client.JoinRequest // these three are for the owner and admins
	invitations map[string]map[string]client.Invitation
	bans        map[string]map[string]client.Ban
}

// device is what is compared of a session: when and from where it was last used is told by no event.
type device struct {
	Name      string
	CreatedAt time.Time
}

// talk is what a device knows of a conversation.
type talk struct {
	kind         client.ConversationKind
	peer         *client.Profile
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

	// unread and mentions were told of the messages up to counted; what others said later comes on top.
	unread, mentions, counted int64

	messages map[int64]client.Message // all from since on that are not hidden
	since    int64
	pins     []client.Pin // the last pinned first
	pinsHeld bool         // pins are known
}

// counts are how much is unread, and how many messages among it mention the user.
func (t *talk) counts(me string) (unread, mentions int64) {
	unread, mentions = t.unread, t.mentions
	for seq, message := range t.messages {
		if seq <= t.counted || seq <= max(t.readSeq, t.cleared) || message.SenderID == me || message.Kind == client.MessageKindSystem {
			continue
		}
		unread++
		if slices.Contains(message.Mentions, me) {
			mentions++
		}
	}
	return unread, mentions
}

// told takes over counts of the messages up to lastSeq, unless the device has later ones.
func (t *talk) told(unread, mentions, lastSeq int64) {
	if lastSeq >= t.counted {
		t.unread, t.mentions, t.counted = unread, mentions, lastSeq
	}
}

// fetch makes a replica of what the server shows now. The cursor was taken before everything else.
func fetch(ctx context.Context, c *client.Client) (*replica, error) {
	snapshot, err := c.Sync(ctx)
	if err != nil {
		return nil, err
	}
	r := &replica{
		me: snapshot.Me.ID, applied: map[client.EventType]int{}, cursor: snapshot.Cursor, friends: map[string]client.Friend{}, own: snapshot.Me,
		blocks: map[string]client.Block{}, requests: map[string]client.FriendRequest{}, asked: map[string]client.JoinRequest{}, sessions: map[string]device{},
		groups: map[string]client.Group{}, roles: map[string]client.Role{}, waiting: map[string]int{}, talks: map[string]*talk{},
		members: map[string]map[string]client.Member{}, joining: map[string]map[string]client.JoinRequest{},
		invitations: map[string]map[string]client.Invitation{}, bans: map[string]map[string]client.Ban{},
	}
	archived, err := c.FindConversations(ctx, client.ConversationFilter{Archived: client.ArchivedYes}, client.Page{Limit: 200})
	if err != nil {
		return nil, err
	}
	for _, conversation := range slices.Concat(snapshot.Conversations, snapshot.PinnedConversations, archived.Items) {
		r.set(conversation)
	}
	if err := errors.Join(
		collect(ctx, c.Friends, func(f client.Friend) { r.friends[f.User.ID] = f }),
		collect(ctx, c.Blocks, func(b client.Block) { r.blocks[b.User.ID] = b }),
		collect(ctx, c.MyJoinRequests, func(j client.JoinRequest) { r.asked[j.GroupID] = j }),
		collect(ctx, c.MyGroups, r.setGroup),
		r.fetchRequests(ctx, c, snapshot.IncomingRequestCount),
		r.fetchSessions(ctx, c),
	); err != nil {
		return nil, err
	}
	return r, r.open(ctx, c)
}

// collect goes through a list.
func collect[T any](ctx context.Context, list func(ctx context.Context, page client.Page) (client.List[T], error), do func(item T)) error {
	for item, err := range client.All(ctx, list) {
		if err != nil {
			return err
		}
		do(item)
	}
	return nil
}

func (r *replica) fetchRequests(ctx context.Context, c *client.Client, counted int) error {
	incoming := 0
	for _, direction := range []client.Direction{client.DirectionIncoming, client.DirectionOutgoing} {
		err := collect(ctx, func(ctx context.Context, page client.Page) (client.List[client.FriendRequest], error) {
			return c.FriendRequests(ctx, direction, page)
		}, func(request client.FriendRequest) {
			r.requests[request.ID] = request
			if direction == client.DirectionIncoming {
				incoming++
			}
		})
		if err != nil {
			return err
		}
	}
	if incoming != counted {
		return fmt.Errorf("the snapshot counts %d open requests, the list has %d", counted, incoming)
	}
	return nil
}

func (r *replica) fetchSessions(ctx context.Context, c *client.Client) error {
	sessions, err := c.Sessions(ctx)
	for _, session := range sessions.Items {
		r.sessions[session.ID] = device{session.DeviceName, session.CreatedAt}
	}
	return err
}

// open fetches the lists of groups and conversations that the device has not got yet, as somebody does who looks at them.
// Applying events does without.
func (r *replica) open(ctx context.Context, c *client.Client) error {
	for id, role := range r.roles {
		if r.members[id] == nil {
			r.members[id] = map[string]client.Member{}
			if err := listed(ctx, id, c.Members, func(m client.Member) { r.members[id][m.User.ID] = m }); err != nil {
				return err
			}
		}
		if role == client.RoleMember || r.bans[id] != nil {
			continue
		}
		r.joining[id], r.invitations[id], r.bans[id] = map[string]client.JoinRequest{}, map[string]client.Invitation{}, map[string]client.Ban{}
		if err := errors.Join(
			listed(ctx, id, c.JoinRequests, func(j client.JoinRequest) { r.joining[id][j.User.ID] = j }),
			listed(ctx, id, c.Invitations, func(i client.Invitation) { r.invitations[id][i.ID] = i }),
			listed(ctx, id, c.Bans, func(b client.Ban) { r.bans[id][b.User.ID] = b }),
		); err != nil {
			return err
		}
	}
	for id, t := range r.talks {
		if err := t.open(ctx, c, id); err != nil {
			return err
		}
	}
	return nil
}

// listed goes through a list of a group.
func listed[T any](ctx context.Context, group string, list func(ctx context.Context, group client.ID, page client.Page) (client.List[T], error), do func(item T)) error {
	return collect(ctx, func(ctx context.Context, page client.Page) (client.List[T], error) { return list(ctx, group, page) }, do)
}

// open fetches pins, and what history there is before that which the device has.
func (t *talk) open(ctx context.Context, c *client.Client, id string) error {
	if !t.pinsHeld {
		pins, err := c.Pins(ctx, id)
		if err != nil {
			return err
		}
		for _, pin := range pins.Items {
			t.pins = append(t.pins, client.Pin{Seq: pin.Message.Seq, PinnedBy: pin.PinnedBy, PinnedAt: pin.PinnedAt})
		}
		t.pinsHeld = true
	}
	for t.since > 1 {
		part, err := c.Messages(ctx, id, client.HistoryQuery{BeforeSeq: &t.since, Limit: 200})
		if err != nil {
			return err
		}
		for _, message := range part.Items {
			t.hold(message)
			t.since = min(t.since, message.Seq)
		}
		if !part.HasMoreBefore {
			t.since = 1
		}
	}
	return nil
}

// hold keeps a message, without what no event tells.
func (t *talk) hold(message client.Message) {
	message.Delivery = nil
	t.messages[message.Seq] = message
}

// set takes over a conversation as the server shows it. What the device has of its history it keeps.
func (r *replica) set(c client.Conversation) {
	t := &talk{messages: map[int64]client.Message{}, since: c.LastSeq + 1}
	if known := r.talks[c.ID]; known != nil {
		t = known
	} else if c.LastSeq == 0 {
		t.pinsHeld = true // nothing can be pinned
	}
	t.kind, t.peer, t.last, t.lastSeq, t.readSeq, t.lastActivity = c.Kind, c.Peer, c.LastMessage, c.LastSeq, c.ReadSeq, c.LastActivityAt
	t.unread, t.mentions, t.counted = c.UnreadCount, c.MentionsUnread, c.LastSeq
	t.pinned, t.pinnedAt, t.mutedUntil = c.Pinned, timeText(c.PinnedAt), c.MutedUntil
	t.archived, t.marked = c.Archived, c.MarkedUnread
	t.clear(c.ClearedSeq)
	if t.last != nil {
		t.last.Delivery = nil
	}
	if c.PeerReadSeq != nil {
		t.peerReadSeq = *c.PeerReadSeq
	}
	r.talks[c.ID] = t
	if c.Group != nil {
		r.setGroup(*c.Group)
	}
}

// clear forgets what is hidden from the user.
func (t *talk) clear(upTo int64) {
	t.cleared = upTo
	maps.DeleteFunc(t.messages, func(seq int64, _ client.Message) bool { return seq <= upTo })
	t.pins = slices.DeleteFunc(slices.Clone(t.pins), func(pin client.Pin) bool { return pin.Seq <= upTo })
	if t.last != nil && t.last.Seq <= upTo {
		t.last = nil
	}
}

// setGroup takes over a group that tells what it is to the user.
func (r *replica) setGroup(group client.Group) {
	r.setRole(group.ID, *group.MyRole)
	if group.JoinRequestCount != nil {
		r.waiting[group.ID] = *group.JoinRequestCount
	}
	group.MyRole, group.JoinRequestCount = nil, nil
	r.groups[group.ID] = group
}

// setRole notes what the user is in a group; what is the owner's and admins' to see goes with that.
func (r *replica) setRole(group string, role client.Role) {
	r.roles[group] = role
	if role == client.RoleMember {
		delete(r.joining, group)
		delete(r.invitations, group)
		delete(r.bans, group)
		delete(r.waiting, group)
	}
}

// forget removes a group and its conversation.
func (r *replica) forget(group string) {
	r.setRole(group, client.RoleMember)
	delete(r.roles, group)
	delete(r.groups, group)
	delete(r.members, group)
	delete(r.talks, group)
}

// shown is what a user would see on a device, in a form that can be compared: of the lists that need not be there, those that
// another device has as well. Profiles of strangers are left out, because no event tells of those: the ones of whom
// near says that they are told of to the user are compared.
func (r *replica) shown(other *replica, near func(user string) bool) map[string]any {
	all := map[string]any{"me": r.own, "sessions": r.sessions, "waiting": r.waiting, "roles": r.roles}
	for id, block := range r.blocks {
		all["block "+id] = block.Since
	}
	for id, friend := range r.friends {
		all["friend "+id] = friend
	}
	for id, q := range r.requests {
		q.From, q.To = client.Profile{ID: q.From.ID}, client.Profile{ID: q.To.ID}
		all["request "+id] = q
	}
	for id, join := range r.asked {
		all["asked "+id] = join.Note
	}
	for id, group := range r.groups {
		all["group "+id] = group
		for user, member := range r.members[id] {
			if other.members[id] != nil {
				all["member "+id+" "+user] = []any{member.Role, timeText(member.MutedUntil)}
			}
		}
		if other.bans[id] != nil && r.bans[id] != nil {
			for user, join := range r.joining[id] {
				all["joining "+id+" "+user] = join.Note
			}
			for user, ban := range r.bans[id] {
				all["ban "+id+" "+user] = []any{ban.BannedBy, ban.Reason, ban.BannedAt}
			}
			all["invitations "+id] = r.invitations[id]
		}
	}
	for id, t := range r.talks {
		if t.kind == client.ConversationKindPrivate && t.lastSeq <= t.cleared {
			continue // there is nothing to show
		}
		all["conversation "+id] = t.shown(r.me, other.talks[id], near)
	}
	return all
}

func (t *talk) shown(me string, other *talk, near func(user string) bool) map[string]any {
	unread, mentions := t.counts(me)
	all := map[string]any{
		"kind": t.kind, "last": t.last, "last_seq": t.lastSeq, "read_seq": t.readSeq, "peer_read_seq": t.peerReadSeq,
		"unread_count": unread, "mentions_unread": mentions, "last_activity_at": t.lastActivity,
		"pinned": t.pinned, "pinned_at": t.pinnedAt, "muted_until": timeText(t.mutedUntil), "archived": t.archived, "marked_unread": t.marked, "cleared_seq": t.cleared,
	}
	if t.peer != nil {
		all["peer"] = t.peer.ID
		if t.peer.Deleted != nil {
			delete(all, "peer_read_seq") // who has seen it keeps it, and nobody else can tell
		}
		if near(t.peer.ID) {
			all["peer"] = *t.peer
		}
	}
	if other == nil {
		return all
	}
	messages := map[int64]client.Message{}
	for seq, message := range t.messages {
		if seq >= max(t.since, other.since) {
			messages[seq] = message
		}
	}
	all["history"] = messages
	if t.pinsHeld && other.pinsHeld {
		all["pins"] = append([]client.Pin{}, t.pins...)
	}
	return all
}
