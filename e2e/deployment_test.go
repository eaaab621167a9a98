package e2e_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"longwire/openapi/openapitest"
)

// backend is what a deployment keeps its data in.
type backend string

const (
	embedded backend = "embedded" // one node, SQLite, Redis inside the process
	cluster  backend = "cluster"  // two nodes, MySQL, Redis
)

// deployment is a Longwire as somebody would run it.
type deployment struct {
	backend backend
	nodes   []*node
	doc     *openapi3.T // as the first node serves it
	router  routers.Router

	dropData func() error // nil = there is nothing to drop
}

// settings are environment variables without LONGWIRE_.
type settings map[string]string

// node returns the nth node; a deployment with fewer begins again, so that tests of two nodes run on one as well.
func (d *deployment) node(n int) *node {
	return d.nodes[n%len(d.nodes)]
}

// url returns an address on the nth node.
func (d *deployment) url(n int, path string) string {
	return d.node(n).url + path
}

// deploy starts a deployment with data of its own in dir.
func deploy(b backend, dir string, given settings) (*deployment, error) {
	env := map[string]string{
		"LONGWIRE_RATE_LIMIT":     "off",
		"LONGWIRE_SHUTDOWN_GRACE": "500ms",
		"LONGWIRE_JWT_SECRET":     rand.Text() + rand.Text(),
	}
	d := &deployment{backend: b}
	count := 1
	switch b {
	case embedded:
		env["LONGWIRE_DATA_DIR"] = dir
	case cluster:
		count = 2
		dsn, drop, err := newDatabase()
		if err != nil {
			return nil, err
		}
		d.dropData = drop
		env["LONGWIRE_MYSQL_DSN"], env["LONGWIRE_REDIS_URL"] = dsn, os.Getenv("TEST_REDIS_URL")
	}
	for name, value := range given {
		env["LONGWIRE_"+name] = value
	}
	for range count {
		n := newNode(env)
		d.nodes = append(d.nodes, n)
		if err := n.start(); err != nil {
			return nil, errors.Join(err, d.stop())
		}
	}
	if err := d.readSpec(); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// newDatabase makes a database whose own defaults are of no use, because the program must not rely on them.
func newDatabase() (dsn string, drop func() error, err error) {
	config, err := mysql.ParseDSN(os.Getenv("TEST_MYSQL_DSN"))
	if err != nil {
		return "", nil, err
	}
	config.DBName = ""
	name := "e2e_" + strings.ToLower(rand.Text()[:12])
	execute := func(statement string) error {
		db, err := sql.Open("mysql", config.FormatDSN())
		if err != nil {
			return err
		}
		defer db.Close()
		_, err = db.ExecContext(context.Background(), statement)
		return err
	}
	if err := execute("CREATE DATABASE " + name + " CHARACTER SET latin1"); err != nil {
		return "", nil, err
	}
	its := *config
	its.DBName = name
	return its.FormatDSN(), func() error { return execute("DROP DATABASE " + name) }, nil
}

// readSpec reads the specification that the deployment serves; all its answers are checked against it.
func (d *deployment) readSpec() error {
	response, err := http.Get(d.url(0, "/openapi.json"))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	served, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if d.doc, err = openapi3.NewLoader().LoadFromData(served); err != nil {
		return fmt.Errorf("the served specification: %w", err)
	}
	openapitest.Close(d.doc) // a field that is not described is a fault in an answer too
	d.router, err = gorillamux.NewRouter(d.doc)
	return err
}

// stop ends all nodes and drops the data. It returns what was wrong.
func (d *deployment) stop() error {
	var errs []error
	for _, n := range d.nodes {
		errs = append(errs, n.stop())
	}
	if d.dropData != nil {
		errs = append(errs, d.dropData())
	}
	return errors.Join(errs...)
}

// fresh starts a deployment for one test, which may do with it what it likes.
func fresh(t *testing.T, b backend, given settings) *deployment {
	t.Helper()
	d, err := deploy(b, t.TempDir(), given)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range d.nodes {
				t.Logf("log of %s:\n%s", n.url, n.log.tail())
			}
		}
		if err := d.stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// shared holds one deployment of each kind for all tests that leave nodes and settings alone: starting is what takes longest.
var shared = struct {
	sync.Mutex
	all map[backend]*deployment
	dir []string
}{all: map[backend]*deployment{}}

func sharedDeployment(t *testing.T, b backend) *deployment {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	d, found := shared.all[b]
	if !found {
		dir, err := os.MkdirTemp("", "longwire-e2e-*") //nolint:usetesting // it outlives the test
		require.NoError(t, err)
		shared.dir = append(shared.dir, dir)
		d, err = deploy(b, dir, nil)
		require.NoError(t, err)
		shared.all[b] = d
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range d.nodes {
				t.Logf("end of the log of %s, which other tests use too:\n%s", n.url, n.log.tail())
			}
		}
	})
	return d
}

func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var errs []error
	for d := range maps.Values(shared.all) {
		errs = append(errs, d.stop())
	}
	for _, dir := range shared.dir {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}

// onBoth runs a test on both back ends, on deployments that it shares with others.
func onBoth(t *testing.T, test func(t *testing.T, d *deployment)) {
	t.Helper()
	t.Parallel()
	for _, b := range []backend{embedded, cluster} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			test(t, sharedDeployment(t, b))
		})
	}
}

// onFresh runs a test on both back ends, on deployments of its own.
func onFresh(t *testing.T, given settings, test func(t *testing.T, d *deployment)) {
	t.Helper()
	t.Parallel()
	for _, b := range []backend{embedded, cluster} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			test(t, fresh(t, b, given))
		})
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !so() {
		if time.Now().After(deadline) {
			require.FailNow(t, "it never came to be: "+what)
		}
		<-tick()
	}
}
