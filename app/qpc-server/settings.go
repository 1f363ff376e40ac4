package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/adrg/xdg"

	"quicprochat/server/config"
)

// settings are the flags of every command that works on a server.
type settings struct {
	Config  string `type:"path" placeholder:"FILE" env:"QPC_CONFIG" help:"Configuration file."`
	DataDir string `type:"path" placeholder:"DIR" help:"Folder of keys and database, over the configuration's."`
	Listen  string `placeholder:"ADDR" help:"UDP address to listen on, over the configuration's."`
	Host    string `placeholder:"HOST" help:"Host in invite links, over the configuration's."`
}

// load reads the configuration. Without --config the default file is read
// where it exists; flags win over the environment, which wins over the file.
func (s settings) load(environ []string) (config.Config, error) {
	c, err := config.Load(s.configPath(), s.over(environ))
	if err != nil {
		return c, fmt.Errorf("the configuration cannot be used: %s", indent(err.Error()))
	}
	return c, nil
}

// configPath is the file to read; empty where there is none.
func (s settings) configPath() string {
	if s.Config != "" {
		return s.Config
	}
	if _, err := os.Stat(defaultConfigPath()); err != nil {
		return ""
	}
	return defaultConfigPath()
}

func (s settings) over(environ []string) []string {
	environ = environ[:len(environ):len(environ)]
	for name, value := range map[string]string{"DATA_DIR": s.DataDir, "LISTEN": s.Listen, "PUBLIC_HOST": s.Host} {
		if value != "" {
			environ = append(environ, "QPC_"+name+"="+value)
		}
	}
	return environ
}

func isRoot() bool { return os.Geteuid() == 0 }

func defaultConfigPath() string {
	if isRoot() {
		return "/etc/qpc/server.toml"
	}
	return filepath.Join(xdg.ConfigHome, "qpc", "server.toml")
}

func defaultDataDir() string {
	if isRoot() {
		return "/var/lib/qpc"
	}
	return filepath.Join(xdg.DataHome, "qpc-server")
}

// newLogger makes the log, and what changes its level while it is in use.
func newLogger(c config.Log, console *console) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(c.Level)
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(console.err, options)), level
	}
	return slog.New(slog.NewTextHandler(console.err, options)), level
}

// indent sets the lines of a text with several apart from what stands before.
func indent(text string) string {
	if !strings.Contains(text, "\n") {
		return text
	}
	return "\n  " + strings.ReplaceAll(text, "\n", "\n  ")
}
