package fulltext

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWordsAreFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ query, text, marked string }{
		"a word":                   {"boards", "Who brings the boards?", "Who brings the [boards]?"},
		"any case":                 {"HELLO", "hello, Hello, hELLO", "[hello], [Hello], [hELLO]"},
		"the beginning of a word":  {"hel", "Hello, helmet, shell", "[Hel]lo, [hel]met, shell"},
		"all words, in any order":  {"bob hello", "Hello, Bob", "[Hello], [Bob]"},
		"said twice":               {"bob bob BOB", "Bob", "[Bob]"},
		"digits":                   {"2026", "in 2026-09", "in [2026]-09"},
		"an umlaut":                {"über", "Über uns", "[Über] uns"},
		"an umlaut without dots":   {"uber munchen", "Über München", "[Über] [München]"},
		"an umlaut of two":         {"münchen", "Mu\u0308nchen", "[Mu\u0308nchen]"},
		"ß is ss":                  {"strasse", "Hauptstraße, Straße", "Hauptstraße, [Straße]"},
		"ss is ß":                  {"GROẞ", "gross", "[gross]"},
		"half an ß":                {"gros", "groß", "[groß]"},
		"accents":                  {"creme brulee", "Crème brûlée", "[Crème] [brûlée]"},
		"a ligature":               {"office", "oﬃce", "[oﬃce]"},
		"a wide letter":            {"abc", "ＡＢＣ", "[ＡＢＣ]"},
		"Greek":                    {"οδυσσευς", "Ὀδυσσεύς", "[Ὀδυσσεύς]"},
		"Russian":                  {"еще", "Ещё раз", "[Ещё] раз"},
		"Hebrew with points":       {"שלום", "שָׁלוֹם", "[שָׁלוֹם]"},
		"Hindi keeps its vowels":   {"हिन्दी", "हिन्दी भाषा", "[हिन्दी] भाषा"},
		"a soft hyphen":            {"dampfschiff", "Dampf\u00adschiff", "[Dampf\u00adschiff]"},
		"Chinese":                  {"世界", "你好世界，再见", "你好[世界]，再见"},
		"Chinese, one character":   {"界", "你好世界", "你好世[界]"},
		"Chinese, long":            {"你好世界", "说：你好世界！", "说：[你好世界]！"},
		"Japanese":                 {"東京", "明日は東京へ行きます", "明日は[東京]へ行きます"},
		"kana of either kind":      {"らーめん", "ラーメン屋", "[ラーメン]屋"},
		"half-width kana":          {"ガス", "ｶﾞｽ", "[ｶﾞｽ]"},
		"Korean":                   {"한국", "대한국민", "대[한국]민"},
		"Korean of jamo":           {"한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8어", "[\u1112\u1161\u11ab\u1100\u116e\u11a8]어"},
		"Thai":                     {"กรุงเทพ", "ไปกรุงเทพกัน", "ไป[กรุงเทพ]กัน"},
		"a script beside another":  {"iphone", "iPhone手机", "[iPhone]手机"},
		"an emoji":                 {"🎉", "Party 🎉🎉!", "Party [🎉][🎉]!"},
		"an emoji of any skin":     {"👍", "ok 👍🏽", "ok [👍🏽]"},
		"an emoji and a word":      {"🎉 party", "Party🎉", "[Party][🎉]"},
		"operators are separators": {`+"bob" -(hello)* OR ~`, "bob or hello", "[bob] [or] [hello]"},
	} {
		q := ParseQuery(test.query)
		spans, found := q.Find(test.text)
		require.True(t, found, name)
		assert.Equal(t, test.marked, mark(test.text, spans), name)
		requireIndexed(t, q, test.text)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ query, text string }{
		"one of two words":        {"hello carol", "Hello, Bob"},
		"the end of a word":       {"lo", "Hello"},
		"the middle of a word":    {"ell", "Hello"},
		"characters not together": {"你界", "你好世界"},
		"parts that overlap":      {"世界世", "世界，界世"},
		"another vowel":           {"हन", "हिन्दी"},
		"nothing":                 {"", "Hello"},
		"no word":                 {`+-*"() `, `+-*"() `},
		"another emoji":           {"🎂", "🎉"},
	} {
		_, found := ParseQuery(test.query).Find(test.text)
		assert.False(t, found, name)
	}
	assert.True(t, ParseQuery(" +-*\"()<>~@%_ ").Empty())
}

func TestTermsAreAsciiLettersAndDigits(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"bob", "hello"}, Terms("Hello, Bob. HELLO!"))
	assert.Equal(t, []string{"zz", "zz00n3"}, Terms("z z00n3")) // z is the escape
	assert.Len(t, Terms("世界世界"), 3)                             // 世界, 界世, 界
	assert.Empty(t, Terms("… ?! --"))
	long := strings.Repeat("x", 5000)
	assert.Equal(t, []string{long[:maxTermBytes]}, Terms(long))
	requireIndexed(t, ParseQuery(long), long+"y")
	assert.Len(t, ParseQuery("a b c d e f g h i j k").Terms(), maxQueryTerms)
}

// mark puts brackets around the spans.
func mark(text string, spans []Span) string {
	runes := []rune(text)
	for _, s := range slices.Backward(spans) {
		runes = slices.Insert(runes, s.End, ']')
		runes = slices.Insert(runes, s.Start, '[')
	}
	return string(runes)
}

// requireIndexed requires that the index leads the query to the text.
func requireIndexed(t *testing.T, q Query, text string) {
	t.Helper()
	terms := Terms(text)
	for _, wanted := range q.Terms() {
		require.True(t, slices.ContainsFunc(terms, func(term string) bool { return strings.HasPrefix(term, wanted) }),
			"%q is not among %q", wanted, terms)
	}
}

var termShape = regexp.MustCompile(`^[a-z0-9]+$`)

// FuzzSearch searches anything in anything: what is found is what the index
// leads to, the places are inside the text, and nothing but letters and digits
// gets to a database.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{"Hello, Bob", "Straße ÜBER München", "你好世界", "ｶﾞｽ ラーメン", "대한국민", "ok 👍🏽🎉", "+\"bob\" -(x)*", "ﬃ ½ ①", "हिन्दी กรุงเทพ", "e" + strings.Repeat("\u0301", 40)} {
		f.Add(text, text)
		f.Add("o", text)
	}
	f.Fuzz(func(t *testing.T, query, text string) {
		if !utf8.ValidString(query) || !utf8.ValidString(text) || len(query) > 400 || len(text) > 4000 {
			t.Skip()
		}
		q := ParseQuery(query)
		terms, wanted := Terms(text), q.Terms()
		require.True(t, slices.IsSorted(terms))
		require.LessOrEqual(t, len(wanted), maxQueryTerms)
		for _, term := range append(wanted, terms...) {
			require.Regexp(t, termShape, term)
			require.LessOrEqual(t, len(term), maxTermBytes)
		}
		spans, found := q.Find(text)
		if !found {
			require.Empty(t, spans)
			return
		}
		requireIndexed(t, q, text)
		require.NotEmpty(t, spans)
		end := 0
		for _, s := range spans {
			require.GreaterOrEqual(t, s.Start, end)
			require.Greater(t, s.End, s.Start)
			end = s.End
		}
		require.LessOrEqual(t, end, utf8.RuneCountInString(text))
		// Whoever searches for the whole text finds it.
		_, found = ParseQuery(text).Find(text)
		require.True(t, found)
	})
}
