package main

import (
	"context"
	"fmt"
	"time"

	"quicprochat/server/moderation"
)

type banCmd struct {
	settings
	Name   string        `arg:"" help:"Whom to ban."`
	For    time.Duration `help:"For how long; 0 has no end." default:"0"`
	Reason string        `help:"For the operators."`
}

// Run bans an account. A server that runs on the same data ends its connections
// within seconds.
func (cmd *banCmd) Run(c *console) error {
	var until time.Time
	switch {
	case cmd.For < 0:
		return fmt.Errorf("a ban of %v has ended before it begins", cmd.For)
	case cmd.For > 0:
		until = time.Now().Add(cmd.For)
	}
	return cmd.onAccounts(c, func(ctx context.Context, m *moderation.Service) error {
		if err := m.Ban(ctx, cmd.Name, until, cmd.Reason); err != nil {
			return err
		}
		return printUser(ctx, c, m, cmd.Name)
	})
}

type unbanCmd struct {
	settings
	Name string `arg:"" help:"Whom to let in again."`
}

// Run lifts a ban. An account without one is no error.
func (cmd *unbanCmd) Run(c *console) error {
	return cmd.onAccounts(c, func(ctx context.Context, m *moderation.Service) error {
		if err := m.Unban(ctx, cmd.Name); err != nil {
			return err
		}
		return printUser(ctx, c, m, cmd.Name)
	})
}
