package repo

import "database/sql"

// Pool returns where the tests of other packages write to directly.
func (db *DB) Pool() *sql.DB {
	return db.write
}

// Misjudged tells whether a batch has lately raised other inbox heads than it had to.
func (db *DB) Misjudged() bool {
	return db.misjudged.lately()
}
