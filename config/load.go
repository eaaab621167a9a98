package config

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxSecretFile bounds what is read of a file that is said to hold a secret.
const maxSecretFile = 64 << 10

// serve is the command whose settings are all there are.
var serve = Command{Name: "serve", About: "Runs a node until SIGTERM or Ctrl-C; a second one ends it at once."}

// Load reads the settings of `longwire serve` from its arguments, then from the environment, then from the defaults. It
// returns every error at once, joined. Asked for help it writes that to help and returns [flag.ErrHelp].
func Load(args []string, getenv func(string) string, help io.Writer) (Config, error) {
	var c Config
	sources, words, err := read(serve, c.settings(), args, getenv, help)
	if err != nil {
		return Config{}, err
	}
	if len(words) > 0 {
		return Config{}, fmt.Errorf("unexpected argument %q: a flag's value follows it as --flag=value", words[0])
	}
	if err := errors.Join(sources.apply(), c.check(sources)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Command is a command of the program.
type Command struct {
	Name     string
	Words    []string // of which it takes one; none means that it takes none
	About    string   // one sentence for its help
	Settings []string // flag names, without dashes, in the order of the help
}

// LoadOnly reads the settings of another command than serve and leaves all others at their zero value. It checks each by
// itself, but not whether they make a node, and returns the one word that the command takes; flags may stand on both sides of
// it. A name that is no setting is a mistake in the program and panics.
func LoadOnly(command Command, args []string, getenv func(string) string, help io.Writer) (Config, string, error) {
	var c Config
	all := c.settings()
	var some []setting
	for _, name := range command.Settings {
		i := slices.IndexFunc(all, func(s setting) bool { return s.name == name })
		if i < 0 {
			panic("config: no setting is called " + name)
		}
		some = append(some, all[i])
	}
	sources, words, err := read(command, some, args, getenv, help)
	if err != nil {
		return Config{}, "", err
	}
	word, err := command.word(words)
	if err != nil {
		return Config{}, "", err
	}
	if err := sources.apply(); err != nil {
		return Config{}, "", err
	}
	return c, word, nil
}

// word returns the one word that was given, if that is what the command takes.
func (c Command) word(given []string) (string, error) {
	takes := "no argument"
	if len(c.Words) > 0 {
		takes = strings.Join(c.Words, " or ")
	}
	switch {
	case len(c.Words) == 0 && len(given) == 0:
		return "", nil
	case len(given) == 0:
		return "", fmt.Errorf("%s takes %s; see `longwire %s --help`", c.Name, takes, c.Name)
	case !slices.Contains(c.Words, given[0]):
		return "", fmt.Errorf("%s takes %s, not %q; see `longwire %s --help`", c.Name, takes, given[0], c.Name)
	case len(given) > 1:
		return "", fmt.Errorf("%s takes one word: %q is one too many", c.Name, given[1])
	}
	return given[0], nil
}

// source is where one setting's text comes from.
type source struct {
	setting setting
	name    string // as the person wrote it: --heartbeat, LONGWIRE_HEARTBEAT, PORT; empty for the default
	text    string
	inFile  bool // text is the path of a file that holds the value
	err     error
}

type sources []source

// read finds out where each setting comes from, without looking at the values: the flag package would stop at the first
// bad one. It returns the arguments that are no flags, too.
func read(command Command, settings []setting, args []string, getenv func(string) string, help io.Writer) (sources, []string, error) {
	flags := flag.NewFlagSet("longwire "+command.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // every error is returned; nothing is printed behind the caller's back
	for _, s := range settings {
		flags.Var(&rawFlag{isSwitch: s.isSwitch()}, s.name, s.usage)
		if s.fromFile() {
			flags.Var(&rawFlag{}, s.name+"-file", s.usage)
		}
	}
	words, err := parse(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		if err := writeHelp(help, command, settings); err != nil {
			return nil, nil, fmt.Errorf("write help: %w", err)
		}
		return nil, nil, flag.ErrHelp
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w; see `longwire %s --help`", err, command.Name)
	}
	given := map[string]string{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = f.Value.String() })
	found := make(sources, 0, len(settings))
	for _, s := range settings {
		found = append(found, find(s, given, getenv))
	}
	return found, words, nil
}

// parse reads flags before, between and after words. The flag package alone takes all that follows a word for words.
func parse(flags *flag.FlagSet, args []string) (words []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return words, nil
		}
		words = append(words, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// find looks for one setting: a flag beats the environment, and that beats the default. An empty variable counts as none,
// because that is how compose files and shells pass on what is not set; an empty flag was meant.
func find(s setting, given map[string]string, getenv func(string) string) source {
	text, byFlag := given[s.name]
	path, byFileFlag := given[s.name+"-file"]
	switch {
	case byFlag && byFileFlag:
		return source{setting: s, err: fmt.Errorf("--%s and --%s-file are both given: give one", s.name, s.name)}
	case byFlag:
		return source{setting: s, name: "--" + s.name, text: text}
	case byFileFlag:
		return source{setting: s, name: "--" + s.name + "-file", text: path, inFile: true}
	}
	env := s.env()
	text = getenv(env)
	path = ""
	if s.fromFile() {
		path = getenv(env + "_FILE")
	}
	switch {
	case text != "" && path != "":
		return source{setting: s, err: fmt.Errorf("%s and %s_FILE are both set: set one", env, env)}
	case text != "":
		return source{setting: s, name: env, text: text}
	case path != "":
		return source{setting: s, name: env + "_FILE", text: path, inFile: true}
	}
	if port := getenv("PORT"); s.name == "listen" && port != "" {
		if !isPort(port) {
			return source{setting: s, err: fmt.Errorf("PORT=%s: want a port from 0 to 65535", port)}
		}
		return source{setting: s, name: "PORT", text: ":" + port}
	}
	return source{setting: s, text: s.fallback}
}

// apply sets every field and returns all errors, joined.
func (all sources) apply() error {
	var errs []error
	for _, from := range all {
		errs = append(errs, from.apply())
	}
	return errors.Join(errs...)
}

func (from source) apply() error {
	switch {
	case from.err != nil:
		return from.err
	case from.inFile:
		return from.applyFile()
	}
	err := from.setting.value.parse(from.text)
	switch {
	case err == nil:
		return nil
	case from.setting.fromFile():
		return fmt.Errorf("%s: %w", from.name, err)
	default:
		return fmt.Errorf("%s=%s: %w", from.name, from.text, err)
	}
}

func (from source) applyFile() error {
	text, err := readSecret(from.text)
	if err != nil {
		return fmt.Errorf("%s: %w", from.name, err)
	}
	if list, ok := from.setting.value.(secretsValue); ok {
		err = list.parseFile(text)
	} else {
		err = from.setting.value.parse(text)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: in that file: %w", from.name, from.text, err)
	}
	return nil
}

// readSecret returns what is in the file without the line break that editors and `echo` leave at its end.
func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxSecretFile {
		return "", fmt.Errorf("%s is larger than %d bytes, which no secret is", path, maxSecretFile)
	}
	text := strings.TrimRight(string(content), "\r\n")
	if text == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return text, nil
}

// check looks at what no setting can see alone. A setting that was itself refused still has its zero value here, so what
// it should have been is asked of the sources.
func (c *Config) check(from sources) error {
	var errs []error
	isSet := func(name string) bool {
		return slices.ContainsFunc(from, func(s source) bool {
			return s.setting.name == name && (s.err != nil || s.text != "")
		})
	}
	if isSet("mysql-dsn") {
		if !isSet("redis-url") && !c.SingleNode {
			errs = append(errs, errors.New("LONGWIRE_MYSQL_DSN is set and LONGWIRE_REDIS_URL is not: "+
				"nodes find each other through Redis; if this is the only node, set LONGWIRE_SINGLE_NODE=true"))
		}
		if !isSet("jwt-secret") {
			errs = append(errs, errors.New("LONGWIRE_JWT_SECRET is not set: "+
				"with MySQL every node needs the same secret; `openssl rand -hex 32` makes a good one"))
		}
		if c.MySQLConnections > 0 && c.MySQLConnections <= c.Writers {
			errs = append(errs, fmt.Errorf("LONGWIRE_MYSQL_CONNECTIONS=%d: want more than LONGWIRE_WRITERS=%d, "+
				"so that reading goes on while all write", c.MySQLConnections, c.Writers))
		}
	}
	if c.SessionLifetime > 0 && c.SessionLifetime < c.AccessTokenLifetime {
		errs = append(errs, fmt.Errorf("LONGWIRE_SESSION_LIFETIME=%s: want no less than LONGWIRE_ACCESS_TOKEN_LIFETIME=%s",
			short(c.SessionLifetime), short(c.AccessTokenLifetime)))
	}
	if _, port, found := strings.Cut(c.Listen, ":"); found && port != "0" && c.Listen == c.OpsListen {
		errs = append(errs, fmt.Errorf("LONGWIRE_OPS_LISTEN=%s: want another address than LONGWIRE_LISTEN", c.OpsListen))
	}
	return errors.Join(errs...)
}

// rawFlag takes any text; what it means is looked at later.
type rawFlag struct {
	text     string
	isSwitch bool
}

func (f *rawFlag) String() string   { return f.text }
func (f *rawFlag) IsBoolFlag() bool { return f.isSwitch }

func (f *rawFlag) Set(text string) error {
	f.text = text
	return nil
}

func writeHelp(w io.Writer, command Command, settings []setting) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Usage: longwire %s", command.Name)
	if len(command.Words) > 0 {
		fmt.Fprintf(&text, " %s", strings.Join(command.Words, "|"))
	}
	if len(settings) > 0 {
		text.WriteString(" [--flag=value …]")
	}
	fmt.Fprintf(&text, "\n\n%s\n", command.About)
	if len(settings) > 0 {
		text.WriteString("\nEvery setting is an environment variable and a flag; the flag wins.")
	}
	if slices.ContainsFunc(settings, setting.fromFile) {
		text.WriteString(" Secrets are better read from a file, which\n" +
			"the same name with _FILE or -file at its end points to, than given as flags, which every process can see.")
	}
	if len(settings) > 0 {
		text.WriteString("\n")
	}
	group := ""
	for _, s := range settings {
		if s.group != group {
			group = s.group
			fmt.Fprintf(&text, "\n%s:\n", group)
		}
		file := ""
		if s.fromFile() {
			file = " or " + s.env() + "_FILE"
		}
		fmt.Fprintf(&text, "  --%s, %s%s (default: %s)\n      %s\n", s.name, s.env(), file, cmp.Or(s.fallback, "none"), s.usage)
	}
	_, err := io.WriteString(w, text.String())
	return err
}
