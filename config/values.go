package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// minSecretBytes is what HMAC-SHA256 asks for: a key at least as long as its output (RFC 7518, section 3.2).
const minSecretBytes = 32

// value turns the text of one setting into a field of Config and back. The error of parse says what is accepted and never
// repeats the text, which may be a secret.
type value interface {
	parse(text string) error
	String() string
}

type textValue struct {
	field *string
	check func(string) error // nil means that any text will do
}

func (v textValue) parse(text string) error {
	if v.check != nil {
		if err := v.check(text); err != nil {
			return err
		}
	}
	*v.field = text
	return nil
}

func (v textValue) String() string { return *v.field }

type switchValue struct{ field *bool }

func (v switchValue) parse(text string) error {
	switch strings.ToLower(text) {
	case "on", "true", "yes", "1":
		*v.field = true
	case "off", "false", "no", "0":
		*v.field = false
	default:
		return errors.New("want on or off (or true or false)")
	}
	return nil
}

func (v switchValue) String() string { return strconv.FormatBool(*v.field) }

// onOffValue is a switch whose text is on or off.
type onOffValue struct{ switchValue }

func (v onOffValue) String() string {
	if *v.field {
		return "on"
	}
	return "off"
}

type integer interface{ ~int | ~int64 }

type intValue[T integer] struct {
	field    *T
	min, max int64
}

func (v intValue[T]) parse(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("want a whole number from %d to %d", v.min, v.max)
	}
	*v.field = T(n)
	return nil
}

func (v intValue[T]) String() string { return strconv.FormatInt(int64(*v.field), 10) }

type durationValue struct {
	field    *time.Duration
	min, max time.Duration
}

func (v durationValue) parse(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("want a duration from %s to %s, such as 90s, 15m or 720h", short(v.min), short(v.max))
	}
	*v.field = d
	return nil
}

func (v durationValue) String() string { return short(*v.field) }

// short writes 10m for what time.Duration writes as 10m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

type secretValue struct {
	field *Secret
	check func(string) error // nil means that any text will do
}

func (v secretValue) parse(text string) error {
	if text != "" && v.check != nil {
		if err := v.check(text); err != nil {
			return err
		}
	}
	*v.field = NewSecret(text)
	return nil
}

func (v secretValue) String() string { return v.field.String() }

// secretsValue is a list of secrets: separated by commas in a variable or a flag, one a line in a file.
type secretsValue struct {
	field *[]Secret
	check func(string) error
}

func (v secretsValue) parse(text string) error { return v.set(strings.Split(text, ",")) }

func (v secretsValue) parseFile(text string) error { return v.set(strings.Split(text, "\n")) }

func (v secretsValue) set(parts []string) error {
	var all []Secret
	for i, part := range parts {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if err := v.check(part); err != nil {
			return fmt.Errorf("secret %d of %d: %w", i+1, len(parts), err)
		}
		all = append(all, NewSecret(part))
	}
	*v.field = all
	return nil
}

func (v secretsValue) String() string {
	if len(*v.field) == 0 {
		return ""
	}
	return redacted
}

type prefixesValue struct{ field *[]netip.Prefix }

func (v prefixesValue) parse(text string) error {
	var all []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			addr, err := netip.ParseAddr(part)
			if err != nil || addr.Zone() != "" {
				return errors.New("want networks separated by commas, such as 10.0.0.0/8, 192.0.2.7 or fd00::/8")
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		all = append(all, prefix.Masked())
	}
	*v.field = all
	return nil
}

func (v prefixesValue) String() string {
	texts := make([]string, len(*v.field))
	for i, prefix := range *v.field {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

// originsValue is a list of origins as browsers send them: scheme and host, a port only where it is not the scheme's.
type originsValue struct{ field *[]string }

func (v originsValue) parse(text string) error {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if part != "*" && !isOrigin(part) {
			return errors.New("want origins separated by commas, each as a browser sends it, such as https://app.example.com or http://localhost:3000; or *")
		}
		all = append(all, part)
	}
	if len(all) > 1 && slices.Contains(all, "*") {
		return errors.New("want either * or origins: with * the others mean nothing")
	}
	*v.field = all
	return nil
}

// isOrigin tells whether a browser would send this text as Origin, letter by letter: what it would not can never match.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return false
	}
	if port := u.Port(); port != "" && (!isPort(port) || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443") {
		return false
	}
	return text == u.Scheme+"://"+u.Host && text == strings.ToLower(text) && !strings.ContainsAny(text, "*?") && !strings.HasSuffix(text, ":")
}

func (v originsValue) String() string { return strings.Join(*v.field, ",") }

type levelValue struct{ field *slog.Level }

func (v levelValue) parse(text string) error {
	switch strings.ToLower(text) {
	case "debug":
		*v.field = slog.LevelDebug
	case "info":
		*v.field = slog.LevelInfo
	case "warn":
		*v.field = slog.LevelWarn
	case "error":
		*v.field = slog.LevelError
	default:
		return errors.New("want debug, info, warn or error")
	}
	return nil
}

func (v levelValue) String() string { return strings.ToLower(v.field.String()) }

func address(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err != nil || !isPort(port) {
		return errors.New("want host:port or :port, with a port from 0 to 65535")
	}
	return nil
}

func addressOrEmpty(text string) error {
	if text == "" {
		return nil
	}
	return address(text)
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

func notEmpty(text string) error {
	if text == "" {
		return errors.New("want a path, not nothing")
	}
	return nil
}

// nodeNamePattern keeps the name fit for a Redis key, a log line and a metric label.
var nodeNamePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{0,64}$`)

func nodeName(text string) error {
	if !nodeNamePattern.MatchString(text) {
		return errors.New("want at most 64 letters, digits, dots, dashes and underscores")
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(text string) error {
		if !slices.Contains(words, text) {
			return fmt.Errorf("want %s", strings.Join(words, " or "))
		}
		return nil
	}
}

func longEnough(text string) error {
	if len(text) < minSecretBytes {
		return fmt.Errorf("want at least %d bytes, got %d; `openssl rand -hex 32` makes a good one", minSecretBytes, len(text))
	}
	return nil
}

func redisURL(text string) error {
	for _, scheme := range []string{"redis://", "rediss://", "redis+sentinel://"} {
		if len(text) > len(scheme) && strings.HasPrefix(text, scheme) {
			return nil
		}
	}
	return errors.New("want redis://…, rediss://… (TLS) or redis+sentinel://…")
}
