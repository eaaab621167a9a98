package handlers

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
	"longwire/realtime"
)

const (
	defaultPollWait  = 25 // seconds
	defaultPollLimit = 100
)

// PollInbox serves GET /v1/inbox/poll.
func (a *api) PollInbox(c echo.Context, params openapi.PollInboxParams) error {
	caller := callerOf(c)
	from, err := startOf(caller.User, given{"cursor", valueOf(params.Cursor)})
	if err != nil {
		return err
	}
	wait, err := a.pollWait(params.Wait, exchangeOf(c).head)
	if err != nil {
		return err
	}
	limit := defaultPollLimit
	if params.Limit != nil {
		limit = *params.Limit
	}

	ctx := c.Request().Context()
	says := chat.ActivityActive
	if wait == 0 {
		says = chat.ActivityNone // a glance is no presence
	}
	request := from.request(caller, realtime.Poll, activityOf(params.Presence, says), limit)
	// Who does not wait asks what is there: all that has committed, on any node.
	request.Current = wait == 0
	reader, err := a.attach(c, request)
	if err != nil {
		return err
	}
	defer reader.Close()
	conn := http.NewResponseController(c.Response())
	_ = conn.SetReadDeadline(time.Time{}) // the server's is for requests; a wait may be longer

	batch, err := reader.Try(ctx)
	if err != nil {
		return err
	}
	a.acknowledge(caller, from, batch)
	if batch.Empty() && wait > 0 {
		if batch, err = await(ctx, reader, wait); err != nil {
			return err
		}
	}
	if batch.End == realtime.EndRevoked {
		return &chat.Error{Code: chat.CodeSessionEnded, Detail: "This session has ended. Log in again."}
	}
	body := appendPoll(make([]byte, 0, pollSize(batch)), reader.CursorPrefix(), reader.Seq(), batch)
	return a.writePoll(c, conn, body)
}

// pollWait returns how long to wait: not at all for HEAD, which shows nothing.
func (a *api) pollWait(asked *int, head bool) (time.Duration, error) {
	most := int(a.MaxPollWait / time.Second)
	wait := min(defaultPollWait, most)
	if asked != nil {
		wait = *asked
	}
	if wait > most {
		return 0, chat.Invalid("wait", "must be at most "+strconv.Itoa(most))
	}
	if head {
		return 0, nil
	}
	return time.Duration(wait) * time.Second, nil
}

// await waits for a batch. When the wait ends it looks once more, so that a
// database that does not answer shows as an error and not as an empty inbox.
func await(ctx context.Context, reader Reader, wait time.Duration) (realtime.Batch, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	batch, err := reader.Next(waiting)
	if err == nil {
		return batch, nil
	}
	if ctx.Err() != nil {
		return realtime.Batch{}, ctx.Err()
	}
	return reader.Try(ctx)
}

// pollSize is about how long the answer will be.
func pollSize(batch realtime.Batch) int {
	size := 256
	for i := range batch.Events {
		size += len(batch.Events[i].Body) + 64
	}
	for _, body := range batch.Ephemeral {
		size += len(body) + 2
	}
	return size
}

// appendPoll appends the answer: events spliced as they are, the cursor after
// them, and the reset if there is one.
func appendPoll(b []byte, prefix string, seq int64, batch realtime.Batch) []byte {
	b = append(b, `{"events":[`...)
	for i, event := range batch.Events {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEnvelope(b, prefix, event.Seq, event.Body)
	}
	for i, body := range batch.Ephemeral {
		if i > 0 || len(batch.Events) > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '{'), body...)
	}
	b = append(b, `],"cursor":"`...)
	b = chat.AppendCursor(b, prefix, seq)
	b = append(b, `","has_more":`...)
	b = strconv.AppendBool(b, batch.More)
	if batch.Reset != nil {
		b = append(b, `,"reset":`...)
		b = appendResetData(b, prefix, batch.Reset.Seq, string(batch.Reset.Reason))
	}
	return append(b, '}')
}

// writePoll writes the answer under a deadline of its own, and takes the
// deadline away again: the connection goes on to other requests.
func (a *api) writePoll(c echo.Context, conn *http.ResponseController, body []byte) error {
	_ = conn.SetWriteDeadline(time.Now().Add(a.WriteTimeout)) // not every writer can; then the server's holds
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(body)))
	if err := c.Blob(http.StatusOK, echo.MIMEApplicationJSON, body); err != nil {
		return err
	}
	_ = conn.Flush()
	_ = conn.SetWriteDeadline(time.Time{})
	return nil
}
