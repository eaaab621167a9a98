package handlers

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
	"longwire/realtime"
)

// Inboxes lets readers follow inboxes; see [FromHub].
type Inboxes interface {
	// Attach puts a reader on an inbox; it must be closed.
	Attach(ctx context.Context, request realtime.Request) (Reader, error)
	// Save notes that a session has acknowledged everything up to seq.
	Save(user, session chat.ID, seq int64)
	// CurrentCursor returns the cursor of where an inbox stands.
	CurrentCursor(ctx context.Context, user chat.ID) (string, error)
}

// Reader is one reader's position in an inbox; see [realtime.Session].
type Reader interface {
	Next(ctx context.Context) (realtime.Batch, error)
	Try(ctx context.Context) (realtime.Batch, error)
	TryWindow() (realtime.Batch, bool)
	Seq() int64
	CursorPrefix() string
	Close()
}

// FromHub makes a hub what this package wants.
func FromHub(hub *realtime.Hub) Inboxes {
	return hubInboxes{hub}
}

type hubInboxes struct {
	*realtime.Hub
}

func (h hubInboxes) Attach(ctx context.Context, request realtime.Request) (Reader, error) {
	session, err := h.Hub.Attach(ctx, request)
	if err != nil {
		return nil, err // not session: a nil *Session in an interface is not nil
	}
	return session, nil
}

// attach puts a reader on the caller's inbox. Whatever ends the caller's session
// from then on finds the reader, so that the session is looked at once more.
func (a *api) attach(c echo.Context, request realtime.Request) (Reader, error) {
	ctx := c.Request().Context()
	reader, err := a.Inboxes.Attach(ctx, request)
	if err != nil {
		a.tellFull(c, request.Kind, err)
		return nil, err
	}
	if err := a.Service.SessionLives(ctx, chat.Caller{User: request.User, Session: request.Session}); err != nil {
		reader.Close()
		return nil, err
	}
	return reader, nil
}

// tellFull tells a user who has too many readers how many there may be.
func (a *api) tellFull(c echo.Context, kind realtime.Kind, err error) {
	if chat.CodeOf(err) != chat.CodeTooManyStreams {
		return
	}
	limits := a.Service.Limits()
	most := limits.MaxStreamsPerUser
	if kind == realtime.Poll {
		most = limits.MaxPollsPerUser
	}
	tellLimit(c.Response().Header(), most, 0, chat.AsError(err).RetryAfter)
}

// start is where a reader wants to begin.
type start struct {
	at     realtime.Start
	cursor chat.Cursor // for AtCursor
	text   string      // the cursor as it was given, for AtCursor
}

// given is a position and the name of the parameter or header that held it.
type given struct {
	name string
	text string
}

// startOf takes the first position that is not empty; none is the saved one.
func startOf(user chat.ID, positions ...given) (start, error) {
	for _, p := range positions {
		switch p.text {
		case "":
			continue
		case "begin":
			return start{at: realtime.AtBegin}, nil
		case "now":
			return start{at: realtime.AtNow}, nil
		}
		cursor, err := chat.ParseCursor(p.text, user)
		if err != nil {
			refused := *chat.AsError(err)
			refused.Detail = strings.TrimSuffix(refused.Detail, ".") + ", or begin, or now."
			refused.Fields = []chat.FieldError{{Field: p.name, Message: "is no cursor of this inbox"}}
			return start{}, &refused
		}
		return start{at: realtime.AtCursor, cursor: cursor, text: p.text}, nil
	}
	return start{at: realtime.AtSaved}, nil
}

// request returns what the hub is asked for.
func (s start) request(caller chat.Caller, kind realtime.Kind, says chat.Activity, limit int) realtime.Request {
	return realtime.Request{
		User: caller.User, Session: caller.Session, Kind: kind, Activity: says, Start: s.at, Cursor: s.cursor, Limit: limit,
	}
}

// acknowledge saves a position that was presented, once the first read has
// shown that the inbox really goes on from there: a cursor from a lost future
// must not become a session's position.
func (a *api) acknowledge(caller chat.Caller, from start, first realtime.Batch) {
	if from.at == realtime.AtCursor && first.Reset == nil && first.End == "" {
		a.Inboxes.Save(caller.User, caller.Session, from.cursor.Seq)
	}
}

// AckInbox serves POST /v1/inbox/ack.
func (a *api) AckInbox(c echo.Context) error {
	var in openapi.AckRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	caller, ctx := callerOf(c), c.Request().Context()
	cursor, err := chat.ParseCursor(in.Cursor, caller.User)
	if err != nil {
		return err
	}
	text, err := a.Inboxes.CurrentCursor(ctx, caller.User)
	if err != nil {
		return err
	}
	current, err := chat.ParseCursor(text, caller.User)
	if err != nil {
		return err
	}
	if cursor.Epoch != current.Epoch || cursor.Seq > current.Seq {
		return &chat.Error{
			Code: chat.CodeInvalidCursor, Detail: "The inbox does not continue from this cursor. Fetch GET /v1/sync and go on from its cursor.",
			Fields: []chat.FieldError{{Field: "cursor", Message: "is not in this inbox any more"}},
		}
	}
	a.Inboxes.Save(caller.User, caller.Session, cursor.Seq)
	return c.NoContent(http.StatusNoContent)
}

// CreateInboxToken serves POST /v1/inbox/tokens.
func (a *api) CreateInboxToken(c echo.Context) error {
	token, err := a.Service.NewInboxToken(c.Request().Context(), callerOf(c))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, token)
}
