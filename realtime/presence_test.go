package realtime

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"longwire/chat"
)

// sees is how alice is seen from a node.
func (n *node) sees() chat.PresenceState {
	return n.Presences(n.t.Context(), []chat.ID{alice})[alice]
}

// befriended is a source in which alice's presence is told to bob.
func befriended() *memorySource {
	source := newMemorySource(randomEpoch())
	source.friends = map[chat.ID][]chat.ID{alice: {bob}}
	return source
}

func gracious(grace time.Duration) func(*Config) {
	return func(c *Config) { c.PresenceGrace = grace }
}

func activeOf(session chat.ID) Request {
	return Request{User: alice, Session: session, Kind: Stream, Start: AtNow, Activity: chat.ActivityActive}
}

// presences is what a reader was told of alice.
func (r *reader) presences() (told []chat.Presence) {
	r.t.Helper()
	for _, body := range r.ephemerals() {
		var event struct{ Data chat.Presence }
		require.NoError(r.t, json.Unmarshal(append([]byte{'{'}, body...), &event))
		told = append(told, event.Data)
	}
	return told
}

func statesIn(told []chat.Presence) (states []chat.PresenceState) {
	for _, p := range told {
		states = append(states, p.State)
	}
	return states
}

// hears waits until the reader was told so much of alice, and no more.
func (r *reader) hears(want ...chat.PresenceState) {
	r.t.Helper()
	eventually(r.t, func() bool { return len(r.ephemerals()) >= len(want) }, "the friend is told")
	require.Equal(r.t, want, statesIn(r.presences()))
}

func TestPresenceFollowsConnectionsOnAllNodes(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := befriended()
		a := startNode(t, "a", rdb, source, patient, gracious(-1))
		b := startNode(t, "b", rdb, source, patient, gracious(-1))
		friend := b.follow(streamOf(bob))
		require.Equal(t, chat.PresenceOffline, b.sees())

		onA := a.attach(activeOf(phone))
		friend.hears(chat.PresenceOnline)
		require.Equal(t, chat.PresenceOnline, b.sees())

		request := activeOf(tablet)
		request.Kind, request.Activity = Poll, chat.ActivityBackground
		onB := b.attach(request)
		eventually(t, func() bool {
			values, err := rdb.HVals(t.Context(), a.currentEra().nodesKey(alice.String())).Result()
			return err == nil && connectedAt(values, time.Now().UnixMilli()) == active && len(values) == 2
		}, "both nodes have said so")
		onA.Close()
		friend.hears(chat.PresenceOnline, chat.PresenceAway)

		before := chat.TimeOf(time.Now())
		onB.Close()
		friend.hears(chat.PresenceOnline, chat.PresenceAway, chat.PresenceOffline)
		seen := friend.presences()[2].LastSeenAt
		require.NotNil(t, seen)
		require.InDelta(t, int64(before), int64(*seen), 5000)
		require.Equal(t, *seen, source.lastSeen())
		require.Equal(t, chat.PresenceOffline, a.sees())
	})
}

func TestReconnectWithinTheGraceDoesNotShow(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := befriended()
		a := startNode(t, "a", rdb, source, patient, gracious(time.Hour))
		b := startNode(t, "b", rdb, source, patient, gracious(time.Hour))
		friend := a.follow(streamOf(bob))
		first := a.attach(activeOf(phone))
		friend.hears(chat.PresenceOnline)
		first.Close()
		require.Equal(t, chat.PresenceOnline, b.sees())
		a.attach(activeOf(phone)).Close()
		again := a.attach(activeOf(phone))
		again.inbox.hub.SetActivity(chat.SessionRef{User: alice, Session: phone}, chat.ActivityBackground)
		friend.hears(chat.PresenceOnline, chat.PresenceAway)
	})
}

func TestHoldOutlivesTheNodeThatStops(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := befriended()
		a := startNode(t, "a", rdb, source, patient, gracious(2*time.Second))
		b := startNode(t, "b", rdb, source, patient, gracious(2*time.Second))
		friend := b.follow(streamOf(bob))
		s := a.attach(activeOf(phone))
		friend.hears(chat.PresenceOnline)
		s.Close()
		a.stop()
		require.Equal(t, chat.PresenceOnline, b.sees(), "she may come back to another node")
		b.Announce(source.commit(alice, bob))
		friend.waitFor(1) // nobody takes the hold for a node
		friend.hears(chat.PresenceOnline, chat.PresenceOffline)
		require.NotZero(t, source.lastSeen())
		values, err := rdb.HVals(t.Context(), b.currentEra().nodesKey(alice.String())).Result()
		require.NoError(t, err)
		require.Empty(t, values)
	})
}

func TestUsersOfAKilledNodeBecomeOffline(t *testing.T) {
	t.Parallel()
	rdb, source := realRedis(t), befriended()
	brief := func(c *Config) { c.Registration = 900 * time.Millisecond }
	b := startNode(t, "b", rdb, source, patient, brief)
	third := startNode(t, "c", rdb, source, patient, brief)
	friend := b.follow(streamOf(bob))
	other := third.follow(streamOf(bob))

	its, err := ConnectRedis(os.Getenv("TEST_REDIS_URL"))
	require.NoError(t, err)
	a := startNode(t, "a", its, source, patient, brief)
	a.attach(activeOf(phone))
	friend.hears(chat.PresenceOnline)
	before := chat.TimeOf(time.Now())
	require.NoError(t, its.Close()) // as a power cut: nothing is signed off
	a.stop()
	friend.hears(chat.PresenceOnline, chat.PresenceOffline)
	seen := friend.presences()[1].LastSeenAt
	require.NotNil(t, seen)
	require.LessOrEqual(t, int64(*seen), int64(before)+1000)
	require.GreaterOrEqual(t, int64(*seen), int64(before)-1000)
	eventually(t, func() bool { return source.lastSeen() == *seen }, "it is noted")
	// Two nodes looked, and one of them told.
	b.Announce(source.commit(bob))
	other.waitFor(1)
	other.hears(chat.PresenceOnline, chat.PresenceOffline)
}

func TestSessionSaysOnAnyNodeWhatItIs(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := befriended()
		a, b := startNode(t, "a", rdb, source, patient), startNode(t, "b", rdb, source, patient)
		friend := b.follow(streamOf(bob))
		a.attach(activeOf(phone))
		friend.hears(chat.PresenceOnline)
		b.SetActivity(chat.SessionRef{User: alice, Session: tablet}, chat.ActivityNone) // another session
		b.SetActivity(chat.SessionRef{User: alice, Session: phone}, chat.ActivityBackground)
		friend.hears(chat.PresenceOnline, chat.PresenceAway)
		b.SetActivity(chat.SessionRef{User: alice, Session: phone}, chat.ActivityNone)
		friend.hears(chat.PresenceOnline, chat.PresenceAway, chat.PresenceOffline)
		b.SetActivity(chat.SessionRef{User: alice, Session: phone}, chat.ActivityActive)
		friend.hears(chat.PresenceOnline, chat.PresenceAway, chat.PresenceOffline, chat.PresenceOnline)
	})
}

func TestEndedSessionIsOfflineWithoutGrace(t *testing.T) {
	t.Parallel()
	rdb, source := realRedis(t), befriended()
	a := startNode(t, "a", rdb, source, patient, gracious(time.Hour))
	friend := a.follow(streamOf(bob))
	s := a.follow(activeOf(phone))
	friend.hears(chat.PresenceOnline)
	a.Announce(source.commitRevocation(alice, phone))
	require.Equal(t, EndRevoked, s.waitEnd())
	s.Close()
	friend.hears(chat.PresenceOnline, chat.PresenceOffline)
}

func TestPresenceIsShownAndHiddenAsItsUserWants(t *testing.T) {
	t.Parallel()
	rdb, source := realRedis(t), befriended()
	hide := func(hidden bool) { source.set(func(m *memorySource) { m.hidden = map[chat.ID]bool{alice: hidden} }) }
	hide(true)
	a := startNode(t, "a", rdb, source, patient)
	friend := a.follow(streamOf(bob))
	a.attach(activeOf(phone))
	eventually(t, func() bool {
		a.presence.mu.Lock()
		defer a.presence.mu.Unlock()
		return a.lookup(alice).activityNow() == active && len(a.presence.changes) == 0
	}, "she is there")
	hide(false)
	a.ShowPresence(alice)
	friend.hears(chat.PresenceOnline)
	hide(true)
	a.ShowPresence(alice)
	friend.hears(chat.PresenceOnline, chat.PresenceOffline)
	require.Nil(t, friend.presences()[1].LastSeenAt)
}

func TestChangesOfPresenceWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	rdb, source := realRedis(t), befriended()
	a := startNode(t, "a", rdb, source, patient, gracious(-1))
	friend := a.follow(streamOf(bob))
	s := a.attach(activeOf(phone))
	friend.hears(chat.PresenceOnline)
	source.set(func(m *memorySource) { m.down = errDown })
	s.Close()
	eventually(t, func() bool { return a.sees() == chat.PresenceOffline }, "Redis knows")
	source.set(func(m *memorySource) { m.down = nil })
	friend.hears(chat.PresenceOnline, chat.PresenceOffline)
	require.NotZero(t, source.lastSeen())
}

func TestWithoutRedisPresenceIsUnknownAndComesBack(t *testing.T) {
	t.Parallel()
	server, source := startRedis(t), befriended()
	a := startNode(t, "a", client(t, server.address()), source)
	friend := a.follow(streamOf(bob))
	s := a.follow(activeOf(phone))
	friend.hears(chat.PresenceOnline)
	server.kill()
	eventually(t, func() bool { return a.sees() == "" }, "nobody can tell")
	a.Announce(source.commit(alice))
	s.waitFor(1)
	server.start() // empty
	eventually(t, func() bool { return a.sees() == chat.PresenceOnline }, "she is there again")
	score := func() bool {
		return a.rdb.ZScore(t.Context(), a.currentEra().connectedKey(), connectedMember(alice.String(), "a")).Err() == nil
	}
	eventually(t, score, "and somebody will look after her")
	require.Equal(t, []chat.PresenceState{chat.PresenceOnline}, statesIn(friend.presences()))
}

func TestLastNodeNotesWhomItHadWhenItStops(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, rdb redis.UniversalClient) {
		source := befriended()
		a := startNode(t, "a", rdb, source, patient, gracious(time.Hour))
		a.attach(activeOf(phone))
		before := chat.TimeOf(time.Now())
		a.stop()
		require.InDelta(t, int64(before), int64(source.lastSeen()), 5000)
	})
}

func TestHoldEndsWithTheGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := still(t)
		h.cfg.PresenceGrace = 30 * time.Second
		sit := func(session chat.ID, says chat.Activity) *Session {
			return h.sit(t, Request{User: alice, Session: session, Activity: says})
		}
		now := func() activity { return h.lookup(alice).activityNow() }
		require.Equal(t, inactive, (&inbox{hub: h}).activityNow())

		sit(phone, chat.ActivityActive).Close()
		require.Equal(t, active, now())
		time.Sleep(29 * time.Second)
		require.Equal(t, active, now())
		time.Sleep(time.Second)
		require.Equal(t, inactive, now())

		sit(phone, chat.ActivityActive).Close()
		sit(tablet, chat.ActivityBackground).Close()
		require.Equal(t, active, now(), "who says less does not end what another has said")
		sit(phone, chat.ActivityNone).Close()
		require.Equal(t, active, now(), "a glance says nothing")
		back := sit(phone, chat.ActivityBackground)
		require.Equal(t, background, now(), "who comes back says what they are now")
		time.Sleep(time.Hour)
		require.Equal(t, background, now(), "a reader needs no grace")

		h.setActivity(chat.SessionRef{User: alice, Session: phone}, active)
		require.Equal(t, active, now())
		back.Close()
		h.setActivity(chat.SessionRef{User: alice, Session: phone}, background)
		require.Equal(t, background, now(), "also what is held can be changed")
		time.Sleep(30 * time.Second)
		require.Equal(t, inactive, now())
	})
}

func TestRegistrationsAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	for _, r := range []registration{{1, 2, active, "a"}, {1<<62 - 1, 0, inactive, "with:colon"}, {3, 1, background, heldNode}} {
		got, ok := parseRegistration(r.String())
		require.True(t, ok)
		require.Equal(t, r, got)
	}
	for _, text := range []string{"", "1:2:a", "1:2:3:a", "1:2:-1:a", "1:-2:1:a", "x:2:1:a", "1:2::a", "1:2:11:a"} {
		_, ok := parseRegistration(text)
		require.False(t, ok, text)
	}
}

func TestWhatHasBecomeOfAUserIsReadFromTheRegistrations(t *testing.T) {
	t.Parallel()
	rdb := realRedis(t)
	now := time.Now().UnixMilli()
	const minute, grace = 60_000, 30_000
	for name, test := range map[string]struct {
		registrations []registration
		looked        string
		want          change // without at; nothing = nobody is told
		stays         bool   // somebody looks again
	}{
		"left":                          {nil, "a", change{state: chat.PresenceOffline, seen: chat.Time(now - 10)}, false},
		"left, and is elsewhere":        {[]registration{{now + minute, 1, background, "b"}, {now + minute, 0, inactive, "a"}}, "a", change{}, false},
		"renewed":                       {[]registration{{now + minute, 1, active, "a"}}, "a", change{}, true},
		"killed":                        {[]registration{{now - 10, 1, active, "a"}, {now + minute, 0, inactive, "b"}}, "a", change{state: chat.PresenceOffline, seen: chat.Time(now - 10 - minute)}, false},
		"killed, and less elsewhere":    {[]registration{{now - 10, 1, active, "a"}, {now + minute, 1, background, "b"}}, "a", change{state: chat.PresenceAway}, false},
		"killed, and as much elsewhere": {[]registration{{now - 10, 1, active, "a"}, {now + minute, 1, active, "b"}}, "a", change{}, false},
		"did not come back":             {[]registration{{now - 10, 0, active, heldNode}}, heldNode, change{state: chat.PresenceOffline, seen: chat.Time(now - 10 - grace)}, false},
		"came back for less":            {[]registration{{now - 10, 0, active, heldNode}, {now + minute, 1, background, "b"}}, heldNode, change{state: chat.PresenceAway}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			still := still(t)
			still.rdb, still.era = rdb, newEra(randomEpoch())
			e := still.currentEra()
			key := e.nodesKey(alice.String())
			for _, r := range test.registrations {
				require.NoError(t, rdb.HSet(t.Context(), key, r.node, r.String()).Err())
			}
			member := connectedMember(alice.String(), test.looked)
			again, err := still.presence.judge(t.Context(), e, []redis.Z{{Score: float64(now - 10), Member: member}})
			require.NoError(t, err)
			require.Zero(t, again)
			got := still.presence.changes[alice]
			got.at = 0
			require.Equal(t, test.want, got)
			require.Equal(t, test.stays, rdb.ZScore(t.Context(), e.connectedKey(), member).Err() == nil)
			held, err := rdb.HExists(t.Context(), key, heldNode).Result()
			require.NoError(t, err)
			require.False(t, held, "a hold that is over goes")
		})
	}
}

// A Redis that takes no writes lets nobody take the users whose time is over: one look must end all the same.
func TestLookingWhoIsGoneEndsWhenRedisTakesNoWrites(t *testing.T) {
	t.Parallel()
	rdb := client(t, startRedis(t).address())
	h := still(t)
	h.rdb = rdb
	e := h.currentEra()
	for i := range maxLooked + 50 {
		member := connectedMember(chat.ID(9000+i).String(), "gone")
		require.NoError(t, rdb.ZAdd(t.Context(), e.connectedKey(), redis.Z{Score: 1, Member: member}).Err())
	}
	require.NoError(t, rdb.SlaveOf(t.Context(), "127.0.0.1", "1").Err())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, h.presence.lookAtDue(ctx))
}

// Users of whom Redis does not answer are looked at once more, but not at once.
func TestLookingWhoIsGoneEndsWhenRedisDoesNotAnswerOfThem(t *testing.T) {
	t.Parallel()
	rdb := client(t, startRedis(t).address())
	h := still(t)
	h.rdb = rdb
	e := h.currentEra()
	for i := range maxLooked + 50 {
		name := chat.ID(9000 + i).String()
		require.NoError(t, rdb.Set(t.Context(), e.nodesKey(name), "no hash", 0).Err())
		require.NoError(t, rdb.ZAdd(t.Context(), e.connectedKey(), redis.Z{Score: 1, Member: connectedMember(name, "gone")}).Err())
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, h.presence.lookAtDue(ctx))
	require.Equal(t, int64(maxLooked+50), rdb.ZCard(t.Context(), e.connectedKey()).Val(), "nobody is forgotten")
}
