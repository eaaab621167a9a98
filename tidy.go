package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"longwire/auth"
	"longwire/chat"
)

// previousKeyFile is where somebody puts the signing key that is not to sign any
// more but is still believed, in embedded mode.
const previousKeyFile = "signing-key.previous"

// previousKey returns what is kept there, as a list of one, or of none.
func (n *node) previousKey() ([][]byte, error) {
	if !n.cfg.Embedded() {
		return nil, nil
	}
	path := filepath.Join(n.cfg.DataDir, previousKeyFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	kept, _, err := auth.LoadOrCreateSecret(path)
	if err != nil {
		return nil, err
	}
	return [][]byte{kept}, nil
}

// tidyBite bounds what one round of tidying does of each kind.
const tidyBite = 100

// tidy does what time brings: it ends friend requests that nobody answered,
// clears away what is left of deleted accounts, deletes sessions that ended long
// ago, and writes when sessions were last used. Several nodes may do it at once.
func (n *node) tidy(ctx context.Context) {
	soon, seldom := time.NewTicker(chat.SeenInterval), time.NewTicker(min(time.Minute, n.cfg.FriendRequestLifetime, n.cfg.Retention))
	defer soon.Stop()
	defer seldom.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			n.warn(last, "last use of sessions", n.service.SaveSeen(last))
			return
		case <-soon.C:
			n.warn(ctx, "last use of sessions", n.service.SaveSeen(ctx))
		case <-seldom.C:
			n.tidyOnce(ctx)
		}
	}
}

func (n *node) tidyOnce(ctx context.Context) {
	n.untilDone(ctx, "expired friend requests", func() (int, error) { return n.service.ExpireRequests(ctx, tidyBite) })
	n.untilDone(ctx, "deleted accounts", func() (int, error) { return n.service.FinishDeletions(ctx, tidyBite) })
	n.untilDone(ctx, "ended sessions", func() (int, error) {
		return n.db.PruneSessions(ctx, chat.TimeOf(time.Now().Add(-n.cfg.Retention)), tidyBite)
	})
}

// untilDone does something bite by bite, until less than a bite is left.
func (n *node) untilDone(ctx context.Context, what string, bite func() (int, error)) {
	for ctx.Err() == nil {
		done, err := bite()
		n.warn(ctx, what, err)
		if err != nil || done < tidyBite {
			return
		}
	}
}

// warn logs what failed and will be tried again, but for the end of the context.
func (n *node) warn(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		n.logger.WarnContext(ctx, "tidying failed, it is tried again", "what", what, "error", err)
	}
}
