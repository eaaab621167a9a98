package chat

import (
	"context"
	"slices"
	"strings"
)

// NewGroup is what a group is made of.
type NewGroup struct {
	Name           string
	Description    string
	Visibility     Visibility
	JoinPolicy     JoinPolicy
	Members        []ID // besides the caller, who becomes the owner
	IdempotencyKey string
}

// JoinResult is what asking to join led to: membership, or a request that waits.
type JoinResult struct {
	Group   *Group       // set when the caller is a member now
	Request *JoinRequest // set when an admin must approve first
}

// Why a member is none any more.
const (
	leftByThemselves = "left"
	leftByRemoval    = "removed"
)

func errNoGroup() error {
	return NotFound("There is no such group.")
}

// CreateGroup makes a group with the caller as owner. The second result tells
// that this is the replay of an earlier answer.
func (s *Service) CreateGroup(ctx context.Context, caller Caller, in NewGroup) (Group, bool, error) {
	members := slices.DeleteFunc(slices.Clone(in.Members), func(id ID) bool { return id == caller.User })
	slices.Sort(members)
	members = slices.Compact(members)

	var faults fieldErrors
	s.checkGroup(&faults, GroupPatch{Name: &in.Name, Description: &in.Description, Visibility: &in.Visibility, JoinPolicy: &in.JoinPolicy})
	s.checkKey(&faults, in.IdempotencyKey)
	if err := faults.err(); err != nil {
		return Group{}, false, err
	}
	if len(members)+1 > s.limits.MaxGroupMembers {
		return Group{}, false, s.errGroupFull()
	}
	owner := RoleOwner
	var group Group
	call := creation{
		user: caller.User, key: in.IdempotencyKey, answer: &group,
		print: fingerprint("group", in.Name, in.Description, in.Visibility, in.JoinPolicy, members),
	}
	replayed, err := s.once(ctx, call, []ID{caller.User}, func(tx Tx) error {
		if err := checkInvited(tx, caller.User, members); err != nil {
			return err
		}
		group = Group{
			ID: s.ids.Next(), Name: strings.TrimSpace(in.Name), Description: in.Description, Visibility: in.Visibility,
			JoinPolicy: in.JoinPolicy, OwnerID: caller.User, MemberCount: len(members) + 1, CreatedAt: tx.At(),
		}
		if err := tx.InsertGroup(group); err != nil {
			return err
		}
		if err := tx.InsertMembers(group.ID, RoleOwner, caller.User); err != nil {
			return err
		}
		if len(members) > 0 {
			if err := tx.InsertMembers(group.ID, RoleMember, members...); err != nil {
				return err
			}
		}
		if err := tx.Append(GroupCreated, group, append(members, caller.User)...); err != nil {
			return err
		}
		group.MyRole = &owner
		return nil
	})
	return group, replayed, err
}

// checkInvited refuses users who do not exist, or who blocked or are blocked by the inviter.
func checkInvited(tx Tx, inviter ID, users []ID) error {
	if len(users) == 0 {
		return nil
	}
	missing, refusing, err := tx.Refusals(inviter, users)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return Invalid("members", "there is no user "+missing[0].String())
	}
	if len(refusing) > 0 {
		return errCannotAdd(refusing[0])
	}
	return takeInvites(tx, inviter, users)
}

func (s *Service) errGroupFull() error {
	return &Error{Code: CodeGroupFull, Detail: "A group has at most " + decimal(s.limits.MaxGroupMembers) + " members."}
}

func (s *Service) checkGroup(faults *fieldErrors, patch GroupPatch) {
	if patch.Name != nil {
		faults.text("name", strings.TrimSpace(*patch.Name), 1, s.limits.MaxGroupNameLength)
	}
	if patch.Description != nil {
		faults.text("description", *patch.Description, 0, s.limits.MaxDescriptionLength)
	}
	if patch.Visibility != nil {
		oneOf(faults, "visibility", *patch.Visibility, VisibilityPublic, VisibilityPrivate)
	}
	if patch.JoinPolicy != nil {
		oneOf(faults, "join_policy", *patch.JoinPolicy, JoinOpen, JoinApproval, JoinInvite)
	}
}

// Group returns a group as the caller sees it: private ones are not there for
// those who are no members.
func (s *Service) Group(ctx context.Context, caller Caller, id ID) (Group, error) {
	group, err := s.store.GroupByID(ctx, id, caller.User)
	if err != nil {
		return Group{}, err
	}
	if group.Visibility == VisibilityPrivate && group.MyRole == nil {
		return Group{}, errNoGroup()
	}
	return group, nil
}

// MyGroups lists the groups the caller is a member of.
func (s *Service) MyGroups(ctx context.Context, caller Caller, page Page) (List[Group], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Group]{}, err
	}
	return s.store.GroupsOf(ctx, caller.User, page)
}

// FindGroups searches the directory of public groups; an empty query lists it.
func (s *Service) FindGroups(ctx context.Context, caller Caller, query string, page Page) (List[Group], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Group]{}, err
	}
	var faults fieldErrors
	faults.text("q", query, 0, s.limits.MaxGroupNameLength)
	if err := faults.err(); err != nil {
		return List[Group]{}, err
	}
	return s.store.FindGroups(ctx, caller.User, strings.TrimSpace(query), page)
}

// inGroup runs fn under the group's lock with the caller's role, "" for
// somebody who is no member of a public group. Everybody else hears that there
// is no such group.
func (s *Service) inGroup(ctx context.Context, caller Caller, id ID, fn func(tx Tx, group Group, role Role) error) error {
	return s.commit(ctx, func(tx Tx) error {
		group, err := tx.LockGroup(id)
		if err != nil {
			return err
		}
		member, err := tx.MemberOf(id, caller.User)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err != nil && group.Visibility == VisibilityPrivate {
			return errNoGroup()
		}
		return fn(tx, group, member.Role)
	})
}

// tell appends an event to the inboxes of all members and of those named besides.
func tell(tx Tx, group ID, kind EventType, data any, besides ...ID) error {
	members, err := tx.MemberIDs(group)
	if err != nil {
		return err
	}
	return tx.Append(kind, data, append(members, besides...)...)
}

// UpdateGroup changes name, description and rules of a group. Owner and admins may.
func (s *Service) UpdateGroup(ctx context.Context, caller Caller, id ID, patch GroupPatch) (Group, error) {
	var faults fieldErrors
	s.checkGroup(&faults, patch)
	if err := faults.err(); err != nil {
		return Group{}, err
	}
	var changed Group
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, role Role) error {
		if !role.Manages() {
			return Forbidden("Only the owner and admins may change a group.")
		}
		patch.apply(&group)
		if err := tx.UpdateGroup(group); err != nil {
			return err
		}
		changed = group
		changed.MyRole = &role
		return tell(tx, id, GroupUpdated, group)
	})
	return changed, err
}

// apply writes what the patch has into group.
func (p GroupPatch) apply(group *Group) {
	if p.Name != nil {
		group.Name = strings.TrimSpace(*p.Name)
	}
	if p.Description != nil {
		group.Description = *p.Description
	}
	if p.Visibility != nil {
		group.Visibility = *p.Visibility
	}
	if p.JoinPolicy != nil {
		group.JoinPolicy = *p.JoinPolicy
	}
}

// DissolveGroup ends a group for everybody. Only its owner may.
func (s *Service) DissolveGroup(ctx context.Context, caller Caller, id ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, role Role) error {
		if role != RoleOwner {
			return Forbidden("Only the owner may dissolve a group.")
		}
		return dissolve(tx, id)
	})
}

func dissolve(tx Tx, id ID) error {
	if err := tell(tx, id, GroupDissolved, GroupDissolvedData{GroupID: id}); err != nil {
		return err
	}
	return tx.DissolveGroup(id)
}

// JoinGroup makes the caller a member of an open group, and asks for it where
// an admin must approve. Joining twice changes nothing.
func (s *Service) JoinGroup(ctx context.Context, caller Caller, id ID) (JoinResult, error) {
	var result JoinResult
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, role Role) error {
		result = JoinResult{} // fn may run again
		if role != "" {
			group.MyRole = &role
			result.Group = &group
			return nil
		}
		switch group.JoinPolicy {
		case JoinOpen:
			joined, err := s.addMember(tx, group, caller.User, RoleMember, caller.User)
			result.Group = &joined
			return err
		case JoinApproval:
			user, err := tx.UserByID(caller.User)
			if err != nil {
				return err
			}
			_, err = tx.SetJoinRequest(id, caller.User, true)
			result.Request = &JoinRequest{GroupID: id, User: user.Profile, CreatedAt: tx.At()}
			return err
		case JoinInvite:
			return Forbidden("This group takes members by invitation only.")
		default:
			return Forbidden("This group takes no members.")
		}
	})
	return result, err
}

// addMember adds a user to a locked group and tells all members, the new one included.
func (s *Service) addMember(tx Tx, group Group, user ID, role Role, by ID) (Group, error) {
	if group.MemberCount >= s.limits.MaxGroupMembers {
		return Group{}, s.errGroupFull()
	}
	profile, err := tx.UserByID(user)
	if err != nil {
		return Group{}, err
	}
	if err := tx.InsertMembers(group.ID, role, user); err != nil {
		return Group{}, err
	}
	if _, err := tx.SetJoinRequest(group.ID, user, false); err != nil {
		return Group{}, err
	}
	group.MemberCount++
	if err := tell(tx, group.ID, MemberJoined, MemberJoinedData{Group: group, User: profile.Profile, Role: role, By: by}); err != nil {
		return Group{}, err
	}
	group.MyRole = &role
	return group, nil
}

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
	return tell(tx, group.ID, MemberLeft,
		MemberLeftData{GroupID: group.ID, UserID: user, Reason: reason, By: by, MemberCount: group.MemberCount - 1}, user)
}

// requireMember refuses those who are no members: the members of a group are theirs to know.
func (s *Service) requireMember(ctx context.Context, caller Caller, id ID) (Group, error) {
	group, err := s.Group(ctx, caller, id)
	if err != nil {
		return Group{}, err
	}
	if group.MyRole == nil {
		return Group{}, Forbidden("Only members may do this. Join the group first.")
	}
	return group, nil
}

// GroupMembers lists the members of a group, to members.
func (s *Service) GroupMembers(ctx context.Context, caller Caller, id ID, page Page) (List[Member], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Member]{}, err
	}
	if _, err := s.requireMember(ctx, caller, id); err != nil {
		return List[Member]{}, err
	}
	return s.store.GroupMembers(ctx, id, page)
}

// PutMember adds a user to a group (owner and admins may), or changes a
// member's role (the owner may). A nil role is plain membership for a new
// member and no change for one who is. Making another the owner makes the
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
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, mine Role) error {
		added = false // fn may run again
		if !mine.Manages() {
			return Forbidden("Only the owner and admins may add members or change roles.")
		}
		present, err := tx.MemberOf(id, user)
		switch {
		case err == nil && (role == nil || *role == present.Role):
			member = present
			return nil
		case err == nil:
			member = present
			member.Role = *role
			return changeRole(tx, group, caller.User, mine, present, *role)
		case !isNotFound(err):
			return err
		}
		added = true
		member, err = s.invite(tx, group, caller.User, mine, user, role)
		return err
	})
	return member, added, err
}

// invite adds a user on behalf of the owner or an admin.
func (s *Service) invite(tx Tx, group Group, by ID, mine Role, user ID, role *Role) (Member, error) {
	granted := RoleMember
	if role != nil {
		granted = *role
	}
	if granted == RoleOwner || granted == RoleAdmin && mine != RoleOwner {
		return Member{}, Forbidden("Add the user as a member first; the owner may then change the role.")
	}
	missing, refusing, err := tx.Refusals(by, []ID{user})
	switch {
	case err != nil:
		return Member{}, err
	case len(missing) > 0:
		return Member{}, NotFound("There is no such user.")
	case len(refusing) > 0:
		return Member{}, errCannotAdd(user)
	}
	if err := mayInvite(tx, group.ID, by, user); err != nil {
		return Member{}, err
	}
	if _, err := s.addMember(tx, group, user, granted, by); err != nil {
		return Member{}, err
	}
	return tx.MemberOf(group.ID, user)
}

// changeRole gives a member another role, for the owner only.
func changeRole(tx Tx, group Group, caller ID, mine Role, member Member, role Role) error {
	if mine != RoleOwner {
		return Forbidden("Only the owner may change roles.")
	}
	if member.User.ID == caller {
		return Conflict("An owner makes another member the owner to give the role up.")
	}
	if role == RoleOwner {
		group.OwnerID = member.User.ID
		if err := tx.UpdateGroup(group); err != nil {
			return err
		}
		if err := setRole(tx, group.ID, caller, RoleAdmin); err != nil {
			return err
		}
		if err := tell(tx, group.ID, GroupUpdated, group); err != nil {
			return err
		}
	}
	return setRole(tx, group.ID, member.User.ID, role)
}

func setRole(tx Tx, group, user ID, role Role) error {
	if err := tx.SetRole(group, user, role); err != nil {
		return err
	}
	return tell(tx, group, MemberUpdated, MemberUpdatedData{GroupID: group, UserID: user, Role: role})
}

// RemoveMember ends another's membership: the owner may remove anybody, an
// admin plain members. Removing oneself is leaving.
func (s *Service) RemoveMember(ctx context.Context, caller Caller, id, user ID) error {
	if user == caller.User {
		return s.LeaveGroup(ctx, caller, id)
	}
	return s.inGroup(ctx, caller, id, func(tx Tx, group Group, mine Role) error {
		if !mine.Manages() {
			return Forbidden("Only the owner and admins may remove members.")
		}
		member, err := tx.MemberOf(id, user)
		if err != nil {
			return err
		}
		if member.Role == RoleOwner || member.Role == RoleAdmin && mine != RoleOwner {
			return Forbidden("Only the owner may remove an admin, and nobody the owner.")
		}
		return removeMember(tx, group, user, leftByRemoval, caller.User)
	})
}

// JoinRequests lists who waits to be let in, to the owner and admins.
func (s *Service) JoinRequests(ctx context.Context, caller Caller, id ID, page Page) (List[JoinRequest], error) {
	page, err := s.page(page)
	if err != nil {
		return List[JoinRequest]{}, err
	}
	group, err := s.requireMember(ctx, caller, id)
	if err != nil {
		return List[JoinRequest]{}, err
	}
	if !group.MyRole.Manages() {
		return List[JoinRequest]{}, Forbidden("Only the owner and admins see join requests.")
	}
	return s.store.JoinRequests(ctx, id, page)
}

// DeclineJoinRequest refuses a request to join, or takes the caller's own back;
// the user may ask again.
func (s *Service) DeclineJoinRequest(ctx context.Context, caller Caller, id, user ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, mine Role) error {
		if user != caller.User && !mine.Manages() {
			return Forbidden("Only the owner and admins may decline join requests.")
		}
		changed, err := tx.SetJoinRequest(id, user, false)
		if err == nil && !changed {
			return NotFound("There is no such join request.")
		}
		return err
	})
}
