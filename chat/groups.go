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

// The roles. An owner may do all; an admin may change the group, add members
// and remove plain ones; a member may read and send.
const (
	RoleOwner  Role = "owner"
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// Manages tells whether the role may change the group and who belongs to it.
func (r Role) Manages() bool {
	return r == RoleOwner || r == RoleAdmin
}

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
	// MyRole is the asking user's role: nil for somebody who is no member, and
	// in events, which many read.
	MyRole *Role `json:"my_role,omitempty"`
}

// GroupPatch changes what is not nil.
type GroupPatch struct {
	Name        *string
	Description *string
	Visibility  *Visibility
	JoinPolicy  *JoinPolicy
}

// Member is one user in a group.
type Member struct {
	User     Profile `json:"user"`
	Role     Role    `json:"role"`
	JoinedAt Time    `json:"joined_at"`
}

// JoinRequest waits for an admin's approval; adding the user as a member grants it.
type JoinRequest struct {
	GroupID   ID      `json:"group_id"`
	User      Profile `json:"user"`
	CreatedAt Time    `json:"created_at"`
}
