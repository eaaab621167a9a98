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

	AddPolicy           AddPolicy  // "" = admins
	SendPolicy          SendPolicy // "" = everyone
	HistoryForNewcomers *bool      // nil = true
}

// completed returns it with the defaults filled in.
func (g NewGroup) completed() NewGroup {
	if g.AddPolicy == "" {
		g.AddPolicy = AddByAdmins
	}
	if g.SendPolicy == "" {
		g.SendPolicy = SendByEveryone
	}
	if g.HistoryForNewcomers == nil {
		yes := true
		g.HistoryForNewcomers = &yes
	}
	return g
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
	leftByBan        = "banned"
)

func errNoGroup() error {
	return NotFound("There is no such group.")
}

// CreateGroup makes a group with the caller as owner. The second result tells
// that this is the replay of an earlier answer.
func (s *Service) CreateGroup(ctx context.Context, caller Caller, in NewGroup) (Group, bool, error) {
	in = in.completed()
	members := slices.DeleteFunc(slices.Clone(in.Members), func(id ID) bool { return id == caller.User })
	slices.Sort(members)
	members = slices.Compact(members)

	var faults fieldErrors
	s.checkGroup(&faults, GroupPatch{
		Name: &in.Name, Description: &in.Description, Visibility: &in.Visibility, JoinPolicy: &in.JoinPolicy,
		AddPolicy: &in.AddPolicy, SendPolicy: &in.SendPolicy,
	})
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
		print: fingerprint("group", in.Name, in.Description, in.Visibility, in.JoinPolicy, members,
			in.AddPolicy, in.SendPolicy, in.HistoryForNewcomers),
	}
	replayed, err := s.once(ctx, call, []ID{caller.User}, func(tx Tx) error {
		var err error
		group, err = s.insertGroup(tx, caller.User, in, members)
		if err != nil {
			return err
		}
		group.MyRole = &owner
		return nil
	})
	return group, replayed, err
}

// insertGroup makes a group with its first members and tells them.
func (s *Service) insertGroup(tx Tx, by ID, in NewGroup, members []ID) (Group, error) {
	if err := checkInvited(tx, by, members); err != nil {
		return Group{}, err
	}
	group := Group{
		ID: s.ids.Next(), Name: strings.TrimSpace(in.Name), Description: in.Description, Visibility: in.Visibility,
		JoinPolicy: in.JoinPolicy, OwnerID: by, MemberCount: len(members) + 1, CreatedAt: tx.At(),
		AddPolicy: in.AddPolicy, SendPolicy: in.SendPolicy, HistoryForNewcomers: *in.HistoryForNewcomers,
	}
	if err := tx.InsertGroup(group); err != nil {
		return Group{}, err
	}
	if err := s.checkGroupsOf(tx, by, append([]ID{by}, members...)...); err != nil {
		return Group{}, err
	}
	if err := tx.InsertMembers(group.ID, RoleOwner, by); err != nil {
		return Group{}, err
	}
	if err := tx.InsertMembers(group.ID, RoleMember, members...); err != nil {
		return Group{}, err
	}
	if err := tellAdded(tx, group.ID, by); err != nil {
		return Group{}, err
	}
	if err := tellAdded(tx, group.ID, members...); err != nil {
		return Group{}, err
	}
	return group, tellAll(tx, group.ID, GroupCreated, group, SystemEvent{Type: SystemGroupCreated, UserIDs: members, By: by})
}

// checkGroupsOf refuses users who are in as many groups as one may be.
func (s *Service) checkGroupsOf(tx Tx, by ID, users ...ID) error {
	full, err := tx.InGroups(users, s.limits.MaxGroupsPerUser)
	if err != nil || len(full) == 0 {
		return err
	}
	who := "You are"
	if full[0] != by {
		who = "The user " + full[0].String() + " is"
	}
	return &Error{Code: CodeTooManyGroups, Detail: who + " in " + decimal(s.limits.MaxGroupsPerUser) + " groups, which is the most."}
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
	if patch.AddPolicy != nil {
		oneOf(faults, "add_policy", *patch.AddPolicy, AddByAdmins, AddByMembers)
	}
	if patch.SendPolicy != nil {
		oneOf(faults, "send_policy", *patch.SendPolicy, SendByEveryone, SendByAdmins)
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
	return group.seenByViewer(), nil
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
	found, err := s.store.FindGroups(ctx, caller.User, strings.TrimSpace(query), page)
	for i := range found.Items {
		found.Items[i] = found.Items[i].seenByViewer()
	}
	return found, err
}

// inGroup runs fn under the group's lock with the caller's role, "" for
// somebody who is no member of a public group. Everybody else hears that there
// is no such group.
func (s *Service) inGroup(ctx context.Context, caller Caller, id ID, fn func(tx Tx, group Group, role Role) error) error {
	return s.commit(ctx, func(tx Tx) error {
		group, role, err := enterGroup(tx, caller, id)
		if err != nil {
			return err
		}
		return fn(tx, group, role)
	})
}

// inGroupWith is inGroup for what may make a member of a user: the user is
// locked too, so that nobody gets into more groups than one may be in.
func (s *Service) inGroupWith(ctx context.Context, caller Caller, id, user ID, fn func(tx Tx, group Group, role Role) error) error {
	return s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(user); err != nil {
			return err
		}
		group, role, err := enterGroup(tx, caller, id)
		if err != nil {
			return err
		}
		return fn(tx, group, role)
	})
}

// enterGroup locks a group and returns it with the caller's role; see inGroup.
func enterGroup(tx Tx, caller Caller, id ID) (Group, Role, error) {
	group, err := tx.LockGroup(id)
	if err != nil {
		return Group{}, "", err
	}
	member, err := tx.MemberOf(id, caller.User)
	if err != nil && !isNotFound(err) {
		return Group{}, "", err
	}
	if err != nil && group.Visibility == VisibilityPrivate {
		return Group{}, "", errNoGroup()
	}
	return group, member.Role, nil
}

// tell appends an event to the inboxes of all members.
func tell(tx Tx, group ID, kind EventType, data any) error {
	members, err := tx.MemberIDs(group)
	if err != nil {
		return err
	}
	return tx.Append(kind, data, members...)
}

// UpdateGroup changes name, description and policies of a group.
func (s *Service) UpdateGroup(ctx context.Context, caller Caller, id ID, patch GroupPatch) (Group, error) {
	var faults fieldErrors
	s.checkGroup(&faults, patch)
	if err := faults.err(); err != nil {
		return Group{}, err
	}
	var changed Group
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, role Role) error {
		if err := role.may(toChange); err != nil {
			return err
		}
		before := group.Name
		patch.apply(&group)
		if err := tx.UpdateGroup(group); err != nil {
			return err
		}
		changed = group
		changed.MyRole = &role
		if group.Name == before {
			return tell(tx, id, GroupUpdated, group)
		}
		return tellAll(tx, id, GroupUpdated, group, SystemEvent{Type: SystemGroupRenamed, By: caller.User, Name: group.Name})
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
	if p.AddPolicy != nil {
		group.AddPolicy = *p.AddPolicy
	}
	if p.SendPolicy != nil {
		group.SendPolicy = *p.SendPolicy
	}
	if p.HistoryForNewcomers != nil {
		group.HistoryForNewcomers = *p.HistoryForNewcomers
	}
}

// DissolveGroup ends a group for everybody.
func (s *Service) DissolveGroup(ctx context.Context, caller Caller, id ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, role Role) error {
		if err := role.may(toDissolve); err != nil {
			return err
		}
		return dissolve(tx, id)
	})
}

func dissolve(tx Tx, id ID) error {
	waiting, err := tx.JoinRequesters(id)
	if err != nil {
		return err
	}
	for _, user := range waiting {
		request, err := tx.JoinRequestOf(id, user)
		if err != nil {
			return err
		}
		request.State = RequestDeclined
		if err := tx.Append(JoinRequestUpdated, request, user); err != nil {
			return err
		}
	}
	if err := tell(tx, id, GroupDissolved, GroupDissolvedData{GroupID: id}); err != nil {
		return err
	}
	return tx.DissolveGroup(id)
}

// JoinGroup makes the caller a member of an open group, and asks for it, with a
// note, where an admin must approve. Joining twice changes nothing.
func (s *Service) JoinGroup(ctx context.Context, caller Caller, id ID, note string) (JoinResult, error) {
	var faults fieldErrors
	faults.text("note", note, 0, s.limits.MaxNoteLength)
	if err := faults.err(); err != nil {
		return JoinResult{}, err
	}
	var result JoinResult
	err := s.inGroupWith(ctx, caller, id, caller.User, func(tx Tx, group Group, role Role) error {
		result = JoinResult{} // fn may run again
		if role != "" {
			group.MyRole = &role
			result.Group = &group
			return nil
		}
		if err := refuseBanned(tx, group, caller.User, errNoGroup()); err != nil {
			return err
		}
		switch group.JoinPolicy {
		case JoinOpen:
			joined, err := s.addMember(tx, group, caller.User, RoleMember, caller.User)
			result.Group = &joined
			return err
		case JoinApproval:
			request, err := s.askToJoin(tx, group, caller.User, note)
			result.Request = &request
			return err
		case JoinInvite:
			return Forbidden("This group takes members by invitation only.")
		default:
			return Forbidden("This group takes no members.")
		}
	})
	return result, err
}

// addMember adds a user to a locked group, settles the user's request to join,
// and tells all members, the new one included. Who calls it has locked the
// user and has made sure that there is no ban.
func (s *Service) addMember(tx Tx, group Group, user ID, role Role, by ID) (Group, error) {
	if group.MemberCount >= s.limits.MaxGroupMembers {
		return Group{}, s.errGroupFull()
	}
	if err := s.checkGroupsOf(tx, by, user); err != nil {
		return Group{}, err
	}
	if err := tx.InsertMembers(group.ID, role, user); err != nil {
		return Group{}, err
	}
	member, err := tx.MemberOf(group.ID, user)
	if err != nil {
		return Group{}, err
	}
	if _, err := settleJoinRequest(tx, group.ID, user, RequestAccepted); err != nil {
		return Group{}, err
	}
	group.MemberCount++
	if err := passOver(tx, group.ID, user); err != nil {
		return Group{}, err
	}
	if err := tellAdded(tx, group.ID, user); err != nil {
		return Group{}, err
	}
	joined := MemberJoinedData{Group: group, User: member.User, Role: role, By: by, MutedUntil: member.MutedUntil}
	said := SystemEvent{Type: SystemMemberJoined, UserIDs: []ID{user}, By: by}
	if err := tellAll(tx, group.ID, MemberJoined, joined, said); err != nil {
		return Group{}, err
	}
	group.MyRole = &role
	return group, nil
}

// passOver notes that a new member has read what was said before: it is
// history, not unread.
func passOver(tx Tx, group, user ID) error {
	lastSeq, err := tx.LastSeq(group)
	if err != nil {
		return err
	}
	before, err := tx.ReadSeq(group, user)
	if err != nil || before >= lastSeq {
		return err
	}
	_, err = tx.SetReadSeq(group, user, lastSeq)
	return err
}

// tellAdded tells new members of a group of its conversation, as the first of
// them sees it: they must be in the same role and have set nothing for it.
func tellAdded(tx Tx, group ID, users ...ID) error {
	if len(users) == 0 {
		return nil
	}
	conversation, err := tx.ConversationOf(group, users[0])
	if err != nil {
		return err
	}
	conversation.LastMessage = nil // inboxes keep nothing of what may yet be recalled
	return tx.Append(ConversationAdded, conversation, users...)
}
