package chat

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits is what the service does not go beyond. All of it is told to clients.
type Limits struct {
	MaxBodyBytes           int64 `json:"max_body_bytes"`
	MaxMessageLength       int   `json:"max_message_length"` // characters
	MaxMentions            int   `json:"max_mentions"`
	MaxPayloadBytes        int   `json:"max_payload_bytes"` // of a custom message
	MaxEdits               int   `json:"max_edits"`         // of one message
	MaxReactions           int   `json:"max_reactions"`     // different ones on one message
	MaxReactionBytes       int   `json:"max_reaction_bytes"`
	MaxPins                int   `json:"max_pins"` // in one conversation
	RecallWindowSeconds    int64 `json:"recall_window_seconds"`
	MaxPageSize            int   `json:"max_page_size"`
	MaxPollEvents          int   `json:"max_poll_events"`
	MaxPollWaitSeconds     int   `json:"max_poll_wait_seconds"`
	MaxGroupMembers        int   `json:"max_group_members"`
	MaxStreamsPerUser      int   `json:"max_streams_per_user"`
	MaxPollsPerUser        int   `json:"max_polls_per_user"` // waiting on one node
	MaxUnreadCount         int   `json:"max_unread_count"`
	StreamLifetimeSeconds  int   `json:"stream_lifetime_seconds"`
	HeartbeatSeconds       int   `json:"heartbeat_seconds"`
	InboxRetentionSeconds  int64 `json:"inbox_retention_seconds"`
	MinPasswordLength      int   `json:"min_password_length"`
	MaxPasswordLength      int   `json:"max_password_length"`
	MaxDisplayNameLength   int   `json:"max_display_name_length"`
	MaxGroupNameLength     int   `json:"max_group_name_length"`
	MaxDescriptionLength   int   `json:"max_description_length"`
	MaxNoteLength          int   `json:"max_note_length"`
	MaxStatusTextLength    int   `json:"max_status_text_length"`
	MaxAvatarURLLength     int   `json:"max_avatar_url_length"`
	MaxDeviceNameLength    int   `json:"max_device_name_length"`
	MaxSessionsPerUser     int   `json:"max_sessions_per_user"`  // a login beyond it ends the one that was unused longest
	MaxProfileRecipients   int   `json:"max_profile_recipients"` // who are told of a changed profile at once
	MaxRequestCount        int   `json:"max_request_count"`      // where counting open friend requests stops
	FriendRequestSeconds   int64 `json:"friend_request_lifetime_seconds"`
	MaxIdempotencyKeyBytes int   `json:"max_idempotency_key_bytes"`
	MaxTypingMembers       int   `json:"max_typing_members"`
	TypingIntervalSeconds  int   `json:"typing_interval_seconds"`
	TypingExpiresSeconds   int   `json:"typing_expires_seconds"`
	MaxPresenceUsers       int   `json:"max_presence_users"`
	MaxPresenceFriends     int   `json:"max_presence_friends"`
	PresenceGraceSeconds   int   `json:"presence_grace_seconds"`
	MaxSearchQueryLength   int   `json:"max_search_query_length"` // characters

	MaxGroupsPerUser             int   `json:"max_groups_per_user"`
	MaxGroupInvitations          int   `json:"max_group_invitations"` // of one group
	MaxGroupBans                 int   `json:"max_group_bans"`        // of one group
	MaxInvitationLifetimeSeconds int64 `json:"max_invitation_lifetime_seconds"`
	MaxInvitationUses            int   `json:"max_invitation_uses"`
	MaxGroupJoinRequests         int   `json:"max_group_join_requests"` // waiting, of one group
	MaxAnnouncementLength        int   `json:"max_announcement_length"` // characters
	MinUsernameLength            int   `json:"min_username_length"`
	MaxUsernameLength            int   `json:"max_username_length"`
	MaxRemarkLength              int   `json:"max_remark_length"`
	MaxCursorLength              int   `json:"max_cursor_length"`
	DefaultPageSize              int   `json:"default_page_size"`
	MaxSyncConversations         int   `json:"max_sync_conversations"`
	MaxPinnedConversations       int   `json:"max_pinned_conversations"`
	MaxReceiptMembers            int   `json:"max_receipt_members"` // recipients that receipts name; more are counted
	// RateLimits is how often what may be done; empty = there are no such limits.
	RateLimits []RateLimit `json:"rate_limits"`
}

// RateLimit is how often something may be done: Burst at once, and Requests in
// each period when it goes on.
type RateLimit struct {
	Name          string `json:"name"`
	Per           string `json:"per"` // who is counted: "user", "address" or "username"
	Requests      int    `json:"requests"`
	PeriodSeconds int    `json:"period_seconds"`
	Burst         int    `json:"burst"`
}

// Bounds that are no settings and are used where no [Service] is at hand.
const (
	// defaultPageSize is how many items a part of a list has when nobody asks for another number.
	defaultPageSize = 50
	// MaxRequestCount is where counting open requests stops.
	MaxRequestCount = 1000
	// minUsernameLength and maxUsernameLength are those of usernamePattern.
	minUsernameLength = 3
	maxUsernameLength = 32
)

// FixedLimits returns the limits that are no settings; the caller adds the rest.
func FixedLimits() Limits {
	return Limits{
		MaxMentions: 50, MaxPayloadBytes: 16 << 10, MaxEdits: 100, MaxReactions: 20, MaxReactionBytes: 64, MaxPins: 50, MaxPollEvents: 500, MaxUnreadCount: MaxUnreadCount,
		MinPasswordLength: 8, MaxPasswordLength: 128, MaxDisplayNameLength: 64,
		MaxGroupNameLength: 100, MaxDescriptionLength: 1000, MaxNoteLength: 200, MaxIdempotencyKeyBytes: 128,
		TypingIntervalSeconds: int(typingInterval / time.Second), TypingExpiresSeconds: int(typingLife / time.Second),
		MaxPresenceUsers: MaxPresenceUsers, MaxPresenceFriends: MaxPresenceFriends,
		MaxSearchQueryLength: MaxSearchQueryLength,
		MaxGroupInvitations:  100, MaxGroupBans: 1000, MaxGroupJoinRequests: 1000,
		MaxInvitationLifetimeSeconds: int64(maxInvitationLifetime / time.Second), MaxInvitationUses: maxInvitationUses,
		MaxAnnouncementLength: 2000, MaxStatusTextLength: 140, MaxSessionsPerUser: 100, MaxProfileRecipients: 1000,
		MinUsernameLength: minUsernameLength, MaxUsernameLength: maxUsernameLength, MaxDeviceNameLength: 100,
		MaxRemarkLength: 64, MaxAvatarURLLength: 500, MaxCursorLength: MaxCursorLength,
		DefaultPageSize: defaultPageSize, MaxSyncConversations: syncConversations, MaxPinnedConversations: 50,
		MaxRequestCount: MaxRequestCount, MaxReceiptMembers: 100, RateLimits: []RateLimit{},
	}
}

// Limits returns what is in force.
func (s *Service) Limits() Limits {
	return s.limits
}

// fieldErrors collects what is wrong with a request, so that all of it is told at once.
type fieldErrors []FieldError

func (f *fieldErrors) add(field, message string) {
	*f = append(*f, FieldError{Field: field, Message: message})
}

// text checks a text field: valid UTF-8, no NUL, and between least and most characters.
func (f *fieldErrors) text(field, value string, least, most int) {
	n := utf8.RuneCountInString(value)
	switch {
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		f.add(field, "must be valid UTF-8 without NUL")
	case n < least && least == 1:
		f.add(field, "must not be empty")
	case n < least:
		f.add(field, "must have at least "+decimal(least)+" characters")
	case n > most:
		f.add(field, "must have at most "+decimal(most)+" characters")
	}
}

// oneOf checks that a value is among those allowed.
func oneOf[T ~string](f *fieldErrors, field string, value T, allowed ...T) {
	names := make([]string, 0, len(allowed))
	for _, a := range allowed {
		if value == a {
			return
		}
		names = append(names, string(a))
	}
	f.add(field, "must be one of: "+strings.Join(names, ", "))
}

// err returns the collected faults as one error, nil when there are none.
func (f fieldErrors) err() error {
	if len(f) == 0 {
		return nil
	}
	return &Error{Code: CodeValidation, Detail: "The request has fields that cannot be accepted.", Fields: f}
}

func decimal(n int) string {
	return strconv.Itoa(n)
}
