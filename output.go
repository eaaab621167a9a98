package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"

	"longwire/config"
)

func newLogger(cfg config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: readable}
	if cfg.LogFormat == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// readable writes durations as people do: JSON has them as nanoseconds otherwise.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// welcome tells a person who has just started a node what to try. The README's quick start must work beside it, so it takes
// none of its names.
func welcome(w io.Writer, address net.Addr) {
	host := address.String()
	if tcp, ok := address.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	fmt.Fprintf(w, `
Longwire is ready.

  Page      http://%[1]s/
  API       http://%[1]s/docs
  Try       curl --json '{"username":"carol","password":"correct horse"}' http://%[1]s/v1/auth/register

The README's quick start shows more. Stop with Ctrl-C; a second one stops at once.

`, host)
}
