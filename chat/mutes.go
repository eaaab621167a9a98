package chat

import (
	"context"
	"slices"
)

// GroupVoices is who of a group's members may send. It is part of the cached
// audience, so that asking costs a message nothing.
type GroupVoices struct {
	Managers     []ID        // the owner and the admins, ascending
	ManagersOnly bool        // all others are muted
	MutedUntil   map[ID]Time // those who are muted by themselves; may be past
}

// MaySpeak tells whether a member may send at the given time.
func (v *GroupVoices) MaySpeak(user ID, at Time) error {
	if until, muted := v.MutedUntil[user]; muted && at < until {
		return &Error{Code: CodeMuted, Detail: "You are muted in this group until " + until.String() + "."}
	}
	if !v.ManagersOnly {
		return nil
	}
	if _, manages := slices.BinarySearch(v.Managers, user); !manages {
		return &Error{Code: CodeMuted, Detail: "Only the owner and admins may send to this group at the moment."}
	}
	return nil
}

// MuteMember keeps a member from sending until a time, over whom one outranks.
func (s *Service) MuteMember(ctx context.Context, caller Caller, id, user ID, until Time) (Member, error) {
	var muted Member
	err := s.inGroup(ctx, caller, id, func(tx Tx, _ Group, mine Role) error {
		if until <= tx.At() {
			return Invalid("until", "must be in the future")
		}
		var err error
		muted, err = setMuted(tx, id, mine, user, &until)
		return err
	})
	return muted, err
}

// UnmuteMember lets a muted member send again; for one who is not muted it changes nothing.
func (s *Service) UnmuteMember(ctx context.Context, caller Caller, id, user ID) error {
	return s.inGroup(ctx, caller, id, func(tx Tx, _ Group, mine Role) error {
		_, err := setMuted(tx, id, mine, user, nil)
		return err
	})
}

func setMuted(tx Tx, group ID, mine Role, user ID, until *Time) (Member, error) {
	if err := mine.may(toMute); err != nil {
		return Member{}, err
	}
	member, err := tx.MemberOf(group, user)
	if err != nil {
		return Member{}, err
	}
	if err := mine.mayOver(toMute, member.Role); err != nil {
		return Member{}, err
	}
	if until == nil && member.MutedUntil == nil {
		return member, nil
	}
	if err := tx.SetMutedUntil(group, user, until); err != nil {
		return Member{}, err
	}
	member.MutedUntil = until
	return member, tell(tx, group, MemberUpdated, MemberUpdatedData{GroupID: group, UserID: user, Role: member.Role, MutedUntil: until})
}
