package chat

// Profile is what anybody signed in may see of a user.
type Profile struct {
	ID          ID      `json:"id"`
	Username    string  `json:"username"`
	DisplayName string  `json:"display_name"`
	AvatarURL   *string `json:"avatar_url"` // nil = none
}

// Acceptance says from whom a user takes private messages.
type Acceptance string

// The acceptances.
const (
	AcceptFriends  Acceptance = "friends"
	AcceptEveryone Acceptance = "everyone"
)

// User is what users see of themselves.
type User struct {
	Profile

	AcceptMessagesFrom Acceptance         `json:"accept_messages_from"`
	PresenceVisibility PresenceVisibility `json:"presence_visibility"`
	CreatedAt          Time               `json:"created_at"`
}

// ProfilePatch changes what is not nil. An empty AvatarURL removes it.
type ProfilePatch struct {
	DisplayName        *string
	AvatarURL          *string
	AcceptMessagesFrom *Acceptance
	PresenceVisibility *PresenceVisibility
}

// Credentials is what a login is checked against.
type Credentials struct {
	User         User
	PasswordHash string
}

// Session is one device of a user: what its tokens refer to and how far it has read.
type Session struct {
	ID         ID     `json:"id"`
	UserID     ID     `json:"-"`
	DeviceName string `json:"device_name"`
	CreatedAt  Time   `json:"created_at"`
	LastSeenAt Time   `json:"last_seen_at"`
	ExpiresAt  Time   `json:"expires_at"`
	EndedAt    *Time  `json:"-"` // nil while it lives
	Current    bool   `json:"current"`

	// RefreshGeneration is the newest refresh token given out. That one and
	// the one before are good; see Service.Refresh.
	RefreshGeneration int64 `json:"-"`
	// SavedSeq is the acknowledged position in the inbox. At login it is where
	// the inbox stood.
	SavedSeq int64 `json:"-"`
}

// Live tells whether the session may be used at the given time.
func (s Session) Live(at Time) bool {
	return s.EndedAt == nil && at < s.ExpiresAt
}

// SavedPosition is a session's acknowledged position in its user's inbox.
type SavedPosition struct {
	User    ID
	Session ID
	Seq     int64
}

// Friend is one entry of a user's list of friends.
type Friend struct {
	User   Profile `json:"user"`
	Remark string  `json:"remark"` // the owner's private note; "" = none
	Since  Time    `json:"since"`
}

// RequestState is how far a friend request has come.
type RequestState string

// The states of a friend request. Only pending ones can change.
const (
	RequestPending   RequestState = "pending"
	RequestAccepted  RequestState = "accepted"
	RequestDeclined  RequestState = "declined"
	RequestCancelled RequestState = "cancelled"
)

// FriendRequest asks somebody to become a friend.
type FriendRequest struct {
	ID        ID           `json:"id"`
	From      Profile      `json:"from"`
	To        Profile      `json:"to"`
	Note      string       `json:"note"`
	State     RequestState `json:"state"`
	CreatedAt Time         `json:"created_at"`
	UpdatedAt Time         `json:"updated_at"`
}

// Direction selects friend requests by who sent them.
type Direction string

// The directions, seen from the user who asks.
const (
	DirectionIncoming Direction = "incoming"
	DirectionOutgoing Direction = "outgoing"
)

// Block is one entry of a user's list of blocked users.
type Block struct {
	User  Profile `json:"user"`
	Since Time    `json:"since"`
}

// Relation is what decides between two users, seen from the first.
type Relation struct {
	Friends       bool
	Blocks        bool       // the first blocks the second
	BlockedBy     bool       // the second blocks the first
	PeerAccepts   Acceptance // from whom the second takes messages
	PeerIsMissing bool       // there is no such second user
}

// MaySend tells whether the first may send the second a private message.
// A blocked sender hears the same as a stranger: who is blocked is not told.
func (r Relation) MaySend() error {
	switch {
	case r.PeerIsMissing:
		return NotFound("There is no such user.")
	case r.Blocks:
		return Forbidden("You have blocked this user. Remove the block to send messages.")
	case r.BlockedBy, !r.Friends && r.PeerAccepts != AcceptEveryone:
		return &Error{Code: CodeRecipientNotAccepting, Detail: "This user does not take messages from you. Become friends first."}
	default:
		return nil
	}
}
