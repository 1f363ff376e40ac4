package controller

import (
	"context"
	"errors"

	"quicprochat/core/client"
)

// ChangePassword gives the account another password.
type ChangePassword struct {
	Form
	main *Main

	presentProblem, nextProblem, againProblem string
}

// ChangePassword makes the controller of the dialog.
func (m *Main) ChangePassword() *ChangePassword {
	return &ChangePassword{Form: Form{loop: m.loop}, main: m}
}

// PresentProblem says what is wrong with the present password.
func (c *ChangePassword) PresentProblem() string { return c.presentProblem }

// NextProblem says what is wrong with the new password.
func (c *ChangePassword) NextProblem() string { return c.nextProblem }

// AgainProblem says what is wrong with the repeated password.
func (c *ChangePassword) AgainProblem() string { return c.againProblem }

// Edited clears what was wrong, since something is being changed.
func (c *ChangePassword) Edited() {
	if c.problem != "" || c.presentProblem != "" || c.nextProblem != "" || c.againProblem != "" {
		c.clear()
		c.changed()
	}
}

func (c *ChangePassword) clear() {
	c.problem, c.presentProblem, c.nextProblem, c.againProblem = "", "", "", ""
}

// Submit changes the password.
func (c *ChangePassword) Submit(present, next, again string) {
	if c.busy {
		return
	}
	c.clear()
	if present == "" {
		c.presentProblem = "Type the password that you have now."
	}
	switch {
	case next == "":
		c.nextProblem = "Type a new password."
	case next == present:
		c.nextProblem = "This is the password that you have now."
	case again != next:
		c.againProblem = "The two passwords differ."
	}
	if c.presentProblem+c.nextProblem+c.againProblem != "" {
		c.changed()
		return
	}
	c.work(func(ctx context.Context) error { return c.main.session.ChangePassword(ctx, present, next) }, c.place, nil)
}

// place puts an error where it belongs and says whether it did.
func (c *ChangePassword) place(err error) bool {
	var weak *client.WeakPasswordError
	switch {
	case errors.Is(err, client.ErrPasswordUncertain):
		return false
	case errors.Is(err, client.ErrPresentPassword):
		c.presentProblem = client.UserMessage(err)
	case errors.As(err, &weak):
		c.nextProblem = client.UserMessage(err)
	default:
		return false
	}
	return true
}

// AdoptPassword makes this profile open with a password that was given to the
// account on another device.
type AdoptPassword struct {
	Form
	main *Main

	passwordProblem string
}

// AdoptPassword makes the controller of the dialog.
func (m *Main) AdoptPassword() *AdoptPassword {
	return &AdoptPassword{Form: Form{loop: m.loop}, main: m}
}

// PasswordProblem says what is wrong with the password.
func (a *AdoptPassword) PasswordProblem() string { return a.passwordProblem }

// Edited clears what was wrong.
func (a *AdoptPassword) Edited() {
	if a.problem != "" || a.passwordProblem != "" {
		a.problem, a.passwordProblem = "", ""
		a.changed()
	}
}

// Submit uses the account's password for this profile.
func (a *AdoptPassword) Submit(password string) {
	if a.busy {
		return
	}
	a.passwordProblem = ""
	if password == "" {
		a.passwordProblem = "Type your account's password."
		a.changed()
		return
	}
	a.work(func(ctx context.Context) error { return a.main.session.UseAccountPassword(ctx, password) }, func(err error) bool {
		if !errors.Is(err, client.ErrPresentPassword) {
			return false
		}
		a.passwordProblem = "That is not your account's password."
		return true
	}, nil)
}
