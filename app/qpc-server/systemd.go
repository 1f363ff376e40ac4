package main

import (
	"bytes"
	_ "embed"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"text/template"
)

const defaultUnitPath = "/etc/systemd/system/qpc-server.service"

//go:embed qpc-server.service.tmpl
var unitText string

var unitTemplate = template.Must(template.New("unit").Funcs(template.FuncMap{"word": quoteWord, "path": quotePath}).Parse(unitText))

// unit is what the systemd unit depends on.
type unit struct {
	Program, Config, DataDir string
	// StateDirectory is DataDir under /var/lib, where systemd can give it to
	// a user that exists only while the server runs. Empty elsewhere.
	StateDirectory string
	// User runs the server where StateDirectory is empty.
	User string
}

func hasSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

func writeUnit(path, configPath, dataDir string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	configPath, err = filepath.Abs(configPath)
	if err != nil {
		return err
	}
	u := unit{Program: program, Config: configPath, DataDir: dataDir}
	if state, ok := strings.CutPrefix(dataDir, "/var/lib/"); ok {
		u.StateDirectory = state
	} else {
		me, err := user.Current()
		if err != nil {
			return err
		}
		u.User = me.Username
	}
	var text bytes.Buffer
	if err := unitTemplate.Execute(&text, u); err != nil {
		return err
	}
	return writeNew(path, text.Bytes(), 0o644)
}

// quotePath writes a path of a unit file, with specifiers left as they stand.
func quotePath(path string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(path) + `"`
}

// quoteWord writes a word of a command line in a unit file, where variables
// are replaced, too.
func quoteWord(word string) string {
	return strings.ReplaceAll(quotePath(word), "$", "$$")
}
