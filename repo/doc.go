// Package repo keeps everything Longwire knows in SQL: it is [chat.Store] on
// MySQL 8.4 or 9, MariaDB 10.11 or later, and SQLite, by the same statements
// but for a small dialect value.
//
// Exported methods open the transaction, unexported functions take it. Locks
// are taken in one order everywhere: users, then conversations, then inbox
// heads, each ascending. Transactions run at READ COMMITTED, so that what is
// read under a lock is current. What the database asks to be run again
// (deadlock, lock timeout) is run again, a bounded number of times.
package repo

import "longwire/chat"

var _ chat.Store = (*DB)(nil)
