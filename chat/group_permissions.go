package chat

// groupAction is something that is done by one's role in a group.
type groupAction string

// The actions. Reading and sending are what membership is.
const (
	toChange      groupAction = "change a group"
	toAnnounce    groupAction = "make announcements"
	toSeeMembers  groupAction = "see who belongs to a group"
	toAdd         groupAction = "add members"
	toAddAdmins   groupAction = "add admins"
	toInvite      groupAction = "see, make and revoke invitations"
	toLetIn       groupAction = "see and settle join requests"
	toRemove      groupAction = "remove members"
	toMute        groupAction = "mute members"
	toBan         groupAction = "see, add and lift bans"
	toChangeRoles groupAction = "change roles"
	toDissolve    groupAction = "dissolve a group"
)

// leastRoles is who may do what: the role, or a higher one. The table in
// docs/groups.md says the same to people, and a test carries it out.
var leastRoles = map[groupAction]Role{
	toSeeMembers:  RoleMember,
	toChange:      RoleAdmin,
	toAnnounce:    RoleAdmin,
	toAdd:         RoleAdmin, // or lower, as the group's AddPolicy says
	toInvite:      RoleAdmin,
	toLetIn:       RoleAdmin,
	toRemove:      RoleAdmin, // whom one outranks
	toMute:        RoleAdmin, // whom one outranks
	toBan:         RoleAdmin, // whom one outranks
	toAddAdmins:   RoleOwner,
	toChangeRoles: RoleOwner,
	toDissolve:    RoleOwner,
}

// rank orders roles; 0 is somebody who is no member.
func (r Role) rank() int {
	switch r {
	case RoleOwner:
		return 3
	case RoleAdmin:
		return 2
	case RoleMember:
		return 1
	default:
		return 0
	}
}

// Manages tells whether the role may change the group and who belongs to it.
func (r Role) Manages() bool {
	return r.rank() >= RoleAdmin.rank()
}

// may refuses somebody whose role is too low. Who is no member and reads this
// knows of the group already, because it is public.
func (r Role) may(do groupAction) error {
	least := leastRoles[do]
	if r.rank() >= least.rank() {
		return nil
	}
	switch least {
	case RoleMember:
		return Forbidden("Only members may " + string(do) + ".")
	case RoleAdmin:
		return Forbidden("Only the owner and admins may " + string(do) + ".")
	default:
		return Forbidden("Only the owner may " + string(do) + ".")
	}
}

// mayOver is may for what is done to another member, whom one must outrank.
func (r Role) mayOver(do groupAction, other Role) error {
	if err := r.may(do); err != nil {
		return err
	}
	if r.rank() <= other.rank() {
		return Forbidden("This member's role is not below yours.")
	}
	return nil
}

// mayAdd tells whether the role may add members to this group.
func (g Group) mayAdd(role Role) error {
	if g.AddPolicy == AddByMembers && role.rank() >= RoleMember.rank() {
		return nil
	}
	return role.may(toAdd)
}
