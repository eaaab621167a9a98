// Package realtime is the delivery engine of a node. It tells other nodes and
// local readers what has been committed, and it lets readers follow an inbox
// without a hole, a repeat or a silence.
//
// A log is a key with a contiguous seq, a Redis stream as its cache and the
// database behind it ([log]). A user's inbox is the only kind of log for now.
// Readers ([Session]) are positions over logs: they own no queue and no timer.
//
// Redis holds nothing here that cannot be rebuilt. What it loses, delays or
// reorders shows as a hole or as a head that is behind the database, and is
// read from there. Three loops make sure that such a loss is noticed: every
// node compares its inboxes with the database ([Source.InboxHeads]), sends
// itself a probe through the real announce path, and treats every inbox as
// unverified after its subscription was interrupted.
package realtime
