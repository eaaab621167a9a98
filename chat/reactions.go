package chat

import (
	"context"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// Reaction is how many people reacted to a message with one emoji, as a user sees it.
type Reaction struct {
	Emoji string `json:"emoji"`
	Count int    `json:"count"`
	Mine  bool   `json:"mine"` // the asking user is one of them
}

// ReactionCount is a [Reaction] as everybody sees it.
type ReactionCount struct {
	Emoji string `json:"emoji"`
	Count int    `json:"count"`
}

// Reactor is one reaction of one user.
type Reactor struct {
	User  Profile `json:"user"`
	Emoji string  `json:"emoji"`
	At    Time    `json:"at"`
}

// ReactionChangedData says what reactions a message has now, all of them, and
// who has just changed what.
type ReactionChangedData struct {
	ConversationID ID              `json:"conversation_id"`
	Seq            int64           `json:"seq"`
	UserID         ID              `json:"user_id"`
	Emoji          string          `json:"emoji"`
	Reacted        bool            `json:"reacted"` // whether the user now reacts with the emoji
	Reactions      []ReactionCount `json:"reactions"`
}

// SetReaction adds or removes a reaction of the caller and returns what the
// message has now. It needs what sending needs.
func (s *Service) SetReaction(ctx context.Context, caller Caller, ref MessageRef, emoji string, on bool) (ReactionChangedData, error) {
	now := ReactionChangedData{ConversationID: ref.ConversationID, Seq: ref.Seq, UserID: caller.User, Emoji: emoji, Reacted: on}
	if !isReaction(emoji) || len(emoji) > s.limits.MaxReactionBytes {
		return now, Invalid("emoji", "must be one emoji, or a name such as :party:, of at most "+decimal(s.limits.MaxReactionBytes)+" bytes")
	}
	seen, err := s.Message(ctx, caller, ref)
	if err != nil {
		return now, err
	}
	if seen.Deleted {
		return now, NotFound("There is no such message.")
	}
	err = s.commit(ctx, func(tx Tx) error {
		audience, err := lockForWriting(tx, caller, ref.ConversationID)
		if err != nil {
			return err
		}
		message, err := tx.MessageOf(ref)
		if err != nil {
			return err
		}
		if message.Recalled {
			return errRecalled()
		}
		var changed bool
		if now.Reactions, changed, err = tx.SetReaction(message, caller.User, emoji, on); err != nil || !changed {
			return err
		}
		if on && len(now.Reactions) > s.limits.MaxReactions {
			return Conflict("A message can have " + decimal(s.limits.MaxReactions) + " different reactions.")
		}
		horizons, err := tx.FirstSeqs(ref.ConversationID, audience)
		if err != nil {
			return err
		}
		return tx.Append(ReactionChanged, now, horizons.whoSee(audience.Members, ref.Seq)...)
	})
	return now, err
}

// Reactors lists who reacted to a message.
func (s *Service) Reactors(ctx context.Context, caller Caller, ref MessageRef, page Page) (List[Reactor], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Reactor]{}, err
	}
	if _, err := s.Message(ctx, caller, ref); err != nil {
		return List[Reactor]{}, err
	}
	return s.store.Reactors(ctx, ref, page)
}

// shortcode is how clients name emoji of their own.
var shortcode = regexp.MustCompile(`^:[a-z0-9_+-]{1,32}:$`)

// isReaction tells whether text may be a reaction: something that looks like an
// emoji, which new versions of Unicode add to, but no words.
func isReaction(text string) bool {
	if shortcode.MatchString(text) {
		return true
	}
	if text == "" || !utf8.ValidString(text) {
		return false
	}
	beyondASCII := false
	for _, r := range text {
		if unicode.IsControl(r) || unicode.IsSpace(r) || unicode.IsLetter(r) && r != 'ℹ' {
			return false
		}
		beyondASCII = beyondASCII || r > unicode.MaxASCII
	}
	return beyondASCII
}
