package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"quicprochat/server"
	"quicprochat/server/config"
	"quicprochat/server/storage"
)

// inviteCmds are "invite", which makes one, and what else can be done.
type inviteCmds struct {
	Create inviteCmd       `cmd:"" default:"withargs" help:"Make an invite link (what \"invite\" alone does)."`
	List   inviteListCmd   `cmd:"" help:"List the invites that can be used."`
	Revoke inviteRevokeCmd `cmd:"" help:"End an invite for those who have not used it."`
}

type inviteListCmd struct {
	settings
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists invites by their labels. The links themselves are known to nobody
// but those who have them.
func (cmd *inviteListCmd) Run(c *console) error {
	cfg, err := cmd.loadExisting(c.environ)
	if err != nil {
		return err
	}
	return withServer(cfg, func(s *server.Server) error {
		invites, err := s.Invites(context.Background())
		if err != nil {
			return err
		}
		if cmd.JSON {
			return c.printJSON(invites)
		}
		if len(invites) == 0 {
			fmt.Fprintln(c.out, "There is no invite that can be used.")
		}
		for _, i := range invites {
			line := fmt.Sprintf("%s  for %d account(s) until %s", i.Label, i.UsesLeft, i.Expires.Local().Format("2 January 2006 15:04"))
			if i.Role != storage.RoleUser.String() {
				line += ", who will be " + i.Role
			}
			fmt.Fprintln(c.out, line)
		}
		return nil
	})
}

type inviteRevokeCmd struct {
	settings
	Invite []string `arg:"" placeholder:"INVITE" help:"Its label from \"invite list\", or its link."`
}

// Run ends invites.
func (cmd *inviteRevokeCmd) Run(c *console) error {
	cfg, err := cmd.loadExisting(c.environ)
	if err != nil {
		return err
	}
	return withServer(cfg, func(s *server.Server) error {
		for _, name := range cmd.Invite {
			err := s.RevokeInvite(context.Background(), name)
			if errors.Is(err, storage.ErrInviteUnknown) {
				return errors.New("there is no such invite that can be used: \"qpc-server invite list\" shows them")
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(c.out, "The invite is revoked. Accounts that were created with it stay.")
		}
		return nil
	})
}

// withServer opens the server of cfg beside one that may be running.
func withServer(cfg config.Config, use func(*server.Server) error) error {
	s, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return shutdown(s, use(s))
}
