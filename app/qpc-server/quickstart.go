package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/storage"
)

type quickstartCmd struct {
	settings
	inviteTerms
	Registration string `enum:"open,invite,closed" default:"invite" help:"Who may create an account: open, invite or closed."`
	SystemdUnit  string `type:"path" placeholder:"FILE" help:"Write a systemd unit to this file (root on a systemd machine gets one by default)."`
	NoSystemd    bool   `help:"Write no systemd unit."`
	NoQR         bool   `name:"no-qr" help:"Do not show the invite link as a QR code."`
	Once         bool   `help:"Where a server is set up already, do nothing, and do not fail."`
}

// Run sets up a server and starts nothing. It refuses to touch a server that
// is there already. The configuration is written when all else has worked, so
// that a quickstart that failed can be repeated.
func (cmd *quickstartCmd) Run(c *console) error {
	path := cmd.Config
	if path == "" {
		path = defaultConfigPath()
	}
	if _, err := os.Stat(path); err == nil && cmd.Once {
		fmt.Fprintf(c.out, "%s exists, so a server is set up already.\n", path)
		return nil
	} else if err == nil {
		return fmt.Errorf("%s exists, so a server is set up already: \"qpc-server invite\" makes further links, \"qpc-server check\" looks it over", path)
	}
	cfg, err := cmd.newConfig(c.environ)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	links, err := cmd.makeLinks(cfg)
	if err != nil {
		return err
	}
	if err := writeConfig(path, cfg); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	fmt.Fprintf(c.out, "Configuration: %s\nKeys and data: %s (losing it loses every account: \"qpc-server backup\" makes a backup)\n", path, cfg.DataDir)
	if cfg.Store.URL.HasPassword() {
		fmt.Fprintln(c.out, "It holds the database's password, so only you can read the configuration. Where the server runs as another user, let that one read it.")
	}
	if err := cmd.setUpService(c, path, cfg); err != nil {
		return err
	}
	return cmd.showLinks(c, cfg, links)
}

func (cmd *quickstartCmd) newConfig(environ []string) (config.Config, error) {
	cfg := config.Default()
	cfg.DataDir = defaultDataDir()
	cfg.PublicHost = config.GuessHost()
	cfg.Ops.Listen = config.DefaultOpsListen
	cfg.Registration = config.Registration(cmd.Registration)
	if err := cfg.ApplyEnv(cmd.over(environ)); err != nil {
		return cfg, err
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return cfg, err
	}
	cfg.DataDir = dir
	return cfg, cfg.Validate()
}

func writeConfig(path string, cfg config.Config) error {
	var text bytes.Buffer
	if err := cfg.Write(&text); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// The service's own user has to read it, so it holds no secret, unless the
	// operator put the database's password there.
	mode := fs.FileMode(0o644)
	if cfg.Store.URL.HasPassword() {
		mode = 0o600
	}
	return writeNew(path, text.Bytes(), mode)
}

func writeNew(path string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (cmd *quickstartCmd) setUpService(c *console, configPath string, cfg config.Config) error {
	unit := cmd.SystemdUnit
	if unit == "" && isRoot() && hasSystemd() {
		unit = defaultUnitPath
	}
	if unit == "" || cmd.NoSystemd {
		fmt.Fprintf(c.out, "Run it now:    qpc-server serve --config %s\n", configPath)
		return nil
	}
	if err := writeUnit(unit, configPath, cfg.DataDir); err != nil {
		return fmt.Errorf("writing the systemd unit: %w", err)
	}
	fmt.Fprintf(c.out, "systemd unit:  %s\nRun it now:    systemctl daemon-reload && systemctl enable --now %s\n", unit, filepath.Base(unit))
	return nil
}

// reach says what has to be so that people find the server.
func reach(cfg config.Config) string {
	port := cfg.LinkPort()
	text := fmt.Sprintf("People must reach the server at %s, UDP port %d:\n", cfg.LinkHost(), port)
	text += fmt.Sprintf("  * a firewall lets UDP port %d in (ufw allow %d/udp; at a hosting company, its own firewall, too)\n", port, port)
	if ip, err := netip.ParseAddr(cfg.LinkHost()); err == nil && (ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()) || cfg.LinkHost() == "localhost" {
		text += fmt.Sprintf("  * %s is known in this network only: for people elsewhere, forward UDP port %d on the router to this machine,\n    set public_host to the router's name or address, and make a new link with \"qpc-server invite\"\n", cfg.LinkHost(), port)
	}
	return text + "\"qpc-server check\" looks everything over, and says in words what is wrong.\n"
}

// firstLinks are the links of a new server; empty ones are not needed.
type firstLinks struct {
	// admin makes whoever registers with it, once, the administrator.
	admin string
	// others is for everybody else.
	others string
}

func (cmd *quickstartCmd) makeLinks(cfg config.Config) (links firstLinks, err error) {
	if cmd.Uses < 1 || cmd.TTL <= 0 {
		return links, server.ErrInviteTerms
	}
	if cfg.Registration != config.RegistrationClosed {
		links.admin, err = makeRoleLink(cfg, inviteTerms{Uses: 1, TTL: cmd.TTL}, storage.RoleAdmin)
		if err != nil {
			return links, err
		}
	}
	if cfg.Registration != config.RegistrationInvite || cmd.Uses > 1 {
		links.others, err = makeLink(cfg, inviteTerms{Uses: cmd.Uses - 1, TTL: cmd.TTL})
	}
	return links, err
}

func (cmd *quickstartCmd) showLinks(c *console, cfg config.Config, links firstLinks) error {
	until := time.Now().Add(cmd.TTL).Format("2 January 2006 15:04")
	last := links.admin
	if links.admin != "" {
		fmt.Fprintf(c.out, "\nYour own link, for one account until %s, which will administer the server:\n\n  %s\n", until, links.admin)
	}
	if links.others != "" {
		last = links.others
		what := "Link to this server, for everybody"
		if cfg.Registration == config.RegistrationInvite {
			what = fmt.Sprintf("Invite link, for %d more account(s) until %s", cmd.Uses-1, until)
		}
		fmt.Fprintf(c.out, "\n%s:\n\n  %s\n", what, links.others)
	}
	fmt.Fprintln(c.out)
	if !cmd.NoQR {
		if err := printQR(c, last); err != nil {
			return err
		}
	}
	fmt.Fprint(c.out, reach(cfg))
	return nil
}
