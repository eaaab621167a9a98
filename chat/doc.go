// Package chat is the domain of Longwire: its nouns, its rules and its use
// cases. It knows the standard library and nothing else; storage, delivery,
// passwords and tokens are interfaces declared here and implemented by the
// packages around it.
//
// Two promises are made in this package, because they must be readable in one
// place: an event is announced only after the transaction that holds it
// committed (see [Service] and [Sender]), and an inbox is contiguous (see
// [Tx.Append]).
package chat
