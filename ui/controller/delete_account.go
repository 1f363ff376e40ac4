package controller

import (
	"context"
	"errors"
	"strings"

	"quicprochat/core/client"
)

// DeleteAccount deletes the account and this profile.
type DeleteAccount struct {
	Form
	main *Main

	nameProblem, passwordProblem string
}

// DeleteAccount makes the controller of the dialog.
func (m *Main) DeleteAccount() *DeleteAccount {
	return &DeleteAccount{Form: Form{loop: m.loop}, main: m}
}

// NameProblem says what is wrong with the name typed to confirm.
func (d *DeleteAccount) NameProblem() string { return d.nameProblem }

// PasswordProblem says what is wrong with the password.
func (d *DeleteAccount) PasswordProblem() string { return d.passwordProblem }

// Edited clears what was wrong.
func (d *DeleteAccount) Edited() {
	if d.problem != "" || d.nameProblem != "" || d.passwordProblem != "" {
		d.problem, d.nameProblem, d.passwordProblem = "", "", ""
		d.changed()
	}
}

// Submit deletes the account; name is the account's own, typed as a confirmation.
func (d *DeleteAccount) Submit(name, password string) {
	if d.busy {
		return
	}
	d.problem, d.nameProblem, d.passwordProblem = "", "", ""
	me := d.main.Me().Name
	if !strings.EqualFold(strings.TrimSpace(name), me) {
		d.nameProblem = "Type “" + me + "” to confirm."
	}
	if password == "" {
		d.passwordProblem = "Type your password."
	}
	if d.nameProblem+d.passwordProblem != "" {
		d.changed()
		return
	}
	d.delete(me, password)
}

// delete goes to the beginning also where the account is gone but not all of
// the profile's files.
func (d *DeleteAccount) delete(me, password string) {
	notice := "The account “" + me + "” is deleted."
	d.work(func(ctx context.Context) error {
		session := d.main.session
		err := session.DeleteAccount(ctx, password)
		if err == nil {
			return nil
		}
		if _, after := session.Conversations(ctx); errors.Is(after, client.ErrClosed) {
			notice += " Some of its files could not be removed from this computer."
			return nil
		}
		return err
	}, func(err error) bool {
		if errors.Is(err, client.ErrPresentPassword) {
			d.passwordProblem = client.UserMessage(err)
			return true
		}
		return false
	}, func() { d.main.onDeleted(notice) })
}
