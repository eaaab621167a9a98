package chat

import (
	"context"
	"slices"
)

// LeaveGroup ends the caller's membership. An owner hands the group over
// first; when nobody else is in it, it is dissolved.
func (s *Service) LeaveGroup(ctx context.Context, caller Caller, id ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, group Group, role Role) error {
		switch {
		case role == "":
			return Conflict("You are no member of this group.")
		case role == RoleOwner && group.MemberCount == 1:
			return dissolve(tx, id)
		case role == RoleOwner:
			return Conflict("Make another member the owner before you leave, or dissolve the group.")
		default:
			return removeMember(tx, group, caller.User, leftByThemselves, caller.User)
		}
	})
}

// removeMember ends a membership in a locked group and tells everybody concerned.
func removeMember(tx Tx, group Group, user ID, reason string, by ID) error {
	if err := tx.DeleteMember(group.ID, user); err != nil {
		return err
	}
	said := SystemEvent{Type: SystemMemberLeft, UserIDs: []ID{user}, By: by}
	switch reason {
	case leftByRemoval:
		said.Type = SystemMemberRemoved
	case leftByBan:
		said.Type = SystemMemberBanned
	}
	return tellAll(tx, group.ID, MemberLeft,
		MemberLeftData{GroupID: group.ID, UserID: user, Reason: reason, By: by, MemberCount: group.MemberCount - 1}, said, user)
}

// requireMember refuses those who are no members: the members of a group are theirs to know.
func (s *Service) requireMember(ctx context.Context, caller Caller, id ID) error {
	group, err := s.Group(ctx, caller, id)
	if err != nil {
		return err
	}
	if group.MyRole == nil {
		return Forbidden("Only members may do this. Join the group first.")
	}
	return nil
}

// GroupMembers lists the members of a group, to members.
func (s *Service) GroupMembers(ctx context.Context, caller Caller, id ID, page Page) (List[Member], error) {
	page, err := s.mayList(ctx, caller, id, toSeeMembers, page)
	if err != nil {
		return List[Member]{}, err
	}
	return s.store.GroupMembers(ctx, id, page)
}

// PutMember adds a user to a group (whoever the group's policy lets), or
// changes a member's role (the owner may). A nil role is plain membership for a
// new member and no change for one who is. Making another the owner makes the
// caller an admin. The second result tells that the user was added.
func (s *Service) PutMember(ctx context.Context, caller Caller, id, user ID, role *Role) (Member, bool, error) {
	if role != nil {
		var faults fieldErrors
		oneOf(&faults, "role", *role, RoleOwner, RoleAdmin, RoleMember)
		if err := faults.err(); err != nil {
			return Member{}, false, err
		}
	}
	var (
		member Member
		added  bool
	)
	err := s.inGroupWith(ctx, caller, id, user, func(tx Tx, group Group, mine Role) error {
		added = false // fn may run again
		if err := group.mayAdd(mine); err != nil {
			return err
		}
		present, err := tx.MemberOf(id, user)
		switch {
		case err == nil && (role == nil || *role == present.Role):
			member = present
			return nil
		case err == nil:
			if err := changeRole(tx, group, caller.User, mine, present, *role); err != nil {
				return err
			}
			member, err = tx.MemberOf(id, user)
			return err
		case !isNotFound(err):
			return err
		}
		added = true
		member, err = s.invite(tx, group, caller.User, mine, user, role)
		return err
	})
	return member, added, err
}

// invite adds a user on behalf of a member who may. Who has asked to join is
// not asked again.
func (s *Service) invite(tx Tx, group Group, by ID, mine Role, user ID, role *Role) (Member, error) {
	granted := RoleMember
	if role != nil {
		granted = *role
	}
	if granted == RoleOwner {
		return Member{}, Forbidden("Add the user as a member first; the owner may then change the role.")
	}
	if granted == RoleAdmin {
		if err := mine.may(toAddAdmins); err != nil {
			return Member{}, err
		}
	}
	missing, refusing, err := tx.Refusals(by, []ID{user})
	switch {
	case err != nil:
		return Member{}, err
	case len(missing) > 0:
		return Member{}, NotFound("There is no such user.")
	}
	switch _, err := tx.BanOf(group.ID, user); {
	case err == nil && mine.Manages():
		return Member{}, Conflict("This user is banned from the group. Lift the ban first.")
	case err == nil:
		return Member{}, Forbidden("This user cannot be added.") // whom a group bans is its admins' to know
	case !isNotFound(err):
		return Member{}, err
	}
	_, err = tx.JoinRequestOf(group.ID, user)
	if err != nil && !isNotFound(err) {
		return Member{}, err
	}
	if err != nil { // who asked to be let in is not asked again
		if len(refusing) > 0 {
			return Member{}, errCannotAdd(user)
		}
		if err := takeInvites(tx, by, []ID{user}); err != nil {
			return Member{}, err
		}
	}
	if _, err := s.addMember(tx, group, user, granted, by); err != nil {
		return Member{}, err
	}
	return tx.MemberOf(group.ID, user)
}

// changeRole gives a member another role.
func changeRole(tx Tx, group Group, caller ID, mine Role, member Member, role Role) error {
	if err := mine.may(toChangeRoles); err != nil {
		return err
	}
	if member.User.ID == caller {
		return Conflict("An owner makes another member the owner to give the role up.")
	}
	if role != RoleOwner {
		return setRole(tx, group.ID, member, role)
	}
	group.OwnerID = member.User.ID
	if err := tx.UpdateGroup(group); err != nil {
		return err
	}
	before, err := tx.MemberOf(group.ID, caller)
	if err != nil {
		return err
	}
	if err := setRole(tx, group.ID, before, RoleAdmin); err != nil {
		return err
	}
	return handOver(tx, group, member, caller)
}

// handOver makes a member the owner of a group that says so already.
func handOver(tx Tx, group Group, member Member, by ID) error {
	if member.MutedUntil != nil { // nobody could lift it
		if err := tx.SetMutedUntil(group.ID, member.User.ID, nil); err != nil {
			return err
		}
		member.MutedUntil = nil
	}
	if err := setRole(tx, group.ID, member, RoleOwner); err != nil {
		return err
	}
	return tellAll(tx, group.ID, GroupUpdated, group, SystemEvent{Type: SystemOwnerChanged, UserIDs: []ID{member.User.ID}, By: by})
}

// setRole changes a role and tells everybody. Who manages from now on learns
// how many wait to be let in.
func setRole(tx Tx, group ID, member Member, role Role) error {
	user := member.User.ID
	if err := tx.SetRole(group, user, role); err != nil {
		return err
	}
	updated := MemberUpdatedData{GroupID: group, UserID: user, Role: role, MutedUntil: member.MutedUntil}
	if !role.Manages() || member.Role.Manages() {
		return tell(tx, group, MemberUpdated, updated)
	}
	members, err := tx.MemberIDs(group)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(members, func(id ID) bool { return id == user })
	if err := tx.Append(MemberUpdated, updated, others...); err != nil {
		return err
	}
	count, err := tx.CountJoinRequests(group)
	if err != nil {
		return err
	}
	updated.JoinRequestCount = &count
	return tx.Append(MemberUpdated, updated, user)
}

// RemoveMember ends the membership of somebody whom one outranks. Removing
// oneself is leaving.
func (s *Service) RemoveMember(ctx context.Context, caller Caller, id, user ID) error {
	if user == caller.User {
		return s.LeaveGroup(ctx, caller, id)
	}
	return s.inGroup(ctx, caller, id, func(tx Tx, group Group, mine Role) error {
		if err := mine.may(toRemove); err != nil {
			return err
		}
		member, err := tx.MemberOf(id, user)
		if err != nil {
			return err
		}
		if err := mine.mayOver(toRemove, member.Role); err != nil {
			return err
		}
		return removeMember(tx, group, user, leftByRemoval, caller.User)
	})
}
