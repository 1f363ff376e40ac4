package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// ErrNotFound is returned by Load where the file does not exist.
var ErrNotFound = errors.New("the configuration file does not exist")

// Load reads path over the defaults, then the environment over both, and
// validates the result. An empty path reads no file. Relative paths in it are
// taken from the file's folder.
func Load(path string, environ []string) (Config, error) {
	c := Default()
	if path != "" {
		if err := c.readFile(path); err != nil {
			return Config{}, err
		}
	}
	if err := c.ApplyEnv(environ); err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func (c *Config) readFile(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, ErrNotFound)
	}
	if err != nil {
		return err
	}
	if err := c.decode(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, own := range []*string{&c.DataDir, &c.TLS.Certificate, &c.TLS.Key, &c.Bus.CredentialsFile, &c.Bus.CAFile} {
		if *own != "" && !filepath.IsAbs(*own) {
			*own = filepath.Join(filepath.Dir(path), *own)
		}
	}
	return nil
}

// decode reads TOML into c. Keys that mean nothing are errors, not hopes.
func (c *Config) decode(text []byte) error {
	meta, err := toml.NewDecoder(bytes.NewReader(text)).Decode(c)
	if err != nil {
		if parse, ok := errors.AsType[toml.ParseError](err); ok {
			return fmt.Errorf("line %d: %s", parse.Position.Line, parse.Message)
		}
		return err
	}
	for _, key := range meta.Undecoded() {
		return fmt.Errorf("line %d: there is no setting named %q", lineOf(text, key), key.String())
	}
	return nil
}

// lineOf finds the line that defines key, counting from 1; the decoder does
// not keep it. 0 means that it is spelled in a way this does not follow.
func lineOf(text []byte, key toml.Key) int {
	table := ""
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table, _, _ = strings.Cut(strings.Trim(line, "["), "]")
			table = strings.ReplaceAll(table, " ", "")
			if table == key.String() {
				return n
			}
			continue
		}
		name, _, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		full := strings.TrimSpace(name)
		if table != "" {
			full = table + "." + full
		}
		if full == key.String() {
			return n
		}
	}
	return 0
}
