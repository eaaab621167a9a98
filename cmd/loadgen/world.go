package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"longwire/auth"
	"longwire/chat"
	"longwire/repo"
)

// world is the people that a run is about. They are put into the database by
// the store's own statements and not registered through the API, because a
// password costs some tens of milliseconds, by design.
type world struct {
	run    string       // different in each run; begins idempotency keys
	keys   atomic.Int64 // and numbers them
	people []person
	pairs  []chat.ID // pair i is people 2i and 2i+1, who are friends: their conversation
	groups []group
}

type person struct {
	id      chat.ID
	name    string // the id as text
	session chat.ID
	token   string
}

// group has the first people as members; the first of all is its owner.
type group struct {
	id      chat.ID
	name    string // the id as text
	members int
}

// population is how large a world is.
type population struct {
	people int
	pairs  int
	groups []int // their sizes
}

// tokenLife is longer than any run.
const tokenLife = 6 * time.Hour

// newWorld puts people into the database, who have tokens signed with secret.
func newWorld(ctx context.Context, db *repo.DB, secret string, p population) (*world, error) {
	keys, err := auth.NewKeys([]byte(secret))
	if err != nil {
		return nil, err
	}
	w := &world{run: strconv.FormatInt(time.Now().UnixNano(), 36)}
	ids := chat.NewIDs(time.Now)
	if err := w.settle(ctx, db, ids, keys, p.people); err != nil {
		return nil, fmt.Errorf("prepare users: %w", err)
	}
	if err := w.befriend(ctx, db, ids, p.pairs); err != nil {
		return nil, fmt.Errorf("prepare friends: %w", err)
	}
	for _, members := range p.groups {
		if err := w.gather(ctx, db, ids, members); err != nil {
			return nil, fmt.Errorf("prepare a group of %d: %w", members, err)
		}
	}
	return w, nil
}

// perTransaction is how many people are written at once.
const perTransaction = 250

func (w *world) settle(ctx context.Context, db *repo.DB, ids *chat.IDs, keys *auth.Keys, people int) error {
	at := time.Now()
	for len(w.people) < people {
		var some []person
		for range min(perTransaction, people-len(w.people)) {
			some = append(some, person{id: ids.Next(), session: ids.Next()})
		}
		_, err := db.Write(ctx, chat.TimeOf(at), func(tx chat.Tx) error {
			for i, p := range some {
				name := "load_" + w.run + "_" + strconv.Itoa(len(w.people)+i)
				err := tx.InsertUser(chat.User{
					Profile:            chat.Profile{ID: p.id, Username: name, DisplayName: name},
					AcceptMessagesFrom: chat.AcceptFriends, CreatedAt: chat.TimeOf(at),
				}, "no password")
				if err != nil {
					return err
				}
				err = tx.InsertSession(chat.Session{
					ID: p.session, UserID: p.id, DeviceName: "loadgen", CreatedAt: chat.TimeOf(at), LastSeenAt: chat.TimeOf(at),
					ExpiresAt: chat.TimeOf(at.Add(tokenLife)), RefreshGeneration: 1,
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := range some {
			p := &some[i]
			p.name = p.id.String()
			p.token, err = keys.Sign(auth.Claims{
				User: p.name, Session: p.session.String(), Audience: auth.AudienceAPI, IssuedAt: at, ExpiresAt: at.Add(tokenLife),
			})
			if err != nil {
				return err
			}
		}
		w.people = append(w.people, some...)
	}
	return nil
}

func (w *world) befriend(ctx context.Context, db *repo.DB, ids *chat.IDs, pairs int) error {
	for len(w.pairs) < pairs {
		var some []chat.ID
		for range min(perTransaction, pairs-len(w.pairs)) {
			some = append(some, ids.Next())
		}
		_, err := db.Write(ctx, chat.TimeOf(time.Now()), func(tx chat.Tx) error {
			for i, conversation := range some {
				pair := len(w.pairs) + i
				if err := tx.InsertFriendship(conversation, w.people[2*pair].id, w.people[2*pair+1].id); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			err = w.greet(ctx, db, some)
		}
		if err != nil {
			return err
		}
		w.pairs = append(w.pairs, some...)
	}
	return nil
}

// greet has the first of each pair say something: a conversation's first message brings more than itself.
func (w *world) greet(ctx context.Context, db *repo.DB, conversations []chat.ID) error {
	greetings := make([]chat.Outgoing, len(conversations))
	for i, conversation := range conversations {
		greetings[i] = chat.Outgoing{
			ConversationID: conversation, Target: chat.KindPrivate, SenderID: w.people[2*(len(w.pairs)+i)].id, Kind: chat.KindText, Body: "Hello.",
			At: chat.TimeOf(time.Now()),
		}
	}
	outcomes, _, err := db.CommitMessages(ctx, greetings)
	for _, outcome := range outcomes {
		err = errors.Join(err, outcome.Err)
	}
	return err
}

// gather makes a group of the first people.
func (w *world) gather(ctx context.Context, db *repo.DB, ids *chat.IDs, members int) error {
	if members > len(w.people) {
		return errors.New("there are not so many people")
	}
	id, at := ids.Next(), chat.TimeOf(time.Now())
	others := make([]chat.ID, 0, members)
	for _, p := range w.people[1:members] {
		others = append(others, p.id)
	}
	owner := w.people[0].id
	_, err := db.Write(ctx, at, func(tx chat.Tx) error {
		err := tx.InsertGroup(chat.Group{
			ID: id, Name: "load " + strconv.Itoa(members), Visibility: chat.VisibilityPrivate, JoinPolicy: chat.JoinInvite,
			OwnerID: owner, CreatedAt: at,
		})
		return errors.Join(err, tx.InsertMembers(id, chat.RoleOwner, owner), tx.InsertMembers(id, chat.RoleMember, others...))
	})
	w.groups = append(w.groups, group{id: id, name: id.String(), members: members})
	return err
}

// groupOf returns the group of so many members.
func (w *world) groupOf(members int) int {
	for i, g := range w.groups {
		if g.members == members {
			return i
		}
	}
	return none
}

// remember puts messages into the first conversations, evenly, as history that
// nobody waits for.
func (w *world) remember(ctx context.Context, db *repo.DB, messages, pairs int) error {
	const batch = 256
	text := string(padding[:bodyLength])
	for first := 0; first < messages; first += batch {
		some := make([]chat.Outgoing, 0, batch)
		for n := first; n < min(first+batch, messages); n++ {
			pair := n % pairs
			some = append(some, chat.Outgoing{
				Target: chat.KindPrivate, ConversationID: w.pairs[pair], SenderID: w.people[2*pair].id, Kind: chat.KindText, Body: text,
				At: chat.TimeOf(time.Now()), IdempotencyKey: w.run + "h" + strconv.Itoa(n) + "-" + strconv.Itoa(messages),
			})
		}
		outcomes, _, err := db.CommitMessages(ctx, some)
		if err != nil {
			return fmt.Errorf("prepare history: %w", err)
		}
		for _, o := range outcomes {
			if o.Err != nil {
				return fmt.Errorf("prepare history: %w", o.Err)
			}
		}
	}
	return nil
}
