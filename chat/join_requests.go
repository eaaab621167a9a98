package chat

import "context"

func errNoJoinRequest() error {
	return NotFound("There is no such join request.")
}

func errLimitReached(what string, most int) error {
	return &Error{Code: CodeLimitReached, Detail: "A group has at most " + decimal(most) + " " + what + "."}
}

// askToJoin adds a request to join a locked group, and tells those who settle
// it. Asking again changes nothing.
func (s *Service) askToJoin(tx Tx, group Group, user ID, note string) (JoinRequest, error) {
	waiting, err := tx.JoinRequestOf(group.ID, user)
	if !isNotFound(err) {
		return waiting, err
	}
	count, err := tx.CountJoinRequests(group.ID)
	if err != nil {
		return JoinRequest{}, err
	}
	if count >= s.limits.MaxGroupJoinRequests {
		return JoinRequest{}, errLimitReached("waiting join requests", s.limits.MaxGroupJoinRequests)
	}
	if err := tx.InsertJoinRequest(group.ID, user, note); err != nil {
		return JoinRequest{}, err
	}
	if waiting, err = tx.JoinRequestOf(group.ID, user); err != nil {
		return JoinRequest{}, err
	}
	return waiting, tellOfRequest(tx, JoinRequestCreated, waiting)
}

// settleJoinRequest ends a waiting request and tells everybody concerned; it
// tells whether there was one.
func settleJoinRequest(tx Tx, group, user ID, state RequestState) (bool, error) {
	request, err := tx.JoinRequestOf(group, user)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := tx.DeleteJoinRequest(group, user); err != nil {
		return false, err
	}
	request.State = state
	return true, tellOfRequest(tx, JoinRequestUpdated, request)
}

// tellOfRequest tells the user who asked, and the owner and admins, who also
// learn how many wait now.
func tellOfRequest(tx Tx, kind EventType, request JoinRequest) error {
	count, err := tx.CountJoinRequests(request.GroupID)
	if err != nil {
		return err
	}
	counted := request
	counted.PendingCount = &count
	if err := tellManagers(tx, request.GroupID, kind, counted); err != nil {
		return err
	}
	return tx.Append(kind, request, request.User.ID)
}

// tellManagers appends an event to the inboxes of the owner and the admins.
func tellManagers(tx Tx, group ID, kind EventType, data any) error {
	managers, err := tx.ManagerIDs(group)
	if err != nil {
		return err
	}
	return tx.Append(kind, data, managers...)
}

// mayList checks that the caller may see a list of a group, and the page.
func (s *Service) mayList(ctx context.Context, caller Caller, id ID, do groupAction, page Page) (Page, error) {
	page, err := s.page(page)
	if err != nil {
		return Page{}, err
	}
	group, err := s.Group(ctx, caller, id)
	if err != nil {
		return Page{}, err
	}
	var role Role
	if group.MyRole != nil {
		role = *group.MyRole
	}
	return page, role.may(do)
}

// JoinRequests lists who waits to be let in, to the owner and admins.
func (s *Service) JoinRequests(ctx context.Context, caller Caller, id ID, page Page) (List[JoinRequest], error) {
	page, err := s.mayList(ctx, caller, id, toLetIn, page)
	if err != nil {
		return List[JoinRequest]{}, err
	}
	return s.store.JoinRequests(ctx, id, page)
}

// MyJoinRequests lists the groups that the caller waits to be let into.
func (s *Service) MyJoinRequests(ctx context.Context, caller Caller, page Page) (List[JoinRequest], error) {
	page, err := s.page(page)
	if err != nil {
		return List[JoinRequest]{}, err
	}
	return s.store.JoinRequestsOf(ctx, caller.User, page)
}

// AcceptJoinRequest makes a member of somebody who asked to join.
func (s *Service) AcceptJoinRequest(ctx context.Context, caller Caller, id, user ID) (Member, error) {
	var member Member
	err := s.inGroupWith(ctx, caller, id, user, func(tx Tx, group Group, mine Role) error {
		if err := mine.may(toLetIn); err != nil {
			return err
		}
		if _, err := tx.JoinRequestOf(id, user); err != nil {
			return err
		}
		_, err := s.addMember(tx, group, user, RoleMember, caller.User)
		if err != nil {
			return err
		}
		member, err = tx.MemberOf(id, user)
		return err
	})
	return member, err
}

// DeclineJoinRequest refuses a request to join, or takes the caller's own back;
// the user may ask again.
func (s *Service) DeclineJoinRequest(ctx context.Context, caller Caller, id, user ID) error {
	if user == caller.User {
		return s.cancelJoinRequest(ctx, caller, id)
	}
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, mine Role) error {
		if err := mine.may(toLetIn); err != nil {
			return err
		}
		settled, err := settleJoinRequest(tx, id, user, RequestDeclined)
		if err == nil && !settled {
			return errNoJoinRequest()
		}
		return err
	})
}

// cancelJoinRequest takes the caller's request back, also when the group has
// become private since.
func (s *Service) cancelJoinRequest(ctx context.Context, caller Caller, id ID) error {
	return s.commit(ctx, func(tx Tx) error {
		if _, err := tx.LockGroup(id); err != nil {
			return err
		}
		settled, err := settleJoinRequest(tx, id, caller.User, RequestCancelled)
		if err == nil && !settled {
			return errNoJoinRequest()
		}
		return err
	})
}
