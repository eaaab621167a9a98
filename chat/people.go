package chat

// Profile is what anybody signed in may see of a user.
type Profile struct {
	ID          ID      `json:"id"`
	Username    string  `json:"username"`
	DisplayName string  `json:"display_name"`
	AvatarURL   *string `json:"avatar_url"`  // nil = none
	StatusText  string  `json:"status_text"` // "" = none
	// Deleted tells that the account is gone; its messages stay.
	Deleted bool `json:"deleted,omitempty"`
}

// What is shown in place of the names of a deleted account. No living account
// can have this username.
const (
	DeletedUsername    = "~deleted"
	DeletedDisplayName = "Deleted user"
)

// Acceptance says from whom a user takes something.
type Acceptance string

// The acceptances.
const (
	AcceptFriends  Acceptance = "friends"
	AcceptEveryone Acceptance = "everyone"
	AcceptNobody   Acceptance = "nobody"
)

// Admits tells whether somebody is accepted, who is a friend or not.
func (a Acceptance) Admits(friend bool) bool {
	switch a {
	case AcceptEveryone:
		return true
	case AcceptNobody:
		return false
	case AcceptFriends:
		return friend
	default:
		return friend
	}
}

// User is what users see of themselves.
type User struct {
	Profile

	AcceptMessagesFrom       Acceptance         `json:"accept_messages_from"`
	AcceptFriendRequestsFrom Acceptance         `json:"accept_friend_requests_from"` // everyone or nobody
	AcceptGroupInvitesFrom   Acceptance         `json:"accept_group_invites_from"`
	PresenceVisibility       PresenceVisibility `json:"presence_visibility"`
	CreatedAt                Time               `json:"created_at"`
}

// ProfilePatch changes what is not nil. An empty AvatarURL removes it.
type ProfilePatch struct {
	DisplayName              *string
	AvatarURL                *string
	StatusText               *string
	AcceptMessagesFrom       *Acceptance
	AcceptFriendRequestsFrom *Acceptance
	AcceptGroupInvitesFrom   *Acceptance
	PresenceVisibility       *PresenceVisibility
}

// Credentials is what a login is checked against.
type Credentials struct {
	User         User
	PasswordHash string
	DeletedAt    *Time // nil while the account lives
}

// Session is one device of a user: what its tokens refer to and how far it has read.
type Session struct {
	ID         ID     `json:"id"`
	UserID     ID     `json:"-"`
	DeviceName string `json:"device_name"`
	CreatedAt  Time   `json:"created_at"`
	LastSeenAt Time   `json:"last_seen_at"`
	Address    string `json:"address"`    // of the client, when it was last seen; "" = unknown
	UserAgent  string `json:"user_agent"` // what it calls itself; "" = nothing
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
	RequestExpired   RequestState = "expired"
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
	ExpiresAt Time         `json:"expires_at"` // when it is too late to answer
}

// Expired tells whether it is too late to answer the request at the given time.
func (r FriendRequest) Expired(at Time) bool {
	return r.State == RequestExpired || r.State == RequestPending && at >= r.ExpiresAt
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
	PeerIsMissing bool       // there is no such second user any more, or none yet
	// PeerTakesNoRequests tells that the second wants no friend requests.
	PeerTakesNoRequests bool
}

// MaySend tells whether the first may send the second a private message.
// A blocked sender hears the same as a stranger: who is blocked is not told.
func (r Relation) MaySend() error {
	switch {
	case r.PeerIsMissing:
		return NotFound("There is no such user.")
	case r.Blocks:
		return Forbidden("You have blocked this user. Remove the block to send messages.")
	case r.Friends && !r.PeerAccepts.Admits(true):
		return &Error{Code: CodeRecipientNotAccepting, Detail: "This user takes no messages at present."}
	case r.BlockedBy, !r.PeerAccepts.Admits(r.Friends):
		return &Error{Code: CodeRecipientNotAccepting, Detail: "This user does not take messages from you. Become friends first."}
	default:
		return nil
	}
}
