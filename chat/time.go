package chat

import (
	"fmt"
	"time"
)

// Time is milliseconds since the Unix epoch, in UTC. It is an integer so that
// every database keeps it alike; in JSON it is RFC 3339 with milliseconds.
type Time int64

// timeLayout is RFC 3339 in UTC with exactly three fractional digits.
const timeLayout = "2006-01-02T15:04:05.000Z"

// TimeOf rounds t down to the millisecond.
func TimeOf(t time.Time) Time {
	return Time(t.UnixMilli())
}

// Std returns the same instant as a [time.Time] in UTC.
func (t Time) Std() time.Time {
	return time.UnixMilli(int64(t)).UTC()
}

// String returns the time as clients see it.
func (t Time) String() string {
	return t.Std().Format(timeLayout)
}

// MarshalJSON writes the time as a JSON string.
func (t Time) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(timeLayout)+2)
	b = append(b, '"')
	b = t.Std().AppendFormat(b, timeLayout)
	return append(b, '"'), nil
}

// UnmarshalJSON reads any RFC 3339 time.
func (t *Time) UnmarshalJSON(text []byte) error {
	parsed, err := time.Parse(`"`+time.RFC3339+`"`, string(text))
	if err != nil {
		return fmt.Errorf("not an RFC 3339 time: %w", err)
	}
	*t = TimeOf(parsed)
	return nil
}
