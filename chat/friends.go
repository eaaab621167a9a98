package chat

import (
	"context"
	"crypto/sha256"
	"encoding/json"
)

// FriendRequestInput asks a user to become a friend.
type FriendRequestInput struct {
	UserID         ID
	Note           string
	IdempotencyKey string // "" = none
}

// RequestFriend asks another user to become a friend. A request that meets its
// mirror image makes them friends at once and returns the other's request, now
// accepted. The second result tells that this is the replay of an earlier answer.
func (s *Service) RequestFriend(ctx context.Context, caller Caller, in FriendRequestInput) (FriendRequest, bool, error) {
	var faults fieldErrors
	faults.text("note", in.Note, 0, s.limits.MaxNoteLength)
	if in.UserID == caller.User {
		faults.add("user_id", "must be another user")
	}
	s.checkKey(&faults, in.IdempotencyKey)
	if err := faults.err(); err != nil {
		return FriendRequest{}, false, err
	}
	var request FriendRequest
	call := creation{user: caller.User, key: in.IdempotencyKey, print: fingerprint("friend_request", in.UserID, in.Note), answer: &request}
	replayed, err := s.once(ctx, call, []ID{caller.User, in.UserID}, func(tx Tx) error {
		relation, err := mayRequest(tx, caller.User, in.UserID)
		if err != nil {
			return err
		}
		mirror, err := openRequest(tx, in.UserID, caller.User)
		if err == nil { // the other has asked, whatever the other takes from strangers
			request, err = s.befriend(tx, mirror)
			return err
		}
		if !isNotFound(err) {
			return err
		}
		if relation.PeerTakesNoRequests {
			return errTakesNoRequests()
		}
		if _, err := openRequest(tx, caller.User, in.UserID); !isNotFound(err) {
			if err != nil {
				return err
			}
			return Conflict("You have asked this user already, and the answer is open.")
		}
		expires := TimeOf(tx.At().Std().Add(s.lifetimes.FriendRequest))
		if request, err = tx.InsertFriendRequest(s.ids.Next(), caller.User, in.UserID, in.Note, expires); err != nil {
			return err
		}
		return tellRequest(tx, FriendRequestCreated, request)
	})
	return request, replayed, err
}

// mayRequest tells whether one user may ask the other to become friends.
func mayRequest(tx Tx, from, to ID) (Relation, error) {
	relation, err := tx.RelationOf(from, to)
	switch {
	case err != nil:
		return relation, err
	case relation.Friends:
		return relation, &Error{Code: CodeAlreadyFriends, Detail: "You are friends already."}
	case relation.Blocks:
		return relation, Forbidden("You have blocked this user. Remove the block first.")
	case relation.BlockedBy:
		return relation, errTakesNoRequests()
	default:
		return relation, nil
	}
}

// errTakesNoRequests does not tell a block from a wish to be left in peace.
func errTakesNoRequests() error {
	return &Error{Code: CodeRecipientNotAccepting, Detail: "This user does not take requests from you."}
}

// openRequest returns the request of one user to another that can still be
// answered, CodeNotFound when there is none. One whose time is over ends here,
// so that a new one can be made.
func openRequest(tx Tx, from, to ID) (FriendRequest, error) {
	request, err := tx.PendingFriendRequest(from, to)
	if err != nil || !request.Expired(tx.At()) {
		return request, err
	}
	if _, err := settle(tx, request, RequestExpired); err != nil {
		return FriendRequest{}, err
	}
	return FriendRequest{}, NotFound("The request has expired.")
}

// FriendRequestData is a friend request as one side learns of it. The one who
// was asked also learns how many requests wait for an answer now.
type FriendRequestData struct {
	FriendRequest

	IncomingRequestCount *int `json:"incoming_request_count,omitempty"`
}

// tellRequest tells both sides of a request. Both are locked, so that the count
// is the newest when its event comes.
func tellRequest(tx Tx, kind EventType, request FriendRequest) error {
	if err := tx.Append(kind, FriendRequestData{FriendRequest: request}, request.From.ID); err != nil {
		return err
	}
	count, err := tx.CountIncomingRequests(request.To.ID)
	if err != nil {
		return err
	}
	return tx.Append(kind, FriendRequestData{FriendRequest: request, IncomingRequestCount: &count}, request.To.ID)
}

// ExpireRequests ends up to limit friend requests whose time is over, tells both
// sides, and returns how many it has looked at.
func (s *Service) ExpireRequests(ctx context.Context, limit int) (int, error) {
	late, err := s.store.ExpiredRequests(ctx, TimeOf(s.now()), limit)
	if err != nil {
		return 0, err
	}
	for _, request := range late {
		err := s.commit(ctx, func(tx Tx) error {
			if err := tx.LockUsersEvenDeleted(request.From.ID, request.To.ID); err != nil {
				return err
			}
			if _, err := openRequest(tx, request.From.ID, request.To.ID); !isNotFound(err) {
				return err
			}
			return nil // it has ended: just now, or before
		})
		if err != nil {
			return 0, err
		}
	}
	return len(late), nil
}

// befriend accepts a pending request: both become friends and get a conversation.
func (s *Service) befriend(tx Tx, request FriendRequest) (FriendRequest, error) {
	from, to := request.From, request.To
	if err := tx.InsertFriendship(s.ids.Next(), from.ID, to.ID); err != nil {
		return FriendRequest{}, err
	}
	request, err := settle(tx, request, RequestAccepted)
	if err != nil {
		return FriendRequest{}, err
	}
	if err := tx.Append(FriendAdded, Friend{User: to, Since: tx.At()}, from.ID); err != nil {
		return FriendRequest{}, err
	}
	return request, tx.Append(FriendAdded, Friend{User: from, Since: tx.At()}, to.ID)
}

// settle gives a pending request its last state and tells both sides.
func settle(tx Tx, request FriendRequest, state RequestState) (FriendRequest, error) {
	if err := tx.SetFriendRequestState(request.ID, state); err != nil {
		return FriendRequest{}, err
	}
	request.State, request.UpdatedAt = state, tx.At()
	return request, tellRequest(tx, FriendRequestUpdated, request)
}

// FriendRequests lists the caller's open requests, newest first.
func (s *Service) FriendRequests(ctx context.Context, caller Caller, direction Direction, page Page) (List[FriendRequest], error) {
	page, err := s.page(page)
	if err != nil {
		return List[FriendRequest]{}, err
	}
	return s.store.FriendRequests(ctx, caller.User, direction, TimeOf(s.now()), page)
}

// AcceptRequest makes friends of the caller and the one who asked.
func (s *Service) AcceptRequest(ctx context.Context, caller Caller, id ID) (FriendRequest, error) {
	return s.answer(ctx, caller, id, func(tx Tx, request FriendRequest) (FriendRequest, error) {
		if request.To.ID != caller.User {
			return FriendRequest{}, Forbidden("Only the one who was asked can accept a request.")
		}
		return s.befriend(tx, request)
	})
}

// DeclineRequest refuses a request that the caller got.
func (s *Service) DeclineRequest(ctx context.Context, caller Caller, id ID) (FriendRequest, error) {
	return s.answer(ctx, caller, id, func(tx Tx, request FriendRequest) (FriendRequest, error) {
		if request.To.ID != caller.User {
			return FriendRequest{}, Forbidden("Only the one who was asked can decline a request.")
		}
		return settle(tx, request, RequestDeclined)
	})
}

// CancelRequest takes back a request that the caller made.
func (s *Service) CancelRequest(ctx context.Context, caller Caller, id ID) error {
	_, err := s.answer(ctx, caller, id, func(tx Tx, request FriendRequest) (FriendRequest, error) {
		if request.From.ID != caller.User {
			return FriendRequest{}, Forbidden("Only the one who asked can take a request back.")
		}
		return settle(tx, request, RequestCancelled)
	})
	return err
}

// answer runs act on a pending request of which the caller is one side.
func (s *Service) answer(ctx context.Context, caller Caller, id ID, act func(tx Tx, request FriendRequest) (FriendRequest, error)) (FriendRequest, error) {
	unknown := NotFound("There is no such friend request.")
	// Who is concerned never changes, so it may be read before the users are locked.
	seen, err := s.store.FriendRequestByID(ctx, id)
	if err != nil {
		return FriendRequest{}, err
	}
	if seen.From.ID != caller.User && seen.To.ID != caller.User {
		return FriendRequest{}, unknown
	}
	var answered FriendRequest
	err = s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(seen.From.ID, seen.To.ID); err != nil {
			return err
		}
		request, err := tx.FriendRequestByID(id)
		if err != nil {
			return err
		}
		if request.State != RequestPending {
			return Conflict("This request has been answered already: " + string(request.State) + ".")
		}
		if request.Expired(tx.At()) {
			return Conflict("This request has expired.")
		}
		answered, err = act(tx, request)
		return err
	})
	return answered, err
}

// Friends lists the caller's friends.
func (s *Service) Friends(ctx context.Context, caller Caller, page Page) (List[Friend], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Friend]{}, err
	}
	return s.store.Friends(ctx, caller.User, page)
}

// SetRemark changes the caller's private note on a friend. The caller's devices
// learn of it, and nobody else.
func (s *Service) SetRemark(ctx context.Context, caller Caller, friend ID, remark string) (Friend, error) {
	var faults fieldErrors
	faults.text("remark", remark, 0, s.limits.MaxRemarkLength)
	if err := faults.err(); err != nil {
		return Friend{}, err
	}
	var changed Friend
	err := s.commit(ctx, func(tx Tx) (err error) {
		if err := tx.SetRemark(caller.User, friend, remark); err != nil {
			return err
		}
		if changed, err = tx.Friend(caller.User, friend); err != nil {
			return err
		}
		return tx.Append(FriendUpdated, changed, caller.User)
	})
	return changed, err
}

// RemoveFriend ends a friendship, for both.
func (s *Service) RemoveFriend(ctx context.Context, caller Caller, friend ID) error {
	if friend == caller.User {
		return NotFound("You are no friends.")
	}
	return s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(caller.User, friend); err != nil {
			return err
		}
		removed, err := unfriend(tx, caller.User, friend)
		if err == nil && !removed {
			return NotFound("You are no friends.")
		}
		return err
	})
}

// unfriend ends a friendship if there is one, and tells both.
func unfriend(tx Tx, a, b ID) (bool, error) {
	removed, err := tx.DeleteFriendship(a, b)
	if err != nil || !removed {
		return false, err
	}
	if err := tx.Append(FriendRemoved, FriendRemovedData{UserID: b}, a); err != nil {
		return false, err
	}
	return true, tx.Append(FriendRemoved, FriendRemovedData{UserID: a}, b)
}

// Block ends what a user may send the caller or ask of the caller, friendship
// and open requests included. Blocking twice changes nothing. The caller's
// devices learn of it; the blocked user does not.
func (s *Service) Block(ctx context.Context, caller Caller, user ID) error {
	if user == caller.User {
		return Invalid("user_id", "must be another user")
	}
	return s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(caller.User, user); err != nil {
			return err
		}
		if changed, err := tx.SetBlock(caller.User, user, true); err != nil || !changed {
			return err
		}
		if err := tellBlock(tx, caller.User, user, true); err != nil {
			return err
		}
		if _, err := unfriend(tx, caller.User, user); err != nil {
			return err
		}
		if err := settlePending(tx, user, caller.User, RequestDeclined); err != nil {
			return err
		}
		return settlePending(tx, caller.User, user, RequestCancelled)
	})
}

// settlePending gives the open request between two users, if any, a last state.
func settlePending(tx Tx, from, to ID, state RequestState) error {
	request, err := tx.PendingFriendRequest(from, to)
	if isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = settle(tx, request, state)
	return err
}

// Unblock removes a block. What it ended does not come back by itself.
func (s *Service) Unblock(ctx context.Context, caller Caller, user ID) error {
	return s.commit(ctx, func(tx Tx) error {
		if err := tx.LockUsers(caller.User, user); err != nil {
			return err
		}
		if changed, err := tx.SetBlock(caller.User, user, false); err != nil || !changed {
			return err
		}
		return tellBlock(tx, caller.User, user, false)
	})
}

// tellBlock tells a user's own devices whether the user blocks another.
func tellBlock(tx Tx, user, other ID, blocked bool) error {
	known, err := tx.UserByID(other)
	if err != nil {
		return err
	}
	data := BlockChangedData{User: known.Profile, Blocked: blocked}
	if blocked {
		at := tx.At()
		data.Since = &at
	}
	return tx.Append(BlockChanged, data, user)
}

// Blocks lists whom the caller has blocked.
func (s *Service) Blocks(ctx context.Context, caller Caller, page Page) (List[Block], error) {
	page, err := s.page(page)
	if err != nil {
		return List[Block]{}, err
	}
	return s.store.Blocks(ctx, caller.User, page)
}

// creation is a call that makes something and must not make it twice.
type creation struct {
	user   ID
	key    string // "" = the client does not mind
	print  [16]byte
	answer any // pointer to what is answered, and remembered as JSON
}

// once runs fn in a transaction that has locked the given users, the caller
// among them, and keeps its answer under the idempotency key. When the key was
// used before, the answer of then is put into call.answer instead and the
// result is true; CodeIdempotencyConflict when it was used for something else.
func (s *Service) once(ctx context.Context, call creation, lock []ID, fn func(tx Tx) error) (bool, error) {
	var replayed bool
	err := s.commit(ctx, func(tx Tx) error {
		replayed = false // fn may run again
		// The caller's lock makes twins wait, so that the second finds the first's answer.
		if err := tx.LockUsers(lock...); err != nil {
			return err
		}
		if call.key == "" {
			return fn(tx)
		}
		known, err := tx.Remembered(call.user, call.key)
		if err == nil {
			replayed = true
			return replay(known, call.print, call.answer)
		}
		if !isNotFound(err) {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		encoded, err := json.Marshal(call.answer)
		if err != nil {
			return err
		}
		return tx.Remember(call.user, call.key, Remembered{Fingerprint: call.print, Answer: encoded})
	})
	return replayed, err
}

// replay puts a remembered answer into answer.
func replay(known Remembered, asked [16]byte, answer any) error {
	if known.Fingerprint != asked {
		return errIdempotencyConflict()
	}
	return json.Unmarshal(known.Answer, answer)
}

func errIdempotencyConflict() error {
	return &Error{Code: CodeIdempotencyConflict, Detail: "This Idempotency-Key was used for another request. Use a new key for each thing you want done once."}
}

// checkKey checks an idempotency key; "" is none.
func (s *Service) checkKey(faults *fieldErrors, key string) {
	if len(key) > s.limits.MaxIdempotencyKeyBytes {
		faults.add("Idempotency-Key", "must have at most "+decimal(s.limits.MaxIdempotencyKeyBytes)+" characters")
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			faults.add("Idempotency-Key", "must be printable ASCII without spaces")
			return
		}
	}
}

// fingerprint condenses what a request asks for, to tell a replay from another
// request under the same key.
func fingerprint(parts ...any) (condensed [16]byte) {
	// Marshalling ids, strings, numbers and slices of them cannot fail.
	encoded, _ := json.Marshal(parts)
	return condense(encoded)
}

func condense(asked []byte) (condensed [16]byte) {
	sum := sha256.Sum256(asked)
	copy(condensed[:], sum[:])
	return condensed
}
