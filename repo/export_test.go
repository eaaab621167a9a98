package repo

import "database/sql"

// Pool returns where the tests of other packages write to directly.
func (db *DB) Pool() *sql.DB {
	return db.write
}
