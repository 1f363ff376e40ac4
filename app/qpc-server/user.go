package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/moderation"
	"quicprochat/server/storage"
)

type userCmd struct {
	List userListCmd `cmd:"" help:"List the accounts by name."`
	Show userShowCmd `cmd:"" help:"Show an account."`
	Role userRoleCmd `cmd:"" help:"Make somebody an admin, a moderator or a user."`
}

// userPage is how many accounts are read in one go.
const userPage = 500

type userListCmd struct {
	settings
}

// Run prints a line for each account.
func (cmd *userListCmd) Run(c *console) error {
	return cmd.onAccounts(c, func(ctx context.Context, m *moderation.Service) error {
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		for after := ""; ; {
			page, err := m.Users(ctx, after, userPage)
			if err != nil {
				return err
			}
			for _, u := range page {
				fmt.Fprintf(table, "%s\t%s\tsince %s\t%s\n", u.Name, u.Role, day(u.CreatedDay), banned(u))
				after = u.Name
			}
			if len(page) < userPage {
				return table.Flush()
			}
		}
	})
}

type userShowCmd struct {
	settings
	Name string `arg:"" help:"Name of the account."`
}

// Run prints what the server knows of an account besides its keys.
func (cmd *userShowCmd) Run(c *console) error {
	return cmd.onAccounts(c, func(ctx context.Context, m *moderation.Service) error {
		return printUser(ctx, c, m, cmd.Name)
	})
}

type userRoleCmd struct {
	settings
	Name string `arg:"" help:"Name of the account."`
	Role string `arg:"" enum:"user,moderator,admin" help:"Moderators see reports and ban users; admins ban moderators, too."`
}

// Run gives an account a role. It works from the account's next call on.
func (cmd *userRoleCmd) Run(c *console) error {
	role, err := storage.ParseRole(cmd.Role)
	if err != nil {
		return err
	}
	return cmd.onAccounts(c, func(ctx context.Context, m *moderation.Service) error {
		if err := m.SetRole(ctx, cmd.Name, role); err != nil {
			return err
		}
		return printUser(ctx, c, m, cmd.Name)
	})
}

// onAccounts does something with the accounts of a server that is set up,
// beside one that may be running.
func (s settings) onAccounts(c *console, do func(context.Context, *moderation.Service) error) (err error) {
	cfg, err := s.load(c.environ)
	if err != nil {
		return err
	}
	if !isSetUp(cfg) {
		return fmt.Errorf("there is no server in %s: set one up with \"qpc-server quickstart\", or name its folder", cfg.DataDir)
	}
	beside, err := newServer(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = shutdown(beside, err) }()
	err = do(context.Background(), beside.Moderation())
	if said, ok := errors.AsType[*wire.Error](err); ok {
		return errors.New(said.Message)
	}
	return err
}

func printUser(ctx context.Context, c *console, m *moderation.Service, name string) error {
	u, err := m.User(ctx, name)
	if err != nil {
		return err
	}
	writeUser(c.out, u)
	return nil
}

func writeUser(w io.Writer, u moderation.User) {
	fmt.Fprintf(w, "name:     %s\naccount:  %s\nrole:     %s\nsince:    %s\ndevices:  %d\n", u.Name, u.ID, u.Role, day(u.CreatedDay), u.Devices)
	if u.Banned {
		fmt.Fprintf(w, "banned:   %s\n", until(u))
	}
	if u.Reason != "" {
		fmt.Fprintf(w, "reason:   %s\n", u.Reason)
	}
}

func banned(u moderation.User) string {
	if !u.Banned {
		return ""
	}
	return "banned " + until(u)
}

func until(u moderation.User) string {
	if u.Until.IsZero() {
		return "for good"
	}
	return "until " + u.Until.UTC().Format("2006-01-02 15:04") + " UTC"
}

func day(seconds uint64) string { return time.Unix(int64(seconds), 0).UTC().Format(time.DateOnly) }
