package e2e_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// chaosServer is a program that the attack may kill and start again. It keeps its address and its data.
type chaosServer struct {
	*process

	program string
	args    []string
	port    string
	dir     string // its data
	as      *syscall.Credential
	output  *log
}

// start runs the program; it may not be ready yet.
func (s *chaosServer) start() error {
	command := exec.CommandContext(context.Background(), s.program, s.args...)
	command.Dir = s.dir
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.Stdout, command.Stderr = s.output, s.output
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true, Credential: s.as}
	if err := command.Start(); err != nil {
		return err
	}
	p := &process{command: command, output: s.output, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	s.process = p
	return nil
}

// await returns when up says so.
func (s *chaosServer) await(ctx context.Context, up func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	for {
		err := up()
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%s ended: %w\n%s", s.program, s.err, s.output.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", s.program, err, s.output.tail())
		case <-tick():
		}
	}
}

// where finds a program, also where servers live that are in nobody's PATH.
func where(names ...string) (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/usr/libexec"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode()&0o111 != 0 {
				return filepath.Join(dir, name), nil
			}
		}
	}
	return "", fmt.Errorf("there is no %s", strings.Join(names, " and no "))
}

// chaosMySQL is a MariaDB or MySQL of its own.
type chaosMySQL struct {
	chaosServer

	admin *sql.DB // root, past all proxies
}

const (
	chaosUser        = "longwire"
	chaosPassword    = "battery"
	chaosConnections = 200
)

// newMySQL makes an empty database in dir and starts it.
func newMySQL(ctx context.Context, dir string) (*chaosMySQL, error) {
	m := &chaosMySQL{chaosServer: chaosServer{port: freePort(), dir: dir, output: &log{}}}
	var err error
	if m.program, err = where("mariadbd", "mysqld"); err != nil {
		return nil, err
	}
	var options []string
	if os.Getuid() == 0 { // the server refuses to be root
		if m.as, err = credential("mysql"); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(m.as.Uid), int(m.as.Gid)); err != nil {
			return nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if filepath.Base(m.program) == "mariadbd" {
		program, err := where("mariadb-install-db", "mysql_install_db")
		if err != nil {
			return nil, err
		}
		options = []string{program, "--no-defaults", "--datadir=" + data, "--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"}
	} else {
		options = []string{m.program, "--no-defaults", "--initialize-insecure", "--datadir=" + data}
	}
	install := exec.CommandContext(ctx, options[0], options[1:]...)
	install.Dir = dir
	install.SysProcAttr = &syscall.SysProcAttr{Credential: m.as}
	if output, err := install.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", options[0], err, output)
	}
	init := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(init, []byte(`CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY '';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS '`+chaosUser+`'@'127.0.0.1' IDENTIFIED BY '`+chaosPassword+`';
GRANT ALL PRIVILEGES ON longwire.* TO '`+chaosUser+`'@'127.0.0.1';
CREATE DATABASE IF NOT EXISTS longwire;
`), 0o644); err != nil {
		return nil, err
	}
	m.args = []string{
		"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(dir, "s.sock"), "--pid-file=" + filepath.Join(dir, "pid"),
		"--init-file=" + init, "--bind-address=127.0.0.1", "--port=" + m.port, "--skip-name-resolve",
		"--max-connections=" + strconv.Itoa(chaosConnections), "--innodb-flush-log-at-trx-commit=1", "--performance-schema=OFF", "--loose-mysqlx=OFF",
	}
	if m.admin, err = sql.Open("mysql", "root@tcp(127.0.0.1:"+m.port+")/"); err != nil {
		return nil, err
	}
	m.admin.SetMaxIdleConns(0) // a connection that died with the server must not come back
	return m, m.up(ctx)
}

func credential(name string) (*syscall.Credential, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(account.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// up starts the database and returns when it answers.
func (m *chaosMySQL) up(ctx context.Context) error {
	if err := m.start(); err != nil { //nolint:contextcheck // it lives until it is killed
		return err
	}
	return m.await(ctx, func() error { return m.do(ctx, "DO 1") })
}

// do executes statements as root, each on its own.
func (m *chaosMySQL) do(ctx context.Context, statements ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for _, statement := range statements {
		if _, err := m.admin.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// address is what a node connects to, past all proxies.
func (m *chaosMySQL) address() string { return "127.0.0.1:" + m.port }

// dsn is the node's way in through a proxy.
func (m *chaosMySQL) dsn(address string) string {
	return chaosUser + ":" + chaosPassword + "@tcp(" + address + ")/longwire"
}

// chaosRedis is a Redis of its own.
type chaosRedis struct {
	chaosServer

	upstream *relay // from a replica to whom it follows
}

func newRedis(ctx context.Context, dir string) (*chaosRedis, error) {
	r := &chaosRedis{chaosServer: chaosServer{port: freePort(), dir: dir, output: &log{}, program: os.Getenv("TEST_REDIS_SERVER")}}
	if r.program == "" {
		var err error
		if r.program, err = where("redis-server", "valkey-server"); err != nil {
			return nil, err
		}
	}
	r.args = redisArguments(r.port, dir)
	return r, r.up(ctx)
}

func redisArguments(port, dir string) []string {
	return []string{
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir, "--dbfilename", "dump.rdb",
		"--repl-diskless-sync-delay", "0",
	}
}

// replica starts another Redis that follows this one and returns when it has everything.
func (r *chaosRedis) replica(ctx context.Context) (*chaosRedis, error) {
	upstream, err := newRelay(r.address())
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(upstream.address())
	if err != nil {
		return nil, err
	}
	other := &chaosRedis{chaosServer: r.chaosServer, upstream: upstream}
	other.port = freePort()
	other.args = append(redisArguments(other.port, other.dir), "--replicaof", host+" "+port)
	if err := other.up(ctx); err != nil {
		return nil, err
	}
	return other, other.await(ctx, func() error {
		status, err := other.info("replication", "master_link_status")
		if err == nil && status != "up" {
			err = errors.New("it does not have everything yet")
		}
		return err
	})
}

// promote makes a replica a Redis like any other, also when it starts again.
func (r *chaosRedis) promote() error {
	r.upstream.close()
	r.args = redisArguments(r.port, r.dir)
	return errors.Join(r.do("REPLICAOF NO ONE", "+OK"), r.forget())
}

// up starts Redis with what is in its file, which is nothing unless it was told to save, and returns when it answers.
func (r *chaosRedis) up(ctx context.Context) error {
	if err := r.start(); err != nil { //nolint:contextcheck // it lives until it is killed
		return err
	}
	return r.await(ctx, func() error { return r.do("PING", "+PONG") })
}

// forget removes what was saved, so that the next start is an empty one.
func (r *chaosRedis) forget() error {
	err := os.Remove(filepath.Join(r.dir, "dump.rdb"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// do sends one command, whose answer must begin with want.
func (r *chaosRedis) do(command, want string) error {
	connection, err := net.DialTimeout("tcp", r.address(), 2*time.Second)
	if err != nil {
		return err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(connection, "%s\r\n", command); err != nil {
		return err
	}
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, want) {
		err = fmt.Errorf("redis: %s: %s", command, line)
	}
	return err
}

// info returns one of the things that Redis tells of itself.
func (r *chaosRedis) info(section, name string) (string, error) {
	connection, err := net.DialTimeout("tcp", r.address(), 2*time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(connection, "INFO %s\r\n", section); err != nil {
		return "", err
	}
	lines := bufio.NewScanner(connection)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+":"); found {
			return value, nil
		}
	}
	return "", errors.Join(fmt.Errorf("redis does not tell its %s", name), lines.Err())
}

func (r *chaosRedis) address() string { return "127.0.0.1:" + r.port }
