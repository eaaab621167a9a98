package realtime

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"longwire/chat"

	"github.com/prometheus/client_golang/prometheus"
)

// Source is the database as this package needs it. Its reads see what committed
// before they began.
type Source interface {
	// ReadInbox returns up to limit events after+1, after+2, … without a hole,
	// and where the inbox stands.
	ReadInbox(ctx context.Context, user chat.ID, after int64, limit int) (chat.InboxPage, error)
	// InboxHeads returns where inboxes stand; a user without an entry has an
	// inbox that never had an event. It is called with up to 1,000 users.
	InboxHeads(ctx context.Context, users []chat.ID) (map[chat.ID]chat.InboxHead, error)
	// SessionByID returns a session, for its SavedSeq.
	SessionByID(ctx context.Context, id chat.ID) (chat.Session, error)
	// SavePositions moves saved positions forward, never back.
	SavePositions(ctx context.Context, positions []chat.SavedPosition) error
	// PresenceAudiences returns who is told of each user's presence; users
	// with more than most friends have none.
	PresenceAudiences(ctx context.Context, users []chat.ID, most int) (map[chat.ID]chat.PresenceAudience, error)
	// SaveLastSeen notes when users were seen; it only moves forward.
	SaveLastSeen(ctx context.Context, seen []chat.LastSeen) error
	// Epoch names the past that the data has; see [chat.Cursor].
	Epoch(ctx context.Context) (string, error)
}

// Config is what a node's hub is told. Zero values get the defaults that stand
// beside them, except where a field says what nil means.
type Config struct {
	// Node is this node's name. No two running nodes may share one: it names
	// the channel that announcements for this node's users are published on.
	Node string

	// StreamLength is how many recent events of a connected user Redis keeps,
	// about; 0 is 256, and less is none: whoever catches up reads the database.
	StreamLength int

	MaxStreamsPerUser int           // over all nodes; 16
	MaxPollsPerUser   int           // waiting on this node; twice MaxStreamsPerUser
	MaxStreams        int           // streams and waiting polls of this node; 100,000
	HeadCheck         time.Duration // how often inboxes are compared with the database; 5 s
	ProbeInterval     time.Duration // how often the node probes its announce path; 2 s
	ProbeTimeout      time.Duration // after which a probe is lost and the subscription is renewed; 5 s
	Linger            time.Duration // how long an inbox is kept after its last reader left, for the next poll; 60 s
	Registration      time.Duration // how long others believe that users are connected to a node that is silent; 60 s
	PresenceGrace     time.Duration // how long a user who left is held as connected; 30 s, negative is not at all
	CacheLife         time.Duration // how long a stream stays in Redis after the last connection; 15 min
	SaveInterval      time.Duration // how often saved positions go to the database; 3 s
	SourceTimeout     time.Duration // for one read of the database; 5 s
	// SourceReads is how many readers read events of the database at once; 8.
	// However many want to catch up, who sends still finds a connection.
	SourceReads  int
	RedisTimeout time.Duration // for one round trip to Redis; 1 s
	WindowMemory int64         // bytes of recent events kept in this node over all inboxes, about; 128 MiB
	QueueMemory  int64         // bytes of announcements waiting for Redis, about; more are dropped; 32 MiB

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil keeps the metrics to itself
	// OnSessionEnded is told of every session that ended, on this node or
	// another; perhaps more than once. It must not block. May be nil.
	OnSessionEnded func(session chat.ID)
	// Wall is the clock of the machine, by which nodes tell each other how long
	// their word is good; nil is [time.Now]. What a node measures by itself it
	// measures by a clock that never goes back.
	Wall func() time.Time
	// Random returns numbers in [0, 1) for jitter; nil is math/rand.
	Random func() float64
}

func (c Config) withDefaults() (Config, error) {
	if c.Node == "" {
		return c, errors.New("realtime: a node needs a name")
	}
	if c.StreamLength == 0 {
		c.StreamLength = 256
	}
	setDefault(&c.MaxStreamsPerUser, 16)
	setDefault(&c.MaxPollsPerUser, 2*c.MaxStreamsPerUser)
	setDefault(&c.MaxStreams, 100_000)
	setDefault(&c.HeadCheck, 5*time.Second)
	setDefault(&c.ProbeInterval, 2*time.Second)
	setDefault(&c.ProbeTimeout, 5*time.Second)
	setDefault(&c.Linger, time.Minute)
	setDefault(&c.Registration, time.Minute)
	setDefault(&c.CacheLife, 15*time.Minute)
	if c.PresenceGrace == 0 {
		c.PresenceGrace = 30 * time.Second
	}
	setDefault(&c.SaveInterval, 3*time.Second)
	setDefault(&c.SourceTimeout, 5*time.Second)
	setDefault(&c.SourceReads, 8)
	setDefault(&c.RedisTimeout, time.Second)
	setDefault(&c.WindowMemory, 128<<20)
	setDefault(&c.QueueMemory, 32<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.OnSessionEnded == nil {
		c.OnSessionEnded = func(chat.ID) {}
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return c, nil
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
