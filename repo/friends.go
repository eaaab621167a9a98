package repo

import (
	"context"
	"errors"
	"math"

	"longwire/chat"
)

// Lists sorted by an id.
const (
	listFriends        = 'f'
	listBlocks         = 'b'
	listFriendRequests = 'r'
)

// relation returns what decides between two users, seen from the first.
func relation(c *conn, user, peer chat.ID) (chat.Relation, error) {
	missing := errNoUser()
	found, err := one(c, missing, func(r row) (rel chat.Relation, err error) {
		return rel, r.Scan(&rel.PeerAccepts, &rel.Friends, &rel.Blocks, &rel.BlockedBy)
	}, "SELECT u.accept_messages_from, f.user_id IS NOT NULL, b.user_id IS NOT NULL, r.user_id IS NOT NULL FROM `user` u"+
		" LEFT JOIN friend f ON f.user_id = ? AND f.friend_id = u.id"+
		" LEFT JOIN `block` b ON b.user_id = ? AND b.blocked_id = u.id"+
		" LEFT JOIN `block` r ON r.user_id = u.id AND r.blocked_id = ? WHERE u.id = ?", user, user, user, peer)
	if errors.Is(err, missing) {
		return chat.Relation{PeerIsMissing: true}, nil
	}
	return found, err
}

// RelationOf returns what decides between two users, seen from the first. A
// peer who does not exist is told in the relation, not by an error.
func (db *DB) RelationOf(ctx context.Context, user, peer chat.ID) (chat.Relation, error) {
	return relation(db.reader(ctx), user, peer)
}

const selectFriends = "SELECT " + profileColumns + ", f.remark, f.since FROM friend f JOIN `user` u ON u.id = f.friend_id"

func scanFriend(r row) (friend chat.Friend, err error) {
	return friend, scanProfile(r, &friend.User, &friend.Remark, &friend.Since)
}

// Friends lists a user's friends by their ids, which is by the age of their accounts.
func (db *DB) Friends(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.Friend], error) {
	after, err := placeByID(listFriends, page.After)
	if err != nil {
		return chat.List[chat.Friend]{}, err
	}
	items, err := all(db.reader(ctx), scanFriend, selectFriends+" WHERE f.user_id = ? AND f.friend_id > ? ORDER BY f.friend_id LIMIT ?",
		user, after, page.Limit+1)
	return listByID(listFriends, items, page.Limit, func(last chat.Friend) chat.ID { return last.User.ID }), err
}

// Friend returns one friend of a user; CodeNotFound when they are no friends.
func (db *DB) Friend(ctx context.Context, user, friend chat.ID) (chat.Friend, error) {
	return one(db.reader(ctx), errNoFriend(), scanFriend, selectFriends+" WHERE f.user_id = ? AND f.friend_id = ?", user, friend)
}

// Blocks lists whom a user blocks, by id.
func (db *DB) Blocks(ctx context.Context, user chat.ID, page chat.Page) (chat.List[chat.Block], error) {
	after, err := placeByID(listBlocks, page.After)
	if err != nil {
		return chat.List[chat.Block]{}, err
	}
	items, err := all(db.reader(ctx), func(r row) (block chat.Block, err error) {
		return block, scanProfile(r, &block.User, &block.Since)
	}, "SELECT "+profileColumns+", b.since FROM `block` b JOIN `user` u ON u.id = b.blocked_id WHERE b.user_id = ? AND b.blocked_id > ? ORDER BY b.blocked_id LIMIT ?",
		user, after, page.Limit+1)
	return listByID(listBlocks, items, page.Limit, func(last chat.Block) chat.ID { return last.User.ID }), err
}

const selectFriendRequests = "SELECT " + profileColumns + ", t.id, t.username, t.display_name, t.avatar_url," +
	" r.id, r.note, r.state, r.created_at, r.updated_at FROM friend_request r" +
	" JOIN `user` u ON u.id = r.from_id JOIN `user` t ON t.id = r.to_id WHERE "

func scanFriendRequest(r row) (request chat.FriendRequest, err error) {
	err = scanProfile(r, &request.From, &request.To.ID, &request.To.Username, &request.To.DisplayName, &request.To.AvatarURL,
		&request.ID, &request.Note, &request.State, &request.CreatedAt, &request.UpdatedAt)
	return request, err
}

// friendRequest returns the request that fits a condition on friend_request as r.
func friendRequest(c *conn, condition string, value any) (chat.FriendRequest, error) {
	return one(c, chat.NotFound("There is no such friend request."), scanFriendRequest, selectFriendRequests+condition, value)
}

// FriendRequestByID returns a request in any state, CodeNotFound when there is none.
func (db *DB) FriendRequestByID(ctx context.Context, id chat.ID) (chat.FriendRequest, error) {
	return friendRequest(db.reader(ctx), "r.id = ?", id)
}

// FriendRequests lists a user's pending requests in one direction, newest first.
func (db *DB) FriendRequests(ctx context.Context, user chat.ID, direction chat.Direction, page chat.Page) (chat.List[chat.FriendRequest], error) {
	before, err := placeByID(listFriendRequests, page.After)
	if err != nil {
		return chat.List[chat.FriendRequest]{}, err
	}
	if before == 0 {
		before = math.MaxInt64
	}
	side := "r.to_id"
	if direction == chat.DirectionOutgoing {
		side = "r.from_id"
	}
	items, err := all(db.reader(ctx), scanFriendRequest, selectFriendRequests+side+" = ? AND r.state = ? AND r.id < ? ORDER BY r.id DESC LIMIT ?",
		user, string(chat.RequestPending), before, page.Limit+1)
	return listByID(listFriendRequests, items, page.Limit, func(last chat.FriendRequest) chat.ID { return last.ID }), err
}

// CountIncomingRequests returns how many requests wait for the user's answer,
// at most chat.MaxRequestCount.
func (db *DB) CountIncomingRequests(ctx context.Context, user chat.ID) (int, error) {
	n, err := one(db.reader(ctx), nil, scanInt, "SELECT COUNT(*) FROM (SELECT r.id FROM friend_request r WHERE r.to_id = ? AND r.state = ? LIMIT ?) page",
		user, string(chat.RequestPending), chat.MaxRequestCount)
	return int(n), err
}
