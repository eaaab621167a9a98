package fulltext

import (
	"slices"
	"strconv"
	"strings"
)

// maxTermBytes bounds a term: with what is put before it, a term stays below
// the longest word that InnoDB indexes. Words that are longer are indexed by
// their beginning.
const maxTermBytes = 60

// Terms returns what a text is indexed under: distinct, sorted, made of [a-z0-9].
func Terms(text string) []string {
	var terms []string
	tokens(text, func(t token) bool {
		if t.kind != run {
			terms = append(terms, encode(t.letters))
			return true
		}
		// Each two characters, and the last one alone: then every character
		// begins a term, and whoever looks for one finds it by prefix.
		for i := range t.letters {
			terms = append(terms, encode(t.letters[i:min(i+2, len(t.letters))]))
		}
		return true
	})
	slices.Sort(terms)
	return slices.Compact(terms)
}

// encode writes characters as a word of [a-z0-9], so that no parser splits it
// and no list of stop words has it. What begins with the same characters begins
// with the same letters, and the other way round.
func encode(letters []letter) string {
	var b []byte
	for _, l := range letters {
		before := len(b)
		switch {
		case l.r == escape:
			b = append(b, escape, escape)
		case l.r >= 'a' && l.r < escape, l.r >= '0' && l.r <= '9':
			b = append(b, byte(l.r))
		default:
			digits := strconv.FormatInt(int64(l.r), 36)
			b = append(append(b, escape), "0000"[len(digits):]...) // four are enough for all of Unicode
			b = append(b, digits...)
		}
		if len(b) > maxTermBytes {
			return string(b[:before])
		}
	}
	return string(b)
}

// escape begins what is no letter or digit of ASCII. The first of four digits
// is never so high, so that two of them are the letter itself.
const escape = 'z'

// maxQueryTerms bounds what the index is asked for; the text is held against
// the whole query afterwards.
const maxQueryTerms = 8

// Query is what is searched for. The zero value finds nothing.
type Query struct {
	words []token
}

// ParseQuery reads what somebody wants to find. There are no operators: every
// character that belongs to no word separates words.
func ParseQuery(text string) Query {
	var q Query
	tokens(text, func(t token) bool {
		t.letters = slices.Clone(t.letters)
		if !slices.ContainsFunc(q.words, t.same) {
			q.words = append(q.words, t)
		}
		return true
	})
	return q
}

func (t token) same(other token) bool {
	return t.kind == other.kind && slices.EqualFunc(t.letters, other.letters, sameLetter)
}

func sameLetter(a, b letter) bool {
	return a.r == b.r
}

// Empty tells that there is nothing to search for.
func (q Query) Empty() bool {
	return len(q.words) == 0
}

// Terms returns what the terms of every text that the query finds must begin
// with: one of the text's for each. There are at most eight, the longest.
func (q Query) Terms() []string {
	var terms []string
	for _, t := range q.words {
		if t.kind != run || len(t.letters) == 1 {
			terms = append(terms, encode(t.letters))
			continue
		}
		for i := 0; i < len(t.letters); i += 2 {
			from := min(i, len(t.letters)-2)
			terms = append(terms, encode(t.letters[from:from+2]))
		}
	}
	slices.SortFunc(terms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	terms = slices.Compact(terms)
	return terms[:min(len(terms), maxQueryTerms)]
}

// Span is a part of a text: code points Start up to, without, End.
type Span struct {
	Start, End int
}

// maxSpans bounds what is told of one text.
const maxSpans = 100

// Find tells whether a text has every word of the query, and where: ascending,
// not overlapping, at most a hundred places.
func (q Query) Find(text string) ([]Span, bool) {
	if q.Empty() {
		return nil, false
	}
	var spans []Span
	found := make([]bool, len(q.words))
	tokens(text, func(t token) bool {
		for i, wanted := range q.words {
			if wanted.kind != t.kind {
				continue
			}
			for from := 0; from+len(wanted.letters) <= len(t.letters); from++ {
				part := t.letters[from : from+len(wanted.letters)]
				if slices.EqualFunc(part, wanted.letters, sameLetter) {
					found[i] = true
					spans = append(spans, Span{part[0].start, part[len(part)-1].end})
				}
				if t.kind != run {
					break // by its beginning only
				}
			}
		}
		return true
	})
	if slices.Contains(found, false) {
		return nil, false
	}
	return merge(spans), true
}

// merge sorts spans and joins those that overlap.
func merge(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int {
		if a.Start != b.Start {
			return a.Start - b.Start
		}
		return b.End - a.End
	})
	merged := spans[:0]
	for _, s := range spans {
		if n := len(merged); n > 0 && s.Start < merged[n-1].End {
			merged[n-1].End = max(merged[n-1].End, s.End)
			continue
		}
		merged = append(merged, s)
	}
	return merged[:min(len(merged), maxSpans)]
}
