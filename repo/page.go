package repo

import (
	"encoding/base64"
	"strconv"
	"strings"

	"longwire/chat"
)

// place is where a list goes on: the sort key of the last item given. As text
// it is opaque.
type place struct {
	list    byte // which list it belongs to
	numbers []int64
	text    string
}

// maxPlaceBytes bounds what is read as a place: the longest sort key is 255 characters.
const maxPlaceBytes = 2048

// String returns the place as clients see it.
func (p place) String() string {
	b := []byte{p.list}
	for _, n := range p.numbers {
		b = strconv.AppendInt(append(b, '.'), n, 10)
	}
	b = append(append(b, '.'), p.text...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// parsePlace reads a place with so many numbers of a list. Anything else is a
// validation error on "after".
func parsePlace(list byte, after string, numbers int) (place, error) {
	bad := chat.Invalid("after", "must be the next of the part before")
	if len(after) > maxPlaceBytes {
		return place{}, bad
	}
	raw, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		return place{}, bad
	}
	parts := strings.SplitN(string(raw), ".", numbers+2)
	if len(parts) != numbers+2 || parts[0] != string(list) {
		return place{}, bad
	}
	p := place{list: list, text: parts[numbers+1], numbers: make([]int64, numbers)}
	for i := range p.numbers {
		if p.numbers[i], err = strconv.ParseInt(parts[i+1], 10, 64); err != nil {
			return place{}, bad
		}
	}
	if p.String() != after || strings.ToValidUTF8(p.text, "") != p.text {
		return place{}, bad
	}
	return p, nil
}

// isPlaceOf tells whether after may be a place of the list.
func isPlaceOf(list byte, after string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(after)
	return err == nil && len(raw) > 0 && raw[0] == list
}

// placeByID reads the place in a list that is sorted by id; 0 for the beginning.
func placeByID(list byte, after string) (chat.ID, error) {
	if after == "" {
		return 0, nil
	}
	p, err := parsePlace(list, after, 1)
	if err != nil {
		return 0, err
	}
	return chat.ID(p.numbers[0]), nil
}

// list makes the part of a list from up to one item more than its limit.
func list[T any](items []T, limit int, next func(last T) string) chat.List[T] {
	if len(items) <= limit {
		return chat.List[T]{Items: items}
	}
	items = items[:limit]
	after := next(items[limit-1])
	return chat.List[T]{Items: items, Next: &after}
}

// listByID does the same for a list that is sorted by id.
func listByID[T any](name byte, items []T, limit int, id func(last T) chat.ID) chat.List[T] {
	return list(items, limit, func(last T) string {
		return place{list: name, numbers: []int64{int64(id(last))}}.String()
	})
}
