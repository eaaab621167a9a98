package e2e_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/client"
	"longwire/openapi/openapitest"
)

var update = flag.Bool("update", false, "write what was found into docs/authorization.md; read the difference before it is committed")

const authorizationFile = "../docs/authorization.md"

// commonCodes are what a refusal with nothing but a status in docs/authorization.md says.
var commonCodes = map[int]client.ProblemCode{
	http.StatusUnauthorized: client.ProblemCodeUnauthenticated, http.StatusForbidden: client.ProblemCodeForbidden,
	http.StatusNotFound: client.ProblemCodeNotFound, http.StatusConflict: client.ProblemCodeConflict,
}

// cellOf is how an answer stands in the table.
func cellOf(got answer) string {
	code := got.problem().Code
	if got.status < http.StatusBadRequest || code == commonCodes[got.status] {
		return fmt.Sprint(got.status)
	}
	return fmt.Sprintf("%d %s", got.status, code)
}

// matrixRow is one line of docs/authorization.md.
type matrixRow struct {
	operation, variant string
	columns            []string // without the first, which names the operation
	cells              []string
	line               int
}

// key is what the row's fixture is found by.
func (r matrixRow) key() string { return strings.TrimSpace(r.operation + " " + r.variant) }

// succeeds returns the last role that may do it, "" for nobody.
func (r matrixRow) succeeds() string {
	for i, cell := range slices.Backward(r.cells) {
		if strings.HasPrefix(cell, "2") {
			return r.columns[i]
		}
	}
	return ""
}

var rowName = regexp.MustCompile("^`([A-Za-z]+)` ?(.*)$")

// readMatrix reads the tables of docs/authorization.md. Which roles there are is said by the head of each table.
func readMatrix(t *testing.T) (rows []matrixRow, lines []string) {
	t.Helper()
	text, err := os.ReadFile(authorizationFile)
	require.NoError(t, err)
	lines = strings.Split(string(text), "\n")
	var columns []string
	for number, line := range lines {
		if !strings.HasPrefix(line, "|") {
			columns = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch found := rowName.FindStringSubmatch(cells[0]); {
		case cells[0] == "operation":
			columns = cells[1:]
		case columns != nil && found != nil:
			rows = append(rows, matrixRow{operation: found[1], variant: found[2], columns: columns, cells: cells[1:], line: number})
		}
	}
	return rows, lines
}

// operationsByID returns what the deployment's own specification has.
func (d *deployment) operationsByID() map[string]openapitest.Operation {
	all := map[string]openapitest.Operation{}
	for _, op := range openapitest.Operations(d.doc) {
		all[op.OperationID] = op
	}
	return all
}

// TestAuthorizationMatrix tries every operation in every role and compares what it hears with docs/authorization.md.
func TestAuthorizationMatrix(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		operations, actors := d.operationsByID(), newCast(t, d)
		rows, lines := readMatrix(t)
		used := map[string]bool{}
		for _, row := range rows {
			op, known := operations[row.operation]
			if !assert.True(t, known, "docs/authorization.md has %s, which is no operation", row.operation) {
				continue
			}
			f, has := fixtures[row.key()]
			require.True(t, has || row.variant == "", "there is no fixture %q", row.key())
			require.False(t, used[row.key()], "%s has two rows", row.key())
			used[row.key()] = true
			found := make([]string, len(row.columns))
			for i, role := range row.columns {
				found[i] = cellOf(actors.stage(t, op, role, f, exampleBodies(t, op)[0]).ask(f, requiredParameters))
			}
			right := "| " + strings.Join(append([]string{strings.TrimSpace("`" + row.operation + "` " + row.variant)}, found...), " | ") + " |"
			if *update {
				lines[row.line] = right
			} else {
				assert.Equal(t, right, lines[row.line], "docs/authorization.md:%d; the columns are %s", row.line+1, strings.Join(row.columns, ", "))
			}
		}
		for id := range operations {
			assert.True(t, used[id], "%s has no row in docs/authorization.md: put \"| `%s` |\" into the table that it belongs to, and run with -update", id, id)
		}
		for key := range fixtures {
			id, variant, _ := strings.Cut(key, " ")
			assert.True(t, used[key] || variant == "" && used[id], "the fixture %q is used by no row", key)
		}
		if *update && d.backend == embedded {
			require.NoError(t, os.WriteFile(authorizationFile, []byte(strings.Join(lines, "\n")), 0o644))
		}
	})
}

// TestEveryExampleOfARequestSucceeds sends each example of the specification, with the examples of all its parameters, by somebody who may.
// That the answer is one of the documented ones is seen to for every request of these tests.
func TestEveryExampleOfARequestSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, d *deployment) {
		operations, actors := d.operationsByID(), newCast(t, d)
		rows, _ := readMatrix(t)
		tried := map[string]bool{}
		for _, row := range rows {
			op, known := operations[row.operation]
			role := row.succeeds()
			if !known || !assert.NotEmpty(t, role, "%s: nobody may do it", row.key()) {
				continue
			}
			tried[row.operation] = true
			f := fixtures[row.key()]
			for _, body := range exampleBodies(t, op) {
				s := actors.stage(t, op, role, f, body)
				got := s.ask(f, allParameters)
				assert.Less(t, got.status, 300, "%s as %s: %s\n%s", row.key(), role, s.body, got.body)
				assert.NotNil(t, openapitest.Response(op.Operation, got.status), "%s: %d", row.key(), got.status)
			}
		}
		for id := range operations {
			assert.True(t, tried[id], "nobody has tried the examples of %s", id)
		}
	})
}
