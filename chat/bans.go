package chat

import "context"

func errBanned() error {
	return &Error{Code: CodeBanned, Detail: "You are banned from this group."}
}

// refuseBanned refuses a user who is banned from a locked group and wants to
// join. Of a private group the banned hear no more than strangers do.
func refuseBanned(tx Tx, group Group, user ID, unknown error) error {
	_, err := tx.BanOf(group.ID, user)
	switch {
	case isNotFound(err):
		return nil
	case err != nil:
		return err
	case group.Visibility == VisibilityPrivate:
		return unknown
	default:
		return errBanned()
	}
}

// BanUser keeps a user out of a group, and removes one who is a member. It may
// be done before somebody ever joins. Banning twice is banning once.
func (s *Service) BanUser(ctx context.Context, caller Caller, id, user ID, reason string) (Ban, error) {
	var faults fieldErrors
	faults.text("reason", reason, 0, s.limits.MaxNoteLength)
	if err := faults.err(); err != nil {
		return Ban{}, err
	}
	var ban Ban
	err := s.inGroup(ctx, caller, id, func(tx Tx, group Group, mine Role) error {
		if err := mine.may(toBan); err != nil {
			return err
		}
		member, err := tx.MemberOf(id, user)
		if err != nil && !isNotFound(err) {
			return err
		}
		if err := mine.mayOver(toBan, member.Role); err != nil {
			return err
		}
		if ban, err = tx.BanOf(id, user); !isNotFound(err) {
			return err
		}
		count, err := tx.CountBans(id)
		if err != nil {
			return err
		}
		if count >= s.limits.MaxGroupBans {
			return errLimitReached("bans", s.limits.MaxGroupBans)
		}
		return banFrom(tx, group, user, caller.User, reason, member.Role != "", &ban)
	})
	return ban, err
}

func banFrom(tx Tx, group Group, user, by ID, reason string, isMember bool, ban *Ban) error {
	if _, err := tx.UserByID(user); err != nil {
		return err
	}
	if err := tx.InsertBan(group.ID, user, by, reason); err != nil {
		return err
	}
	if isMember {
		if err := removeMember(tx, group, user, leftByBan, by); err != nil {
			return err
		}
	}
	if _, err := settleJoinRequest(tx, group.ID, user, RequestDeclined); err != nil {
		return err
	}
	var err error
	if *ban, err = tx.BanOf(group.ID, user); err != nil {
		return err
	}
	return tellManagers(tx, group.ID, BanAdded, *ban)
}

// LiftBan lets a banned user join again; CodeNotFound for one who is not banned.
func (s *Service) LiftBan(ctx context.Context, caller Caller, id, user ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, mine Role) error {
		if err := mine.may(toBan); err != nil {
			return err
		}
		lifted, err := tx.DeleteBan(id, user)
		if err != nil {
			return err
		}
		if !lifted {
			return NotFound("This user is not banned.")
		}
		return tellManagers(tx, id, BanRemoved, BanRemovedData{GroupID: id, UserID: user})
	})
}

// Bans lists who is banned from a group, to the owner and admins.
func (s *Service) Bans(ctx context.Context, caller Caller, id ID, page Page) (List[Ban], error) {
	page, err := s.mayList(ctx, caller, id, toBan, page)
	if err != nil {
		return List[Ban]{}, err
	}
	return s.store.Bans(ctx, id, page)
}
