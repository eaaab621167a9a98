package config

import (
	"slices"
	"strings"
)

// Unknown is a variable that looks like a setting and is none, most likely because it is misspelt.
type Unknown struct {
	Name    string
	Nearest string // the setting that may be meant; empty when none is close
}

// prefix is what the names of all variables begin with.
const prefix = "LONGWIRE_"

// UnknownVariables returns the variables of an environment, as [os.Environ] writes it, that are called LONGWIRE_… and that
// nobody reads, in the order of their names.
func UnknownVariables(environ []string) []Unknown {
	known := variables()
	var unknown []Unknown
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) && !fromKubernetes(name, value) {
			unknown = append(unknown, Unknown{Name: name, Nearest: nearest(name, known)})
		}
	}
	slices.SortFunc(unknown, func(a, b Unknown) int { return strings.Compare(a.Name, b.Name) })
	return unknown
}

// variables returns the names of all variables that are read.
func variables() []string {
	var names []string
	for _, s := range new(Config).settings() {
		names = append(names, s.env())
		if s.fromFile() {
			names = append(names, s.env()+"_FILE")
		}
	}
	return names
}

// fromKubernetes tells whether this is a variable that Kubernetes gives to every pod beside a service called longwire.
func fromKubernetes(name, value string) bool {
	rest := strings.TrimPrefix(name, prefix)
	return strings.HasPrefix(rest, "SERVICE_HOST") || strings.HasPrefix(rest, "SERVICE_PORT") ||
		strings.HasPrefix(rest, "PORT_") || rest == "PORT" && strings.Contains(value, "://")
}

// nearest returns the name that the fewest letters tell from this one, if they are few enough for a slip.
func nearest(name string, known []string) string {
	best, fewest := "", len(strings.TrimPrefix(name, prefix))/3+1
	for _, candidate := range known {
		if d := distance(name, candidate); d < fewest {
			best, fewest = candidate, d
		}
	}
	return best
}

// distance is how many letters must be added, left out or changed to make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // of the table: from what was read of a to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
