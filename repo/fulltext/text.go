// Package fulltext says which words a text has and where they stand, so that
// every database finds the same: what a database's own parser makes of a text
// depends on its settings, and some know nothing of scripts without spaces.
//
// Text is compared without regard to case, width, and the accents of letters.
// Three kinds of words are told apart: those of scripts with spaces, which are
// found by their beginning; runs of scripts without, such as Chinese, Japanese,
// Korean and Thai, which are found by any part; and symbols such as emoji, each
// of which is a word.
package fulltext

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// kind is how a word is found.
type kind uint8

const (
	other  kind = iota // what separates words
	word               // found by its beginning
	run                // a script without spaces: found by any part
	symbol             // found as it is
)

// letter is one character as it is compared, and what of the text it comes
// from: code points start up to, without, end.
type letter struct {
	r          rune
	start, end int
}

// token is a word of a text.
type token struct {
	kind    kind
	letters []letter
}

// tokens calls yield for each word of a text until it returns false. The letters are only good during the call.
func tokens(text string, yield func(t token) bool) {
	var (
		current token
		at      int // in code points
		part    []byte
		folded  []rune
	)
	flush := func() bool {
		goOn := len(current.letters) == 0 || yield(current)
		current.letters = current.letters[:0]
		return goOn
	}
	for len(text) > 0 {
		// A part is a character with all that is put upon it, composed in one
		// way, however the text has it.
		size := partSize(text)
		part = norm.NFKC.AppendString(part[:0], text[:size])
		folded = appendFolded(folded[:0], part)
		end := at + utf8.RuneCountInString(text[:size])
		text = text[size:]
		if n := len(current.letters); n > 0 && len(folded) == 0 {
			current.letters[n-1].end = end // a skin tone, say, belongs to what it changes
		}
		for _, r := range folded {
			k := kindOf(r)
			if k == other && isMark(r) && len(current.letters) > 0 && current.kind == word {
				k = word // a vowel sign, say
			}
			if k != current.kind || k == symbol {
				if !flush() {
					return
				}
				current.kind = k
			}
			if k != other {
				current.letters = append(current.letters, letter{r, at, end})
			}
		}
		at = end
	}
	flush()
}

// partSize returns how many bytes the first part of a text has.
func partSize(text string) int {
	if len(text) == 1 || text[0] < utf8.RuneSelf && text[1] < utf8.RuneSelf {
		return 1
	}
	return norm.NFKC.NextBoundaryInString(text, true)
}

// appendFolded appends what is compared of a normalized part of a text.
func appendFolded(folded []rune, part []byte) []rune {
	for len(part) > 0 {
		r, size := utf8.DecodeRune(part)
		if decomposed := norm.NFKD.Properties(part).Decomposition(); decomposed != nil && !isUnspaced(r) {
			for _, d := range string(decomposed) {
				folded = appendRune(folded, d)
			}
		} else {
			folded = appendRune(folded, r)
		}
		part = part[size:]
	}
	return folded
}

func appendRune(folded []rune, r rune) []rune {
	if isSilent(r) {
		return folded
	}
	r = unicode.ToLower(r)
	if long, ok := spelledOut[r]; ok {
		return append(folded, long...)
	}
	if r >= 'ァ' && r <= 'ヶ' { // katakana reads as hiragana
		r -= 'ァ' - 'ぁ'
	}
	return append(folded, r)
}

// spelledOut are letters that Unicode does not take apart, but readers do.
var spelledOut = map[rune][]rune{
	'ß': []rune("ss"), 'æ': []rune("ae"), 'œ': []rune("oe"), 'ø': []rune("o"), 'đ': []rune("d"),
	'ł': []rune("l"), 'ð': []rune("d"), 'þ': []rune("th"), 'ı': []rune("i"), 'ς': []rune("σ"),
}

const (
	graphemeJoiner = '\u034f' // put by normalization into very long stacks of accents
	lightSkin      = '\U0001f3fb'
	darkSkin       = '\U0001f3ff'
	// accentClass is where the combining classes of accents begin; what is below changes the letter.
	accentClass = 10
)

// isSilent tells what is not compared: accents, what joins and formats, and
// how an emoji is shown.
func isSilent(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r == graphemeJoiner, r >= lightSkin && r <= darkSkin, unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Cf, r):
		return true
	case isMark(r):
		return norm.NFKD.PropertiesString(string(r)).CCC() >= accentClass
	default:
		return false
	}
}

func isMark(r rune) bool {
	return unicode.Is(unicode.M, r)
}

func kindOf(r rune) kind {
	switch {
	case r < 0x80:
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return word
		}
		return other
	case isUnspaced(r):
		return run
	case unicode.IsLetter(r), unicode.IsNumber(r):
		return word
	case unicode.Is(unicode.So, r):
		return symbol
	default:
		return other
	}
}

// isUnspaced tells whether r belongs to a script that is written without
// spaces between words, or in which words are found by their parts.
func isUnspaced(r rune) bool {
	if r < 0x0e00 {
		return false
	}
	if unicode.IsPunct(r) || unicode.IsSymbol(r) {
		return false
	}
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Yi) ||
		r == 'ー' || r == '々' || r == '〆'
}
