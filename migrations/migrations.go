// Package migrations holds the SQL that makes the tables, one folder for each
// kind of database, in the form golang-migrate reads: NNNN_name.up.sql and
// NNNN_name.down.sql. Both folders describe the same schema. A migration that
// was released is never changed; what follows gets a new number.
package migrations

import "embed"

// Files has the folders mysql and sqlite.
//
//go:embed mysql/*.sql sqlite/*.sql
var Files embed.FS
