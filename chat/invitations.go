package chat

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"strings"
	"time"
)

// NewInvitation is what an invitation is made of.
type NewInvitation struct {
	Lifetime       time.Duration // 0 = it does not expire
	MaxUses        int           // 0 = any number
	IdempotencyKey string
}

const (
	// maxInvitationLifetime and maxInvitationUses bound what may be asked for.
	maxInvitationLifetime = 365 * 24 * time.Hour
	maxInvitationUses     = 100_000
	// secretLength is that of rand.Text: 130 random bits.
	secretLength = 26
)

func errNoInvitation() error {
	return NotFound("There is no such invitation.")
}

// Secret returns what only those know who have the code.
func (i Invitation) Secret() string {
	return strings.TrimPrefix(i.Code, i.ID.String())
}

// invitationCode joins what the invitation is found by with its secret.
func invitationCode(id ID, secret string) string {
	return id.String() + secret
}

// WithSecret returns the invitation with its code.
func (i Invitation) WithSecret(secret string) Invitation {
	i.Code = invitationCode(i.ID, secret)
	return i
}

// CreateInvitation makes an invitation to a group. The second result tells that
// this is the replay of an earlier answer.
func (s *Service) CreateInvitation(ctx context.Context, caller Caller, id ID, in NewInvitation) (Invitation, bool, error) {
	var faults fieldErrors
	if in.Lifetime < 0 || in.Lifetime > maxInvitationLifetime {
		faults.add("expires_in", "must be between 1 and "+decimal(int(maxInvitationLifetime.Seconds())))
	}
	if in.MaxUses < 0 || in.MaxUses > maxInvitationUses {
		faults.add("max_uses", "must be between 1 and "+decimal(maxInvitationUses))
	}
	s.checkKey(&faults, in.IdempotencyKey)
	if err := faults.err(); err != nil {
		return Invitation{}, false, err
	}
	var made Invitation
	call := creation{
		user: caller.User, key: in.IdempotencyKey, answer: &made,
		print: fingerprint("invitation", id, in.Lifetime, in.MaxUses),
	}
	replayed, err := s.once(ctx, call, []ID{caller.User}, func(tx Tx) error {
		_, role, err := enterGroup(tx, caller, id)
		if err != nil {
			return err
		}
		if err := role.may(toInvite); err != nil {
			return err
		}
		if err := s.makeRoomForInvitation(tx, id); err != nil {
			return err
		}
		made = Invitation{ID: s.ids.Next(), GroupID: id, CreatedBy: caller.User, CreatedAt: tx.At()}.
			WithSecret(strings.ToLower(rand.Text()))
		if in.Lifetime > 0 {
			expires := tx.At() + Time(in.Lifetime.Milliseconds())
			made.ExpiresAt = &expires
		}
		if in.MaxUses > 0 {
			made.MaxUses = &in.MaxUses
		}
		if err := tx.InsertInvitation(made); err != nil {
			return err
		}
		return tellManagers(tx, id, InvitationCreated, made)
	})
	return made, replayed, err
}

// makeRoomForInvitation drops those that are good no more when there are as
// many as a group may have.
func (s *Service) makeRoomForInvitation(tx Tx, group ID) error {
	count, err := tx.CountInvitations(group)
	if err != nil || count < s.limits.MaxGroupInvitations {
		return err
	}
	useless, err := tx.UselessInvitations(group)
	if err != nil {
		return err
	}
	if len(useless) == 0 {
		return errLimitReached("invitations", s.limits.MaxGroupInvitations)
	}
	for _, id := range useless {
		if err := revoke(tx, group, id); err != nil {
			return err
		}
	}
	return nil
}

func revoke(tx Tx, group, id ID) error {
	there, err := tx.DeleteInvitation(group, id)
	if err != nil {
		return err
	}
	if !there {
		return errNoInvitation()
	}
	return tellManagers(tx, group, InvitationRevoked, InvitationRevokedData{ID: id, GroupID: group})
}

// RevokeInvitation ends an invitation; who joined by it stays.
func (s *Service) RevokeInvitation(ctx context.Context, caller Caller, group, id ID) error {
	return s.inGroup(ctx, caller, group, func(tx Tx, _ Group, mine Role) error {
		if err := mine.may(toInvite); err != nil {
			return err
		}
		return revoke(tx, group, id)
	})
}

// Invitations lists a group's invitations with their codes, to the owner and admins.
func (s *Service) Invitations(ctx context.Context, caller Caller, id ID, page Page) (List[Invitation], error) {
	page, err := s.mayList(ctx, caller, id, toInvite, page)
	if err != nil {
		return List[Invitation]{}, err
	}
	return s.store.Invitations(ctx, id, page)
}

// invitation finds an invitation by its code. A wrong secret takes as long as
// the right one and sounds like an invitation that never was.
func (s *Service) invitation(ctx context.Context, code string) (Invitation, error) {
	if len(code) != idLength+secretLength {
		return Invitation{}, errNoInvitation()
	}
	id, err := ParseID(code[:idLength])
	if err != nil {
		return Invitation{}, errNoInvitation()
	}
	found, err := s.store.InvitationByID(ctx, id)
	if isNotFound(err) {
		return Invitation{}, errNoInvitation()
	}
	if err != nil {
		return Invitation{}, err
	}
	if subtle.ConstantTimeCompare([]byte(found.Code), []byte(code)) != 1 {
		return Invitation{}, errNoInvitation()
	}
	return found, nil
}

func errInvitationExpired() error {
	return &Error{Code: CodeInvitationExpired, Detail: "This invitation has expired or has been used as often as it may be. Ask for another."}
}

// PreviewInvitation tells somebody with a code what joining by it would lead to.
func (s *Service) PreviewInvitation(ctx context.Context, caller Caller, code string) (InvitationPreview, error) {
	invitation, err := s.invitation(ctx, code)
	if err != nil {
		return InvitationPreview{}, err
	}
	group, err := s.store.GroupByID(ctx, invitation.GroupID, caller.User)
	if isNotFound(err) {
		return InvitationPreview{}, errNoInvitation()
	}
	if err != nil {
		return InvitationPreview{}, err
	}
	switch _, err := s.store.BanOf(ctx, group.ID, caller.User); {
	case err == nil && group.Visibility == VisibilityPrivate:
		return InvitationPreview{}, errNoInvitation()
	case err == nil:
		return InvitationPreview{}, errBanned()
	case !isNotFound(err):
		return InvitationPreview{}, err
	}
	if !invitation.Good(TimeOf(s.now())) {
		return InvitationPreview{}, errInvitationExpired()
	}
	by, err := s.store.UserByID(ctx, invitation.CreatedBy)
	if err != nil {
		return InvitationPreview{}, err
	}
	return InvitationPreview{Group: group.seenByViewer(), InvitedBy: by.Profile, ExpiresAt: invitation.ExpiresAt}, nil
}

// JoinByInvitation makes the caller a member, whatever the group's join policy
// is. For somebody who is one already nothing changes, and no use is counted.
func (s *Service) JoinByInvitation(ctx context.Context, caller Caller, code string) (Group, error) {
	invitation, err := s.invitation(ctx, code)
	if err != nil {
		return Group{}, err
	}
	var joined Group
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(caller.User); err != nil {
			return err
		}
		group, err := tx.LockGroup(invitation.GroupID)
		if isNotFound(err) {
			return errNoInvitation()
		}
		if err != nil {
			return err
		}
		member, err := tx.MemberOf(group.ID, caller.User)
		if err == nil {
			joined = group
			joined.MyRole = &member.Role
			return nil
		}
		if !isNotFound(err) {
			return err
		}
		joined, err = s.useInvitation(tx, group, invitation.ID, caller.User)
		return err
	})
	return joined, err
}

// useInvitation adds a user to a locked group. All uses of an invitation wait
// for that lock, so that the count is current and never more join than may.
func (s *Service) useInvitation(tx Tx, group Group, id, user ID) (Group, error) {
	if err := refuseBanned(tx, group, user, errNoInvitation()); err != nil {
		return Group{}, err
	}
	current, err := tx.InvitationByID(id)
	if isNotFound(err) {
		return Group{}, errNoInvitation() // revoked meanwhile
	}
	if err != nil {
		return Group{}, err
	}
	if !current.Good(tx.At()) {
		return Group{}, errInvitationExpired()
	}
	joined, err := s.addMember(tx, group, user, RoleMember, user)
	if err != nil {
		return Group{}, err
	}
	if err := tx.UseInvitation(id); err != nil {
		return Group{}, err
	}
	current.Uses++
	return joined, tellManagers(tx, group.ID, InvitationUpdated, current)
}
