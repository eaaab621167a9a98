package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"longwire/auth"
	"longwire/chat"
	"longwire/config"
	"longwire/handlers"
	"longwire/realtime"
	"longwire/repo"
	"longwire/web"
)

// node is one running process, put together.
type node struct {
	cfg      config.Config
	logger   *slog.Logger
	registry *prometheus.Registry
	db       *repo.DB
	hub      *realtime.Hub
	sender   *chat.Sender
	service  *chat.Service
	api      *http.Server
	ops      *http.Server // nil when LONGWIRE_OPS_LISTEN is empty

	closers []func() error // run in reverse when the node has stopped
}

// serve runs a node until ctx ends, and returns when it has drained: nil unless
// it could not start or could not go on.
func serve(ctx context.Context, cfg config.Config, unknown []config.Unknown, stdout, stderr io.Writer) (err error) {
	n := &node{cfg: cfg, logger: newLogger(cfg, stderr), registry: newRegistry()}
	defer func() { err = errors.Join(err, n.close()) }()
	n.logger.InfoContext(ctx, "starting", "version", version, "settings", cfg)
	for _, variable := range unknown {
		n.logger.WarnContext(ctx, "unknown variable ignored", "name", variable.Name, "nearest", variable.Nearest)
	}
	if !cfg.RateLimit {
		n.logger.WarnContext(ctx, "rate limits are off: this is for load tests only")
	}
	realtime.LogRedisTo(n.logger)
	if err := n.assemble(ctx); err != nil {
		return err
	}
	api, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with LONGWIRE_LISTEN", err)
	}
	n.closers = append(n.closers, ignoreClosed(api))
	var ops net.Listener
	if n.ops != nil {
		if ops, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.OpsListen); err != nil {
			return fmt.Errorf("%w; choose another address with LONGWIRE_OPS_LISTEN", err)
		}
		n.closers = append(n.closers, ignoreClosed(ops))
	}
	n.logger.InfoContext(ctx, "serving", "address", api.Addr().String(), "embedded", cfg.Embedded())
	if cfg.Embedded() {
		welcome(stdout, api.Addr())
	}
	return n.run(ctx, api, ops)
}

// assemble makes the parts, from the data upwards. Nothing runs yet.
func (n *node) assemble(ctx context.Context) error {
	if n.cfg.Embedded() {
		if err := n.lockData(); err != nil {
			return err
		}
	}
	keys, err := n.signingKeys()
	if err != nil {
		return err
	}
	if err := n.openData(ctx); err != nil {
		return err
	}
	rdb, err := n.openRedis() //nolint:contextcheck // it lives until it is closed, not until a signal
	if err != nil {
		return err
	}
	// The hub tells the service of ended sessions, and the service announces
	// through the hub; neither does before the node runs.
	var service *chat.Service
	n.hub, err = realtime.New(ctx, realtime.Config{
		Node: n.name(), StreamLength: n.streamLength(), MaxStreamsPerUser: n.cfg.MaxStreamsPerUser, MaxPollsPerUser: limits(n.cfg).MaxPollsPerUser,
		MaxStreams: n.cfg.MaxStreams,
		HeadCheck:  n.cfg.HeadCheck, SourceReads: max(n.cfg.MySQLConnections/4, 1), PresenceGrace: n.cfg.PresenceGrace,
		Logger: n.logger, Registerer: n.registry,
		OnSessionEnded: func(session chat.ID) { service.SessionEnded(session) },
	}, rdb, n.db)
	if err != nil {
		return err
	}
	n.sender = chat.NewSender(n.db, n.hub, chat.SenderOptions{
		Queue: n.cfg.WriterQueue, Batch: n.cfg.WriterBatch, Rows: batchRows, Writers: n.writers(),
		Observe: observeBatches(n.registry), Refused: countRefusals(n.registry),
		Log: func(ctx context.Context, err error, messages int) {
			n.logger.ErrorContext(ctx, "messages were not stored", "error", err, "messages", messages)
		},
	})
	hasher, err := auth.NewHasher(auth.DefaultParams, n.cfg.PasswordConcurrency, waitingPasswords)
	if err != nil {
		return err
	}
	service = chat.NewService(chat.Options{
		Store: n.db, Announcer: n.hub, Connections: n.hub, Sender: n.sender, Passwords: passwords{hasher}, Tokens: tokens{keys: keys, now: time.Now, known: new(knownTokens)},
		Limits: limits(n.cfg), Now: time.Now,
		Lifetimes: chat.Lifetimes{AccessToken: n.cfg.AccessTokenLifetime, InboxToken: n.cfg.InboxTokenLifetime, Session: n.cfg.SessionLifetime, FriendRequest: n.cfg.FriendRequestLifetime},
	})
	n.service = service
	return n.makeServers(service, rdb) //nolint:contextcheck // what it starts ends when it is closed, not at a signal
}

const (
	// batchRows bounds a transaction: some tens of milliseconds of database.
	batchRows = 4000
	// waitingPasswords bounds who waits to be signed in: some seconds' worth.
	waitingPasswords = 256
	// readHeaderTimeout is for clients that open a connection and say nothing.
	readHeaderTimeout = 10 * time.Second
	// readTimeout bounds a request's body; streams and polls lift it for themselves.
	readTimeout = 30 * time.Second
	idleTimeout = 2 * time.Minute
	// maxConcurrentStreams is how many streams and polls one connection of a proxy may carry, so that
	// a few connections carry all.
	maxConcurrentStreams = 10_000
)

func (n *node) makeServers(service *chat.Service, rdb redis.UniversalClient) error {
	pages, err := web.New()
	if err != nil {
		return err
	}
	limiter := realtime.NewLimiter(rdb)
	if err := limiter.Report(n.logger, n.registry); err != nil {
		return err
	}
	api, err := handlers.New(handlers.Config{
		Service: service, Inboxes: handlers.FromHub(n.hub), Limiter: limiter, Ready: n.hub.Ready,
		Logger: n.logger, Registerer: n.registry, Pages: pages, PagePaths: web.Paths,
		ParkStreams: n.cfg.ParkStreams, TrustedProxies: n.cfg.TrustedProxies, CORSOrigins: n.cfg.CORSOrigins, RateLimit: n.cfg.RateLimit, MaxBodyBytes: n.cfg.MaxBodyBytes,
		StreamLifetime: n.cfg.StreamLifetime, Heartbeat: n.cfg.Heartbeat, WriteTimeout: n.cfg.StreamWriteTimeout, MaxPollWait: n.cfg.MaxPollWait,
	})
	if err != nil {
		return err
	}
	n.closers = append(n.closers, func() error { api.Close(); return nil })
	n.api = n.newServer(api)
	n.api.ReadTimeout = readTimeout
	n.api.RegisterOnShutdown(api.Drain)
	if n.cfg.H2C {
		n.api.Protocols = new(http.Protocols)
		n.api.Protocols.SetHTTP1(true)
		n.api.Protocols.SetUnencryptedHTTP2(true)
		n.api.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxConcurrentStreams}
	}
	if n.cfg.OpsListen != "" {
		n.ops = n.newServer(handlers.NewOps(n.registry))
	}
	return nil
}

func (n *node) newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(n.logger.Handler(), slog.LevelWarn),
	}
}

// lockData keeps the data folder for this node until it has stopped.
func (n *node) lockData() error {
	release, err := lockDataDir(n.cfg.DataDir)
	if errors.Is(err, errDataInUse) {
		return fmt.Errorf("another node, or a command, uses the data folder %s; give this one its own with LONGWIRE_DATA_DIR", n.cfg.DataDir)
	}
	if err != nil {
		return dataSetting(n.cfg, err)
	}
	n.closers = append(n.closers, release)
	return nil
}

// signingKeys returns the keys that were set or, in embedded mode, those kept in
// the data folder.
func (n *node) signingKeys() (*auth.Keys, error) {
	secret := []byte(n.cfg.JWTSecret.Reveal())
	if len(secret) == 0 {
		path := filepath.Join(n.cfg.DataDir, "signing-key")
		kept, created, err := auth.LoadOrCreateSecret(path)
		if err != nil {
			return nil, err
		}
		if created {
			n.logger.Info("made a signing key", "file", path)
		}
		secret = kept
	}
	previous, err := n.previousKey()
	if err != nil {
		return nil, err
	}
	for _, s := range n.cfg.JWTPreviousSecrets {
		previous = append(previous, []byte(s.Reveal()))
	}
	return auth.NewKeys(secret, previous...)
}

func (n *node) openRedis() (redis.UniversalClient, error) {
	if !n.cfg.RedisURL.IsSet() {
		embedded, err := realtime.NewEmbeddedRedis()
		if err != nil {
			return nil, err
		}
		n.closers = append(n.closers, embedded.Close)
		return embedded.Client, nil
	}
	rdb, err := realtime.ConnectRedis(n.cfg.RedisURL.Reveal())
	if err != nil {
		return nil, fmt.Errorf("LONGWIRE_REDIS_URL: %w", err)
	}
	n.closers = append(n.closers, rdb.Close)
	return rdb, nil
}

func (n *node) name() string {
	if n.cfg.NodeName != "" {
		return n.cfg.NodeName
	}
	raw := make([]byte, 8)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(raw)
}

// streamLength is how much of each inbox Redis holds. In embedded mode that is
// nothing: it would be a copy, in this process, of a file in the page cache.
func (n *node) streamLength() int {
	if n.cfg.Embedded() {
		return -1
	}
	return n.cfg.InboxStreamLength
}

func (n *node) writers() int {
	switch {
	case n.cfg.Writers > 0:
		return n.cfg.Writers
	case n.cfg.Embedded():
		return 1 // SQLite has one writer whatever we do
	default:
		return 2
	}
}

// limits is what clients are told.
func limits(cfg config.Config) chat.Limits {
	l := chat.FixedLimits()
	l.MaxBodyBytes, l.MaxMessageLength, l.MaxPageSize = cfg.MaxBodyBytes, cfg.MaxMessageLength, cfg.MaxPageSize
	l.MaxPollWaitSeconds = int(cfg.MaxPollWait.Seconds())
	l.MaxGroupMembers, l.MaxStreamsPerUser = cfg.MaxGroupMembers, cfg.MaxStreamsPerUser
	l.MaxPollsPerUser = 2 * cfg.MaxStreamsPerUser // they come and go, and one that is given up is noticed late
	l.MaxGroupsPerUser, l.MaxReceiptMembers = cfg.MaxGroupsPerUser, cfg.MaxReceipts
	l.StreamLifetimeSeconds, l.HeartbeatSeconds = int(cfg.StreamLifetime.Seconds()), int(cfg.Heartbeat.Seconds())
	l.RecallWindowSeconds = int64(cfg.RecallWindow.Seconds())
	l.InboxRetentionSeconds = int64(cfg.Retention.Seconds())
	l.MaxTypingMembers, l.PresenceGraceSeconds = cfg.MaxTypingMembers, int(cfg.PresenceGrace.Seconds())
	l.FriendRequestSeconds = int64(cfg.FriendRequestLifetime.Seconds())
	if cfg.RateLimit {
		l.RateLimits = handlers.RateLimits()
	}
	return l
}

// run serves until ctx ends or a part fails, then drains and stops: readers
// first, then requests, then the writer, then the hub.
func (n *node) run(ctx context.Context, api, ops net.Listener) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	var readers, writers, pruning, indexing, tidying sync.WaitGroup
	stopHub := background(ctx, &readers, func(ctx context.Context) {
		if err := n.hub.Run(ctx); err != nil {
			fail(err)
		}
	})
	stopSender := background(ctx, &writers, n.sender.Run)
	stopPruning := background(ctx, &pruning, n.prune)
	stopIndexing := background(ctx, &indexing, n.index)
	stopTidying := background(ctx, &tidying, n.tidy)
	n.listen(n.api, api, fail)
	if n.ops != nil {
		n.listen(n.ops, ops, fail)
	}

	<-ctx.Done()
	err := n.drain(ctx)
	stopPruning()
	pruning.Wait()
	stopIndexing()
	indexing.Wait()
	stopTidying()
	tidying.Wait()
	stopSender()
	writers.Wait()
	stopHub()
	readers.Wait()
	n.logger.InfoContext(ctx, "stopped")
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return err
}

// background runs work in the group until the returned function is called: the
// end of ctx begins the drain, in which the parts stop one after the other.
func background(ctx context.Context, group *sync.WaitGroup, work func(ctx context.Context)) context.CancelFunc {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() { work(ctx) })
	return cancel
}

// listen serves until the server is shut down; anything else fails the node.
func (n *node) listen(server *http.Server, listener net.Listener, fail context.CancelCauseFunc) {
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve: %w", err))
		}
	}()
}

// drain ends streams spread over most of the grace period, answers polls at
// once, and lets requests under way finish. Ctx is over already.
func (n *node) drain(ctx context.Context) error {
	grace := n.cfg.ShutdownGrace
	n.logger.InfoContext(ctx, "draining", "grace", grace, "at_once", "with a second signal")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := n.hub.Drain(ctx, grace*6/10); err != nil {
		n.logger.WarnContext(ctx, "not all streams have ended in time", "error", err)
	}
	err := n.api.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		n.logger.WarnContext(ctx, "not all requests have ended in time")
		err = n.api.Close()
	}
	if n.ops != nil {
		err = errors.Join(err, n.ops.Close())
	}
	return err
}

// prune deletes what is older than the retention, in small bites.
func (n *node) prune(ctx context.Context) {
	const bite = 500
	every := min(time.Minute, n.cfg.Retention)
	next := time.NewTimer(every)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		pruned, err := n.db.PruneInboxes(ctx, chat.TimeOf(time.Now().Add(-n.cfg.Retention)), bite)
		if err != nil && ctx.Err() == nil {
			n.logger.WarnContext(ctx, "pruning failed", "error", err)
		}
		if pruned == bite {
			next.Reset(50 * time.Millisecond) // there is more; others want the database too
		} else {
			next.Reset(every)
		}
	}
}

// close gives back what was opened, last things first.
func (n *node) close() error {
	var err error
	for _, closer := range slices.Backward(n.closers) {
		err = errors.Join(err, closer())
	}
	return err
}

// ignoreClosed closes a listener that a server may have closed already.
func ignoreClosed(listener net.Listener) func() error {
	return func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}
