package repo

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
)

// What a DSN gets when it does not say otherwise.
const (
	dialTimeout       = 3 * time.Second
	statementTimeout  = 10 * time.Second
	defaultConns      = 32
	joinedConns       = 8 // for transactions of messages, of which few run at once
	connLifetime      = 10 * time.Minute
	connIdleTime      = 2 * time.Minute
	lockWaitSeconds   = "5" // shorter than statementTimeout, so that waiting ends with an answer
	migrationDeadline = 5 * time.Minute
)

// mysqlConfig reads a DSN and sets what the statements of this package rely on.
func mysqlConfig(dsn string) (*mysql.Config, error) {
	cfg, err := mysql.ParseDSN(dsn)
	if err != nil {
		// The driver's error may repeat the password.
		return nil, errors.New("the MySQL DSN cannot be read: want user:password@tcp(host:port)/database")
	}
	if cfg.DBName == "" {
		return nil, errors.New("the MySQL DSN names no database: want user:password@tcp(host:port)/database")
	}
	if err := cfg.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, fmt.Errorf("MySQL character set: %w", err)
	}
	cfg.InterpolateParams = true // one round trip for each statement
	cfg.RejectReadOnly = true    // after a failover, leave a server that became read-only
	cfg.ClientFoundRows = true   // an UPDATE counts the rows it found, changed or not
	cfg.MultiStatements = false
	if cfg.Timeout == 0 {
		cfg.Timeout = dialTimeout
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = statementTimeout
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = statementTimeout
	}
	if cfg.Params == nil {
		cfg.Params = make(map[string]string)
	}
	// Text that does not fit or is no UTF-8 is an error, never silently cut.
	cfg.Params["sql_mode"] = "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'"
	if cfg.Params["innodb_lock_wait_timeout"] == "" {
		cfg.Params["innodb_lock_wait_timeout"] = lockWaitSeconds
	}
	return cfg, nil
}

// openMySQL returns a pool; it does not connect yet.
func openMySQL(cfg *mysql.Config, connections int) (*sql.DB, error) {
	connector, err := mysqlConnector(cfg)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxLifetime(connLifetime)
	pool.SetConnMaxIdleTime(connIdleTime)
	return pool, nil
}

func mysqlConnector(cfg *mysql.Config) (driver.Connector, error) {
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return nil, fmt.Errorf("MySQL configuration: %w", err)
	}
	return readCommitted{connector}, nil
}

// readCommitted gives every new connection the isolation level that all
// transactions rely on. It is a statement of its own because the system
// variable has different names in MySQL and MariaDB.
type readCommitted struct {
	driver.Connector
}

// Connect returns a connection at READ COMMITTED.
func (c readCommitted) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		err = errors.New("the MySQL driver cannot execute statements directly")
	} else {
		_, err = execer.ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// mysqlFault tells the errors of MySQL and MariaDB apart by their number.
func mysqlFault(err error) fault {
	var answer *mysql.MySQLError
	if !errors.As(err, &answer) {
		if connectionLost(err) || errors.Is(err, mysql.ErrInvalidConn) || garbled(err) {
			return faultUnavailable
		}
		return faultUnknown
	}
	switch answer.Number {
	case 1062, 1586: // duplicate entry
		return faultDuplicate
	case 1213, 1205, 1020: // deadlock; lock wait timeout; MariaDB: record changed since last read
		return faultRetry
	case 1040, 1203, 1226, // too many connections, in all or of this user
		1021, 1114, 1041, 1037, // disk, table or memory full
		1053, 1152, 1927, 1317, // shutting down, aborted, killed, interrupted
		1158, 1159, 1160, 1161, // network errors
		1290, 1792, 1836, // read only
		3024, 1969, // a statement took longer than the server allows
		4031, // the server closed an idle connection
		1047, // a Galera node that is not ready
		1180, // of the commit itself: who knows
		3100: // group replication could not commit
		return faultUnavailable
	default:
		return faultUnknown
	}
}

// garbled tells whether the answer could not be understood. What it was about may
// have happened, a commit above all.
func garbled(err error) bool {
	return errors.Is(err, mysql.ErrMalformPkt) || errors.Is(err, mysql.ErrPktSync) || errors.Is(err, mysql.ErrPktSyncMul)
}

// connectionLost tells whether err is about the connection rather than the statement.
func connectionLost(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// returning remembers whether the server's INSERT can end with RETURNING:
// MariaDB's can from 10.5 on, MySQL's cannot.
type returning struct {
	asked atomic.Bool
	can   atomic.Bool // once asked
}

// known tells what is known, and asks the server when nothing is; false while it does not answer.
func (r *returning) known(ctx context.Context, pool *sql.DB) bool {
	if r.asked.Load() {
		return r.can.Load()
	}
	var version string
	if err := pool.QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return false
	}
	r.can.Store(canReturn(version))
	r.asked.Store(true)
	return r.can.Load()
}

// canReturn reads a version such as 10.11.6-MariaDB-log.
func canReturn(version string) bool {
	var major, minor int
	if n, _ := fmt.Sscanf(version, "%d.%d", &major, &minor); n != 2 {
		return false
	}
	return strings.Contains(version, "MariaDB") && (major > 10 || major == 10 && minor >= 5)
}
