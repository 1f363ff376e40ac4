package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"quicprochat/core/client"
)

type passwordCommand struct {
	NewPasswordFile string `help:"Read the new password from the first line of this file (or set QPC_NEW_PASSWORD; otherwise it is asked for)." type:"existingfile" placeholder:"FILE"`
	ThisDevice      bool   `help:"Change nothing on the server: after the password was changed on another device, make this profile open with it too."`
}

func (p passwordCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	prompt := secret{
		file: p.NewPasswordFile, env: "QPC_NEW_PASSWORD", prompt: "New password: ", twice: !p.ThisDevice,
		missing: "There is no new password: set QPC_NEW_PASSWORD, give --new-password-file, or run this in a terminal.",
	}
	next, err := prompt.read()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	if p.ThisDevice {
		if err := c.UseAccountPassword(ctx, next); err != nil {
			return err
		}
		return s.print(map[string]bool{"changed": true}, "This profile now opens with the account's password.")
	}
	present, err := s.password(false)
	if err != nil {
		return err
	}
	if err := s.sync(ctx); err != nil {
		return err
	}
	if err := c.ChangePassword(ctx, present, next); err != nil {
		return err
	}
	return s.print(map[string]bool{"changed": true}, "The password was changed. Other devices stay logged in and keep opening with the old one (see \"qpc password --this-device\"). A recovery code goes on working: if somebody else may have known the old password, make a new one (\"qpc recovery create\").")
}

type deleteAccountCommand struct {
	Yes bool `help:"Do not ask."`
}

func (d deleteAccountCommand) Run(s *session) error {
	c, err := s.open()
	if err != nil {
		return err
	}
	if !d.Yes {
		if err := confirmDeletion(c.Me().Name); err != nil {
			return err
		}
	}
	password, err := s.password(false)
	if err != nil {
		return err
	}
	if err := c.DeleteAccount(s.ctx, password); err != nil {
		return err
	}
	return s.print(map[string]bool{"deleted": true}, "The account and this profile were deleted.")
}

// confirmDeletion lets a person type the account's name.
func confirmDeletion(name string) error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return notice("Deleting an account cannot be undone. Give --yes to do it.")
	}
	fmt.Fprintf(os.Stderr, "This cannot be undone, and nobody can ever use the name again.\nType %q to delete the account: ", name)
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != name {
		return notice("Nothing was deleted.")
	}
	return nil
}

type recoveryCommand struct {
	Create recoveryCreateCommand `cmd:"" help:"Make a recovery code. An earlier one is worth nothing afterwards."`
	Remove recoveryRemoveCommand `cmd:"" help:"Make the recovery code worthless."`
}

type recoveryCreateCommand struct{}

func (recoveryCreateCommand) Run(s *session) error {
	return s.owned(func(ctx context.Context, password string) error {
		code, err := s.client.CreateRecoveryCode(ctx, password)
		if err != nil {
			return err
		}
		return s.printCode(code)
	})
}

// printCode shows a code, alone on standard output so that a script can take it.
func (s *session) printCode(code string) error {
	if !s.JSON {
		fmt.Fprintln(os.Stderr, "Write this code down and keep it in a safe place. It opens your account without the password, and is shown only now:")
	}
	return s.print(map[string]string{"recovery_code": code}, code)
}

type recoveryRemoveCommand struct{}

func (recoveryRemoveCommand) Run(s *session) error {
	return s.owned(func(ctx context.Context, password string) error {
		if err := s.client.RemoveRecoveryCode(ctx, password); err != nil {
			return err
		}
		return s.print(map[string]bool{"removed": true}, "There is no recovery code any more.")
	})
}

// owned unlocks the profile and does something that takes the password.
func (s *session) owned(do func(ctx context.Context, password string) error) error {
	if _, err := s.open(); err != nil {
		return err
	}
	password, err := s.password(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	return do(ctx, password)
}

type recoverCommand struct {
	Link     string `arg:"" help:"Link of the server (qpc://…)."`
	Name     string `arg:"" help:"Your name there."`
	CodeFile string `help:"Read the recovery code from the first line of this file (or set QPC_RECOVERY_CODE; otherwise it is asked for)." type:"existingfile" placeholder:"FILE"`
}

func (r recoverCommand) Run(s *session) error {
	link, err := client.ParseLink(r.Link)
	if err != nil {
		return err
	}
	code, err := secret{
		file: r.CodeFile, env: "QPC_RECOVERY_CODE", prompt: "Recovery code: ",
		missing: "There is no recovery code: set QPC_RECOVERY_CODE, give --code-file, or run this in a terminal.",
	}.read()
	if err != nil {
		return err
	}
	if err := client.CheckRecoveryCode(code); err != nil {
		return err
	}
	password, err := s.password(true)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.Timeout)
	defer cancel()
	c, next, err := client.RecoverAccount(ctx, s.options(), link, r.Name, code, password)
	s.client = c
	if next != "" {
		err = errors.Join(s.printCode(next), err)
	}
	if err != nil {
		return err
	}
	return s.sync(ctx)
}
