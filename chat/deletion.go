package chat

import (
	"context"
	"time"
)

// An account is deleted in two steps. The first is one transaction: nobody can
// sign in to it or write to it any more, nothing tells who it was, and all its
// sessions end. The second takes it out of friendships, requests, blocks and
// groups, in small transactions that can be done twice; what a node does not
// get done, FinishDeletions does.

const (
	// purgeAgain is after how long a deleted account is looked at once more: a
	// request that was under way when it was deleted has ended by then.
	purgeAgain = time.Minute
	// purgeStep bounds whom one of the small transactions concerns.
	purgeStep = 100
)

// DeleteMe deletes the caller's account. CodeWrongPassword when the password is
// not the caller's. Its messages stay, its sender is shown as deleted.
func (s *Service) DeleteMe(ctx context.Context, caller Caller, password string) error {
	known, err := s.checkPassword(ctx, caller.User, password)
	if err != nil {
		return err
	}
	err = s.endingSessions(ctx, func(tx Tx) ([]ID, error) {
		if err := confirm(tx, caller, known); err != nil {
			return nil, err
		}
		return s.deleteUser(tx, caller.User)
	})
	if err != nil {
		return err
	}
	// The account is gone whatever becomes of this; see FinishDeletions.
	_ = s.purge(ctx, caller.User)
	return nil
}

// deleteUser is the first step. It returns the sessions it has ended.
func (s *Service) deleteUser(tx Tx, user ID) ([]ID, error) {
	sessions, err := tx.LockSessionsOf(user)
	if err != nil {
		return nil, err
	}
	var ended []ID
	for _, session := range sessions {
		if err := endSession(tx, SessionRef{User: user, Session: session.ID}); err != nil {
			return nil, err
		}
		ended = append(ended, session.ID)
	}
	if err := tx.DeleteUser(user, tx.At()); err != nil {
		return nil, err
	}
	deleted, err := tx.UserByID(user)
	if err != nil {
		return nil, err
	}
	return ended, s.tellProfile(tx, deleted)
}

// FinishDeletions clears away what is left of up to limit deleted accounts, and
// returns how many it has looked at.
func (s *Service) FinishDeletions(ctx context.Context, limit int) (int, error) {
	now := TimeOf(s.now())
	users, err := s.store.DeletedUsers(ctx, now, limit)
	if err != nil {
		return 0, err
	}
	for _, user := range users {
		if err := s.purge(ctx, user); err != nil {
			return 0, err
		}
	}
	return len(users), nil
}

// purge is the second step.
func (s *Service) purge(ctx context.Context, user ID) error {
	for _, step := range []func(ctx context.Context, user ID) (bool, error){
		s.purgeGroups, s.purgeJoinRequests, s.purgeFriends, s.purgeRequests, s.purgeBlocks,
	} {
		for more := true; more; {
			var err error
			if more, err = step(ctx, user); err != nil {
				return err
			}
		}
	}
	return s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsersEvenDeleted(user); err != nil {
			return err
		}
		deleted, err := s.deletionOf(tx, user)
		if err != nil {
			return err
		}
		if err := tx.ClearUser(user); err != nil {
			return err
		}
		if again := deleted + Time(purgeAgain.Milliseconds()); again > tx.At() {
			return tx.SetPurgeAt(user, &again)
		}
		return tx.SetPurgeAt(user, nil)
	})
}

// deletionOf returns when a user was deleted.
func (s *Service) deletionOf(tx Tx, user ID) (Time, error) {
	known, err := tx.CredentialsByID(user)
	if err == nil && known.DeletedAt == nil {
		err = Conflict("This account is not deleted.")
	}
	if err != nil {
		return 0, err
	}
	return *known.DeletedAt, nil
}

// purgeGroups takes a deleted user out of some groups.
func (s *Service) purgeGroups(ctx context.Context, user ID) (bool, error) {
	groups, err := s.store.GroupsOf(ctx, user, Page{Limit: purgeStep})
	if err != nil {
		return false, err
	}
	for _, group := range groups.Items {
		if err := s.commit(ctx, func(tx Tx) error { return leaveBehind(tx, user, group.ID) }); err != nil {
			return false, err
		}
	}
	return groups.Next != nil, nil
}

// leaveBehind ends a membership of a deleted user. A group that the user owned
// goes to the admin, else the member, who has been in it for longest; with
// nobody else in it, it is dissolved.
func leaveBehind(tx Tx, user, id ID) error {
	group, err := tx.LockGroup(id)
	if isNotFound(err) {
		return nil // dissolved meanwhile
	}
	if err != nil {
		return err
	}
	member, err := tx.MemberOf(id, user)
	if isNotFound(err) {
		return nil // out already
	}
	if err != nil {
		return err
	}
	if member.Role == RoleOwner {
		members, err := tx.Members(id)
		if err != nil {
			return err
		}
		heir, found := heirOf(members, user)
		if !found {
			return dissolve(tx, id)
		}
		group.OwnerID = heir
		if err := tx.UpdateGroup(group); err != nil {
			return err
		}
		owner, err := tx.MemberOf(id, heir)
		if err != nil {
			return err
		}
		if err := handOver(tx, group, owner, user); err != nil {
			return err
		}
	}
	return removeMember(tx, group, user, leftByThemselves, user)
}

// purgeJoinRequests takes some of a deleted user's requests to join back.
func (s *Service) purgeJoinRequests(ctx context.Context, user ID) (bool, error) {
	requests, err := s.store.JoinRequestsOf(ctx, user, Page{Limit: purgeStep})
	if err != nil {
		return false, err
	}
	for _, request := range requests.Items {
		err := s.commit(ctx, func(tx Tx) error {
			if _, err := tx.LockGroup(request.GroupID); err != nil {
				return err
			}
			_, err := settleJoinRequest(tx, request.GroupID, user, RequestCancelled)
			return err
		})
		if err != nil && !isNotFound(err) { // not found: the group is dissolved
			return false, err
		}
	}
	return requests.Next != nil, nil
}

// heirOf returns who takes a group over from its owner; members are those who
// joined first before the others.
func heirOf(members []Membership, owner ID) (heir ID, found bool) {
	for _, role := range []Role{RoleAdmin, RoleMember} {
		for _, member := range members {
			if member.User != owner && member.Role == role {
				return member.User, true
			}
		}
	}
	return 0, false
}

// purgeFriends ends some friendships of a deleted user. The versions of their
// conversations were raised when the user was deleted.
func (s *Service) purgeFriends(ctx context.Context, user ID) (more bool, err error) {
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsersEvenDeleted(user); err != nil {
			return err
		}
		friends, err := tx.FriendIDs(user, purgeStep)
		if more = len(friends) == purgeStep; err != nil || len(friends) == 0 {
			return err
		}
		if err := tx.DeleteFriends(user, friends); err != nil {
			return err
		}
		return tx.Append(FriendRemoved, FriendRemovedData{UserID: user}, friends...)
	})
	return more, err
}

// purgeRequests settles one open request of a deleted user.
func (s *Service) purgeRequests(ctx context.Context, user ID) (more bool, err error) {
	request, err := s.store.PendingRequestOf(ctx, user)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsersEvenDeleted(request.From.ID, request.To.ID); err != nil {
			return err
		}
		current, err := tx.FriendRequestByID(request.ID)
		if err != nil || current.State != RequestPending {
			return err
		}
		state := RequestCancelled
		if current.To.ID == user {
			state = RequestDeclined
		}
		_, err = settle(tx, current, state)
		return err
	})
}

// purgeBlocks removes some of the blocks on a deleted user.
func (s *Service) purgeBlocks(ctx context.Context, user ID) (more bool, err error) {
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsersEvenDeleted(user); err != nil {
			return err
		}
		blockers, err := tx.BlockersOf(user, purgeStep)
		if more = len(blockers) == purgeStep; err != nil || len(blockers) == 0 {
			return err
		}
		if err := tx.DeleteBlocksOn(user, blockers); err != nil {
			return err
		}
		deleted, err := tx.UserByID(user)
		if err != nil {
			return err
		}
		return tx.Append(BlockChanged, BlockChangedData{User: deleted.Profile}, blockers...)
	})
	return more, err
}
