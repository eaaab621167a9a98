package chat

import (
	"context"
	"slices"
	"sync"
	"time"
)

// The ephemeral events: they are kept nowhere, have no cursor, and are the
// first to be dropped. See [Ephemeral].
const (
	TypingChanged   EventType = "typing"
	PresenceChanged EventType = "presence"
)

// Ephemeral is an event for those who are connected right now.
type Ephemeral struct {
	Topic EphemeralTopic
	At    Time
	Body  Body
	Users []ID // who is told
}

// EphemeralTopic is what an ephemeral event is about. Of two of one topic the
// later one is all that anybody needs.
type EphemeralTopic struct {
	Conversation ID // in which User types; 0 = User's presence
	User         ID
}

// Connections is who is connected, and what is told to them alone.
type Connections interface {
	// Tell passes an event on to those of its users who are connected, on any
	// node. It never blocks and never fails: what does not fit is dropped.
	Tell(event Ephemeral)
	// SetActivity changes what the open streams and polls of a session say of
	// their user, on all nodes.
	SetActivity(ref SessionRef, activity Activity)
	// Presences returns how users are connected. Those that nobody can tell of
	// just now are left out.
	Presences(ctx context.Context, users []ID) map[ID]PresenceState
	// ShowPresence tells a user's friends anew, because they may see something
	// else than before.
	ShowPresence(user ID)
}

// Activity is what a stream or a poll says of its user.
type Activity string

// The activities.
const (
	ActivityActive     Activity = "active"     // the user looks at it
	ActivityBackground Activity = "background" // it is open, and out of sight
	ActivityNone       Activity = "none"       // it does not count
)

// PresenceState is how a user is connected, over all streams and polls.
type PresenceState string

// The presence states.
const (
	PresenceOnline  PresenceState = "online"
	PresenceAway    PresenceState = "away" // connected, but all that is open is in the background
	PresenceOffline PresenceState = "offline"
	PresenceUnknown PresenceState = "unknown" // nobody can tell just now
)

// PresenceVisibility says who may see whether and when a user is connected.
type PresenceVisibility string

// The visibilities.
const (
	PresenceToFriends PresenceVisibility = "friends"
	PresenceToNobody  PresenceVisibility = "nobody"
)

// Presence is how a friend sees a user. LastSeenAt is set only for those who
// are offline, and have been seen.
type Presence struct {
	UserID     ID            `json:"user_id"`
	State      PresenceState `json:"state"`
	LastSeenAt *Time         `json:"last_seen_at"`
}

// LastSeen is when a user was connected last.
type LastSeen struct {
	User ID
	At   Time
}

// VisibleUser is a friend of somebody who asks for presence.
type VisibleUser struct {
	ID         ID
	Visibility PresenceVisibility
	LastSeenAt *Time // nil = never seen
}

// PresenceAudience is who is told of a user's presence.
type PresenceAudience struct {
	Visibility PresenceVisibility
	Friends    []ID
	TooMany    bool // more friends than are told; Friends is empty
}

// TypingState is whether somebody is writing.
type TypingState string

// The typing states.
const (
	TypingStarted TypingState = "typing"
	TypingStopped TypingState = "stopped"
)

// TypingData says that somebody is writing in a conversation, or has stopped.
type TypingData struct {
	ConversationID ID          `json:"conversation_id"`
	UserID         ID          `json:"user_id"`
	State          TypingState `json:"state"`
}

// Intervals of typing, and bounds of presence; all of them are published limits.
const (
	typingInterval = 3 * time.Second // one "typing" in this time is passed on
	typingLife     = 6 * time.Second // after which receivers forget one
	// MaxPresenceUsers is how many users one question may name.
	MaxPresenceUsers = 100
	// MaxPresenceFriends is up to how many friends are told of each change.
	MaxPresenceFriends = 200
)

// presenceStore is what presence and typing need of a [Store].
type presenceStore interface {
	// TypingAudience returns who is told that a user types in a conversation:
	// nobody when it has more than most members, or when the user may not send
	// there at the given time. CodeNotFound when the user does not belong to it.
	TypingAudience(ctx context.Context, conversation, user ID, most int, at Time) ([]ID, error)
	// FriendsSeen returns those of the users who are the viewer's friends,
	// without any block between them, in no particular order.
	FriendsSeen(ctx context.Context, viewer ID, users []ID) ([]VisibleUser, error)
	// PresenceAudiences returns who is told of each user's presence; users with
	// more than most friends have none. Users that are not there are left out.
	PresenceAudiences(ctx context.Context, users []ID, most int) (map[ID]PresenceAudience, error)
	// SaveLastSeen notes when users were seen; it only moves forward.
	SaveLastSeen(ctx context.Context, seen []LastSeen) error
}

// SetTyping tells the others in a conversation that the caller is writing, or
// has stopped. Where too many would have to be told, nobody is.
func (s *Service) SetTyping(ctx context.Context, caller Caller, conversation ID, state TypingState) error {
	var faults fieldErrors
	oneOf(&faults, "state", state, TypingStarted, TypingStopped)
	if err := faults.err(); err != nil {
		return err
	}
	now := s.now()
	topic := EphemeralTopic{Conversation: conversation, User: caller.User}
	if !s.typing.pass(topic, state, now) {
		return nil
	}
	at := TimeOf(now)
	audience, err := s.store.TypingAudience(ctx, conversation, caller.User, s.limits.MaxTypingMembers, at)
	if err != nil {
		s.typing.forget(topic)
		return err
	}
	if len(audience) == 0 {
		return nil
	}
	body, err := EncodeBody(TypingChanged, at, TypingData{ConversationID: conversation, UserID: caller.User, State: state})
	if err != nil {
		return err
	}
	s.connections.Tell(Ephemeral{Topic: topic, At: at, Body: body, Users: audience})
	return nil
}

// SetPresence changes what the streams of the caller's session say.
func (s *Service) SetPresence(_ context.Context, caller Caller, activity Activity) error {
	var faults fieldErrors
	oneOf(&faults, "state", activity, ActivityActive, ActivityBackground, ActivityNone)
	if err := faults.err(); err != nil {
		return err
	}
	s.connections.SetActivity(SessionRef(caller), activity)
	return nil
}

// Presences returns how the caller's friends among the users are connected, in
// the order they were asked for. Others are left out: their presence is not the
// caller's to know. Friends who show it to nobody look offline.
func (s *Service) Presences(ctx context.Context, caller Caller, users []ID) ([]Presence, error) {
	if len(users) == 0 || len(users) > MaxPresenceUsers {
		return nil, Invalid("user_ids", "must name 1 to "+decimal(MaxPresenceUsers)+" users")
	}
	found, err := s.store.FriendsSeen(ctx, caller.User, users)
	if err != nil {
		return nil, err
	}
	shown := make(map[ID]Presence, len(found))
	asked := make([]ID, 0, len(found))
	for _, friend := range found {
		shown[friend.ID] = Presence{UserID: friend.ID, State: PresenceOffline}
		if friend.Visibility == PresenceToFriends {
			asked = append(asked, friend.ID)
		}
	}
	states := s.connections.Presences(ctx, asked)
	for _, friend := range found {
		if friend.Visibility != PresenceToFriends {
			continue
		}
		state, known := states[friend.ID]
		switch {
		case !known:
			shown[friend.ID] = Presence{UserID: friend.ID, State: PresenceUnknown}
		case state == PresenceOffline:
			shown[friend.ID] = Presence{UserID: friend.ID, State: state, LastSeenAt: friend.LastSeenAt}
		default:
			shown[friend.ID] = Presence{UserID: friend.ID, State: state}
		}
	}
	items := make([]Presence, 0, len(shown))
	for _, id := range users {
		if presence, ok := shown[id]; ok && !slices.ContainsFunc(items, func(p Presence) bool { return p.UserID == id }) {
			items = append(items, presence)
		}
	}
	return items, nil
}

// typingGate lets one "typing" of a user in a conversation through in each
// interval, and one "stopped" after it. It is this node's alone: through
// several nodes a client may say it a few times more.
type typingGate struct {
	mu   sync.Mutex
	said map[EphemeralTopic]typingSaid // guarded by mu
}

type typingSaid struct {
	at   time.Time // when "typing" was let through last
	over bool      // and "stopped" was after it
}

// maxTypingSaid bounds what a gate remembers.
const maxTypingSaid = 50_000

func (g *typingGate) pass(topic EphemeralTopic, state TypingState, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	last, known := g.said[topic]
	if state == TypingStopped {
		if !known || last.over || now.Sub(last.at) >= typingLife {
			return false // nobody shows it as typing
		}
		g.said[topic] = typingSaid{at: last.at, over: true}
		return true
	}
	if known && now.Sub(last.at) < typingInterval {
		return false
	}
	if !known && len(g.said) >= maxTypingSaid {
		g.makeRoom(now)
	}
	if g.said == nil {
		g.said = make(map[EphemeralTopic]typingSaid)
	}
	g.said[topic] = typingSaid{at: now}
	return true
}

// makeRoom forgets what is over, and if that is not enough, everything: then
// some say it more often. mu is held.
func (g *typingGate) makeRoom(now time.Time) {
	for topic, last := range g.said {
		if now.Sub(last.at) >= typingLife {
			delete(g.said, topic)
		}
	}
	if len(g.said) >= maxTypingSaid {
		clear(g.said)
	}
}

func (g *typingGate) forget(topic EphemeralTopic) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.said, topic)
}
