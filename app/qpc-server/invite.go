package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/skip2/go-qrcode"

	"quicprochat/server/config"
	"quicprochat/server/storage"
)

// inviteTerms say what a new invite allows.
type inviteTerms struct {
	Uses int           `default:"1" help:"How many accounts can be created with the link."`
	TTL  time.Duration `name:"ttl" default:"168h" help:"How long the link is valid."`
}

type inviteCmd struct {
	settings
	inviteTerms
	Role string `enum:"user,moderator,admin" default:"user" help:"What those who register with the link become: ${enum}."`
	QR   bool   `name:"qr" help:"Show the link as a QR code, too."`
}

// Run prints the link alone on standard output.
func (cmd *inviteCmd) Run(c *console) error {
	cfg, err := cmd.load(c.environ)
	if err != nil {
		return err
	}
	if !isSetUp(cfg) {
		return fmt.Errorf("there is no server in %s: set one up with \"qpc-server quickstart\", or name its folder", cfg.DataDir)
	}
	role, err := storage.ParseRole(cmd.Role)
	if err != nil {
		return err
	}
	link, err := makeRoleLink(cfg, cmd.inviteTerms, role)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, link)
	if cmd.QR {
		return printQR(c, link)
	}
	return nil
}

// makeLink is makeRoleLink for users.
func makeLink(cfg config.Config, terms inviteTerms) (link string, err error) {
	return makeRoleLink(cfg, terms, storage.RoleUser)
}

// makeRoleLink opens the server of cfg beside one that may be running, and
// stores an invite in it where its mode of registration, or the role, asks for
// one.
func makeRoleLink(cfg config.Config, terms inviteTerms, role storage.Role) (link string, err error) {
	if cfg.Registration == config.RegistrationClosed && role != storage.RoleUser {
		return "", fmt.Errorf("registration is closed, so no link can make a new %s: \"qpc-server user role NAME %s\" makes one of somebody who is there", role, role)
	}
	if cfg.LinkPort() == 0 {
		return "", fmt.Errorf("listen = %q takes any free port: set public_port, so that a link can name one", cfg.Listen)
	}
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer func() { err = shutdown(s, err) }()
	if cfg.Registration == config.RegistrationInvite || role != storage.RoleUser {
		return s.CreateRoleInvite(context.Background(), role, terms.Uses, terms.TTL)
	}
	return s.Link(nil), nil
}

func printQR(c *console, link string) error {
	code, err := qrcode.New(link, qrcode.Low)
	if err != nil {
		return fmt.Errorf("drawing the QR code: %w", err)
	}
	fmt.Fprint(c.out, code.ToSmallString(false))
	return nil
}
