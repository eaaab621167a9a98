package main

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"longwire/chat"
	"longwire/config"
	"longwire/handlers"
)

// told returns limits as clients are told of them.
func told(t *testing.T, l chat.Limits) map[string]any {
	t.Helper()
	text, err := json.Marshal(l)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	return fields
}

// settingsOfTheOperator are fields of config.Config that limit nothing a client
// could run into, or that a client is told of where it matters.
var settingsOfTheOperator = map[string]string{
	"Listen": "", "OpsListen": "", "TrustedProxies": "", "CORSOrigins": "", "H2C": "", "NodeName": "", "ShutdownGrace": "", "DataDir": "", "MySQLDSN": "", "MySQLConnections": "",
	"RedisURL": "", "SingleNode": "", "Migrate": "", "JWTSecret": "", "JWTPreviousSecrets": "", "PasswordConcurrency": "", "LogLevel": "", "LogFormat": "",
	"AccessTokenLifetime": "expires_in", "SessionLifetime": "expires_at of a session", "InboxTokenLifetime": "expires_in",
	"MaxStreams": "of the node, whoever opens them", "ParkStreams": "", "StreamWriteTimeout": "bye slow_consumer", "InboxStreamLength": "a cache", "HeadCheck": "",
	"Writers": "", "WriterQueue": "503 with Retry-After", "WriterBatch": "",
}

// A setting that limits what clients may do shows in GET /v1/limits, and so
// does its change.
func TestEveryLimitThatIsASettingIsTold(t *testing.T) {
	t.Parallel()
	base := told(t, limits(config.Config{}))
	fields := reflect.TypeFor[config.Config]()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if _, known := settingsOfTheOperator[field.Name]; known {
			continue
		}
		var changed config.Config
		value := reflect.ValueOf(&changed).Elem().Field(i)
		switch value.Interface().(type) {
		case bool:
			value.SetBool(true)
		case time.Duration:
			value.SetInt(int64(7 * time.Minute))
		default:
			require.True(t, value.CanInt(), "what would %s limit?", field.Name)
			value.SetInt(12_345)
		}
		assert.NotEqual(t, base, told(t, limits(changed)), "%s is not told; is it the operator's own?", field.Name)
	}
	for name := range settingsOfTheOperator {
		_, there := fields.FieldByName(name)
		assert.True(t, there, "there is no %s any more", name)
	}
}

// domain returns the source of chat.
func domain(t *testing.T) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob("chat/*.go")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
	}
	require.NotEmpty(t, files)
	return files
}

// boundsInside are bounds of the domain that clients cannot run into.
var boundsInside = map[string]bool{
	"maxWeights": true, "maxCached": true, "maxTypingSaid": true, "maxSeen": true, "maxAddressLength": true, "maxUserAgentLength": true,
}

// Each constant of the domain that bounds something is told under its own name.
func TestEveryBoundOfTheDomainIsTold(t *testing.T) {
	t.Parallel()
	fields := told(t, chat.FixedLimits())
	bound := regexp.MustCompile(`^(?i:max|min|default)[A-Z]`)
	words := regexp.MustCompile(`[A-Z]+[a-z]*|^[a-z]+`)
	found := 0
	for _, file := range domain(t) {
		for _, declared := range file.Decls {
			group, ok := declared.(*ast.GenDecl)
			if !ok || group.Tok != token.CONST {
				continue
			}
			for _, spec := range group.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if !bound.MatchString(name.Name) || boundsInside[name.Name] {
						continue
					}
					found++
					snake := strings.ToLower(strings.Join(words.FindAllString(strings.ReplaceAll(name.Name, "URL", "Url"), -1), "_"))
					_, told := fields[snake]
					_, inSeconds := fields[snake+"_seconds"]
					assert.True(t, told || inSeconds, "chat.%s is not told; clients would have to guess", name.Name)
				}
			}
		}
	}
	assert.Greater(t, found, 5)
}

// A literal number as a bound of a text would be told to nobody.
func TestBoundsOfTextsHaveNames(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, file := range domain(t) {
		ast.Inspect(file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok || len(call.Args) != 4 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || method.Sel.Name != "text" {
				return true
			}
			calls++
			_, literal := call.Args[3].(*ast.BasicLit)
			assert.False(t, literal, "the longest text of %v is a number without a name", call.Args[0])
			return true
		})
	}
	assert.Greater(t, calls, 10)
}

// everySetting is a configuration in which every limit has a value.
func everySetting() config.Config {
	var all config.Config
	value := reflect.ValueOf(&all).Elem()
	for _, field := range value.Fields() {
		if field.CanInt() {
			field.SetInt(int64(time.Minute))
		}
	}
	all.RateLimit = true
	return all
}

func TestNoLimitIsToldAsNothing(t *testing.T) {
	t.Parallel()
	for name, value := range told(t, limits(everySetting())) {
		assert.NotZero(t, value, name)
	}
	assert.Equal(t, handlers.RateLimits(), limits(config.Config{RateLimit: true}).RateLimits)
	assert.Empty(t, limits(config.Config{}).RateLimits, "those that are off are not in force")
}
