package chat

// Visibility says who may know of a group.
type Visibility string

// The visibilities: public groups are in the directory, private ones are known
// to their members only.
const (
	VisibilityPublic  Visibility = "public"
	VisibilityPrivate Visibility = "private"
)

// JoinPolicy says how one becomes a member.
type JoinPolicy string

// The join policies: at once, when an admin approves, or only when added.
const (
	JoinOpen     JoinPolicy = "open"
	JoinApproval JoinPolicy = "approval"
	JoinInvite   JoinPolicy = "invite"
)

// Role is what a member may do.
type Role string

// The roles, of which each may do what the ones below it may; leastRoles says what.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// AddPolicy says who may add members.
type AddPolicy string

// The add policies: the owner and admins, or every member.
const (
	AddByAdmins  AddPolicy = "admins"
	AddByMembers AddPolicy = "members"
)

// SendPolicy says who may send to a group.
type SendPolicy string

// The send policies: every member, or the owner and admins only, which mutes all others.
const (
	SendByEveryone SendPolicy = "everyone"
	SendByAdmins   SendPolicy = "admins"
)

// Group is a conversation of many. Its id is the conversation's id too.
type Group struct {
	ID          ID         `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Visibility  Visibility `json:"visibility"`
	JoinPolicy  JoinPolicy `json:"join_policy"`
	OwnerID     ID         `json:"owner_id"`
	MemberCount int        `json:"member_count"`
	CreatedAt   Time       `json:"created_at"`

	AddPolicy  AddPolicy  `json:"add_policy"`
	SendPolicy SendPolicy `json:"send_policy"`
	// HistoryForNewcomers tells whether those who join from now on see what was
	// said before.
	HistoryForNewcomers bool               `json:"history_for_newcomers"`
	Announcement        *GroupAnnouncement `json:"announcement"` // nil = none, or not the viewer's to know
	// JoinRequestCount is how many wait to be let in: for the owner and admins,
	// nil for others and in events.
	JoinRequestCount *int `json:"join_request_count,omitempty"`

	// MyRole is the asking user's role: nil for somebody who is no member, and
	// in events, which many read.
	MyRole *Role `json:"my_role,omitempty"`
}

// GroupAnnouncement is a text that stays on top of a group.
type GroupAnnouncement struct {
	Text string `json:"text"`
	By   ID     `json:"by"`
	At   Time   `json:"at"`
}

// seenByViewer returns the group as whoever asked may see it: an announcement
// is for members.
func (g Group) seenByViewer() Group {
	if g.MyRole == nil {
		g.Announcement = nil
	}
	return g
}

// GroupPatch changes what is not nil.
type GroupPatch struct {
	Name        *string
	Description *string
	Visibility  *Visibility
	JoinPolicy  *JoinPolicy

	AddPolicy           *AddPolicy
	SendPolicy          *SendPolicy
	HistoryForNewcomers *bool
}

// Member is one user in a group.
type Member struct {
	User       Profile `json:"user"`
	Role       Role    `json:"role"`
	JoinedAt   Time    `json:"joined_at"`
	MutedUntil *Time   `json:"muted_until"` // nil, or past, while the member may send
}

// JoinRequest waits for an admin's approval.
type JoinRequest struct {
	GroupID   ID           `json:"group_id"`
	User      Profile      `json:"user"`
	Note      string       `json:"note"`
	State     RequestState `json:"state"`
	CreatedAt Time         `json:"created_at"`
	// PendingCount is how many wait now. It is in the owner's and admins'
	// copies of events only.
	PendingCount *int `json:"pending_count,omitempty"`
}

// Invitation lets those who have its code join.
type Invitation struct {
	ID        ID     `json:"id"`
	GroupID   ID     `json:"group_id"`
	Code      string `json:"code"`
	CreatedBy ID     `json:"created_by"`
	CreatedAt Time   `json:"created_at"`
	ExpiresAt *Time  `json:"expires_at"` // nil = never
	MaxUses   *int   `json:"max_uses"`   // nil = any number
	Uses      int    `json:"uses"`
}

// Good tells whether one more may join by the invitation at the given time.
func (i Invitation) Good(at Time) bool {
	return (i.ExpiresAt == nil || at < *i.ExpiresAt) && (i.MaxUses == nil || i.Uses < *i.MaxUses)
}

// InvitationPreview is what somebody with a code sees before joining.
type InvitationPreview struct {
	Group     Group   `json:"group"`
	InvitedBy Profile `json:"invited_by"`
	ExpiresAt *Time   `json:"expires_at"`
}

// Ban keeps a user out of a group.
type Ban struct {
	GroupID  ID      `json:"group_id"`
	User     Profile `json:"user"`
	BannedBy ID      `json:"banned_by"`
	Reason   string  `json:"reason"` // for the owner and admins; "" = none was given
	BannedAt Time    `json:"banned_at"`
}
