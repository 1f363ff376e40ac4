package controller

import (
	"context"
	"errors"

	"quicprochat/core/client"
)

// RecoveryCode makes or removes the code that opens the account without its
// password.
type RecoveryCode struct {
	Form
	main            *Main
	passwordProblem string
	code            string
}

// RecoveryCode makes the controller of the dialog.
func (m *Main) RecoveryCode() *RecoveryCode {
	return &RecoveryCode{Form: Form{loop: m.loop}, main: m}
}

// PasswordProblem says what is wrong with the password.
func (r *RecoveryCode) PasswordProblem() string { return r.passwordProblem }

// Code is the code that was made, to be shown once; empty after it was removed.
func (r *RecoveryCode) Code() string { return r.code }

// Edited clears what was wrong.
func (r *RecoveryCode) Edited() {
	if r.problem != "" || r.passwordProblem != "" {
		r.problem, r.passwordProblem = "", ""
		r.changed()
	}
}

// Create makes a code, which takes the place of an earlier one.
func (r *RecoveryCode) Create(password string) {
	var code string
	r.submit(password, func(ctx context.Context) (err error) {
		code, err = r.main.session.CreateRecoveryCode(ctx, password)
		return err
	}, func() { r.code = code })
}

// Remove makes the code worthless.
func (r *RecoveryCode) Remove(password string) {
	r.submit(password, func(ctx context.Context) error {
		return r.main.session.RemoveRecoveryCode(ctx, password)
	}, func() { r.code = "" })
}

func (r *RecoveryCode) submit(password string, work func(context.Context) error, done func()) {
	if r.busy {
		return
	}
	r.passwordProblem = ""
	if password == "" {
		r.problem, r.passwordProblem = "", "Type your password."
		r.changed()
		return
	}
	r.work(work, func(err error) bool {
		if errors.Is(err, client.ErrPresentPassword) {
			r.passwordProblem = client.UserMessage(err)
			return true
		}
		return false
	}, done)
}
