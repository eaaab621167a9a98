package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"longwire/chat"
	"longwire/openapi"
)

// ownAccount is what users do with their own account and its sessions.
type ownAccount interface {
	Seen(caller chat.Caller, from chat.ClientOrigin)
	EndOtherSessions(ctx context.Context, caller chat.Caller) error
	ChangePassword(ctx context.Context, caller chat.Caller, change chat.PasswordChange) error
	DeleteMe(ctx context.Context, caller chat.Caller, password string) error
	Export(ctx context.Context, caller chat.Caller) (chat.Export, error)
}

// EndOtherSessions serves DELETE /v1/sessions.
func (a *api) EndOtherSessions(c echo.Context) error {
	return done(c, a.Service.EndOtherSessions(c.Request().Context(), callerOf(c)))
}

// ChangePassword serves PUT /v1/me/password.
func (a *api) ChangePassword(c echo.Context) error {
	var in openapi.ChangePasswordRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	return done(c, a.Service.ChangePassword(c.Request().Context(), callerOf(c), chat.PasswordChange{
		Current: in.CurrentPassword, New: in.NewPassword,
	}))
}

// DeleteMe serves DELETE /v1/me.
func (a *api) DeleteMe(c echo.Context) error {
	var in openapi.DeleteMeRequest
	if err := decode(c, &in); err != nil {
		return err
	}
	err := a.Service.DeleteMe(c.Request().Context(), callerOf(c), in.Password)
	if err == nil {
		c.SetCookie(a.cookie(c, "", -1))
	}
	return done(c, err)
}

// ExportMe serves GET /v1/me/export. What goes wrong when a part is on its way
// cuts the answer off, so that half of the data is not taken for all of it.
func (a *api) ExportMe(c echo.Context) error {
	export, err := a.Service.Export(c.Request().Context(), callerOf(c))
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	header.Set(echo.HeaderContentDisposition, `attachment; filename="longwire-export.json"`)
	if exchangeOf(c).head {
		c.Response().WriteHeader(http.StatusOK)
		return nil
	}
	conn := http.NewResponseController(c.Response())
	defer func() { _ = conn.SetWriteDeadline(time.Time{}) }() // the connection may serve another request
	out := &exportWriter{Writer: bufio.NewWriterSize(patientWriter{c.Response(), conn, a.WriteTimeout}, exportBuffer)}
	err = out.export(export)
	if err == nil {
		return nil
	}
	if !c.Response().Committed { // nothing has left yet
		header.Del(echo.HeaderContentType) // echo keeps one that is set
		header.Del(echo.HeaderContentDisposition)
		return err
	}
	exchangeOf(c).err = err // for the log
	panic(http.ErrAbortHandler)
}

// exportBuffer is how much of an export is written at once.
const exportBuffer = 32 << 10

// patientWriter gives each write its own time: an export may take long, and its
// reader may be slow, but must go on reading.
type patientWriter struct {
	http.ResponseWriter

	conn    *http.ResponseController
	timeout time.Duration
}

func (w patientWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// exportWriter writes an export as one JSON object, item by item.
type exportWriter struct {
	*bufio.Writer
}

func (w *exportWriter) export(export chat.Export) error {
	w.text(`{"exported_at":`)
	if err := w.value(export.At); err != nil {
		return err
	}
	w.text(`,"user":`)
	if err := w.value(export.User); err != nil {
		return err
	}
	for _, list := range export.Lists {
		w.text(`,"` + list.Name + `":[`)
		first := true
		for item, err := range list.Items {
			if err != nil {
				return err
			}
			if !first {
				w.text(",")
			}
			first = false
			if err := w.value(item); err != nil {
				return err
			}
		}
		w.text("]")
	}
	w.text("}")
	return w.Flush()
}

// text writes what is no data; a failed write fails all that follow, Flush too.
func (w *exportWriter) text(text string) {
	_, _ = w.WriteString(text)
}

func (w *exportWriter) value(value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = w.Write(encoded)
	return err
}
