package repo

import (
	"errors"

	"github.com/go-sql-driver/mysql"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Refused tells whether err, of [DB.Ping], is one that waiting does not mend: the server does not let us in, it has no such
// database, or the file is no database.
func Refused(err error) bool {
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch answer.Number {
		case 1045, 1698, // wrong user or password
			1044, 1049, // the database is not ours, or not there
			1130: // not from this host
			return true
		}
		return false
	}
	answer, ok := errors.AsType[*sqlite.Error](err)
	return ok && answer.Code()&0xff == sqlite3.SQLITE_NOTADB
}
