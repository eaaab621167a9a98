package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The bare loop is what anybody would write first: handlers of net/http, a
// channel for each stream, a flush after each write. It keeps nothing, asks
// nobody who they are, and loses what nobody hears: the least that this
// machine, this language and this client can do, to compare with.

// bareMessage is what a client sends.
type bareMessage struct {
	To   string `json:"to"` // a topic: a user or a group
	Body string `json:"body"`
}

// bareEvent has the fields of Longwire's message.created, so that as many
// bytes go out.
type bareEvent struct {
	Type string    `json:"type"`
	At   time.Time `json:"at"`
	Data struct {
		ConversationID string    `json:"conversation_id"`
		Seq            int64     `json:"seq"`
		SenderID       string    `json:"sender_id"`
		Kind           string    `json:"kind"`
		Body           string    `json:"body"`
		ReplyTo        *int64    `json:"reply_to"`
		Mentions       []string  `json:"mentions"`
		CreatedAt      time.Time `json:"created_at"`
		EditedAt       *int64    `json:"edited_at"`
		Recalled       bool      `json:"recalled"`
	} `json:"data"`
}

// bareReader is one stream, or a user who polls.
type bareReader struct {
	events chan []byte
	left   chan struct{} // closed when nobody takes events any more; nil for one who polls: what does not fit is lost
}

// bareLoop fans messages out to those who listen.
type bareLoop struct {
	seq atomic.Int64

	mu      sync.RWMutex
	topics  map[string]map[*bareReader]struct{} // guarded by mu
	pollers map[string]*bareReader              // guarded by mu; of users who have polled once
}

const (
	bareBacklog   = 16
	bareHeartbeat = 15 * time.Second
	bareLife      = 45 * time.Minute // after that the process ends by itself
)

// bareCommand serves the bare loop until ctx ends or its life is over.
func bareCommand(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bare", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:0", "address to serve on")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bareLife)
	defer cancel()
	if err := (hosts{}).check(ctx, "listen", *listen); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newBareLoop().handler(), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("listening on", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newBareLoop() *bareLoop {
	return &bareLoop{topics: map[string]map[*bareReader]struct{}{}, pollers: map[string]*bareReader{}}
}

func (l *bareLoop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /send", l.send)
	mux.HandleFunc("GET /stream", l.stream)
	mux.HandleFunc("GET /poll", l.poll)
	return mux
}

// send hands a message to all who listen to its topic.
func (l *bareLoop) send(w http.ResponseWriter, r *http.Request) {
	var message bareMessage
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var event bareEvent
	event.Type, event.At = "message.created", time.Now().UTC().Truncate(time.Millisecond)
	event.Data.ConversationID, event.Data.SenderID, event.Data.Kind = "026xbm4035yf0", "0231rhm05bxze", "text"
	event.Data.Seq, event.Data.Body, event.Data.CreatedAt = l.seq.Add(1), message.Body, event.At
	event.Data.Mentions = []string{}
	encoded, err := json.Marshal(event)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l.fan(message.To, fmt.Appendf(nil, "id: %d\ndata: %s\n\n", event.Data.Seq, encoded))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(encoded) // a client that left has no use for it
}

func (l *bareLoop) fan(topic string, event []byte) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for reader := range l.topics[topic] {
		if reader.left == nil {
			select {
			case reader.events <- event:
			default:
			}
			continue
		}
		select {
		case reader.events <- event:
		case <-reader.left:
		}
	}
}

// join makes a reader listen to topics.
func (l *bareLoop) join(reader *bareReader, topics ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		if l.topics[topic] == nil {
			l.topics[topic] = map[*bareReader]struct{}{}
		}
		l.topics[topic][reader] = struct{}{}
	}
}

// leave ends that.
func (l *bareLoop) leave(reader *bareReader, topics ...string) {
	close(reader.left) // first, so that nobody who holds the lock waits for us
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, topic := range topics {
		delete(l.topics[topic], reader)
	}
}

// poller returns the reader of a user who polls.
func (l *bareLoop) poller(user string) *bareReader {
	l.mu.RLock()
	reader := l.pollers[user]
	l.mu.RUnlock()
	if reader == nil {
		reader = &bareReader{events: make(chan []byte, bareBacklog)}
		l.join(reader, user)
		l.mu.Lock()
		l.pollers[user] = reader
		l.mu.Unlock()
	}
	return reader
}

// stream sends what comes for the topics. What has gathered goes out at once.
func (l *bareLoop) stream(w http.ResponseWriter, r *http.Request) {
	topics := strings.Split(r.URL.Query().Get("topics"), ",")
	reader := &bareReader{events: make(chan []byte, bareBacklog), left: make(chan struct{})}
	l.join(reader, topics...)
	defer l.leave(reader, topics...)
	conn := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	text := "event: hello\nid: 0\ndata: {}\n\n"
	heartbeat := time.NewTicker(bareHeartbeat)
	defer heartbeat.Stop()
	for {
		if _, err := io.WriteString(w, text); err != nil || conn.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-heartbeat.C:
			text = ": heartbeat\n\n"
		case event := <-reader.events:
			text = ""
			_, _ = w.Write(event) // an error shows again at the flush
			for range len(reader.events) {
				_, _ = w.Write(<-reader.events)
			}
		}
	}
}

// poll answers as soon as there is something for a user. What comes between two
// polls waits for the next, as far as it fits.
func (l *bareLoop) poll(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reader := l.poller(query.Get("topics"))
	seconds, err := strconv.Atoi(query.Get("wait"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(time.Duration(seconds) * time.Second)
	defer timer.Stop()
	body := []byte(`{"events":[`)
	select {
	case <-r.Context().Done():
		return
	case <-timer.C:
	case event := <-reader.events:
		body = append(body, event[strings.IndexByte(string(event), '{'):len(event)-2]...)
		for range len(reader.events) {
			event = <-reader.events
			body = append(append(body, ','), event[strings.IndexByte(string(event), '{'):len(event)-2]...)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, `],"cursor":"0","has_more":false}`...)) // a client that left has no use for it
}
