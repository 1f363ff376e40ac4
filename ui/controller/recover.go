package controller

import (
	"context"
	"errors"
	"strings"

	"quicprochat/core/client"
)

// Recover gives an account a new password by its recovery code.
type Recover struct {
	Form
	sdk       SDK
	onSession func(Session)
	onLogIn   func()

	link    client.Link
	server  client.ServerInfo
	name    string
	session Session
	next    string // the code that counts from now on

	nameProblem, codeProblem, passwordProblem, againProblem string
}

func (r *Recover) begin(link client.Link, server client.ServerInfo, name string) {
	r.link, r.server, r.name, r.session, r.next = link, server, name, nil, ""
	r.clear()
}

// Server is what the server said of itself.
func (r *Recover) Server() client.ServerInfo { return r.server }

// Name is what was typed as the name before.
func (r *Recover) Name() string { return r.name }

// NameProblem says what is wrong with the name.
func (r *Recover) NameProblem() string { return r.nameProblem }

// CodeProblem says what is wrong with the recovery code.
func (r *Recover) CodeProblem() string { return r.codeProblem }

// PasswordProblem says what is wrong with the new password.
func (r *Recover) PasswordProblem() string { return r.passwordProblem }

// AgainProblem says what is wrong with the repeated password.
func (r *Recover) AgainProblem() string { return r.againProblem }

// NextCode is the code that takes the place of the one that was used, to be
// shown once; empty until the account is recovered.
func (r *Recover) NextCode() string { return r.next }

// Edited clears what was wrong.
func (r *Recover) Edited() {
	if r.problem != "" || r.nameProblem+r.codeProblem+r.passwordProblem+r.againProblem != "" {
		r.clear()
		r.changed()
	}
}

func (r *Recover) clear() {
	r.problem, r.nameProblem, r.codeProblem, r.passwordProblem, r.againProblem = "", "", "", "", ""
}

// Submit recovers the account.
func (r *Recover) Submit(name, code, password, again string) {
	if r.busy || r.next != "" {
		return
	}
	r.clear()
	name = strings.TrimSpace(name)
	if !r.check(name, code, password, again) {
		r.changed()
		return
	}
	r.busy = true
	r.changed()
	type outcome struct {
		session Session
		next    string
	}
	background(r.loop, func() (outcome, error) {
		s, next, err := r.sdk.Recover(context.Background(), r.link, name, code, password)
		return outcome{s, next}, err
	}, func(o outcome, err error) {
		r.busy = false
		r.session, r.next = o.session, o.next
		r.place(err)
		r.changed()
	})
}

// check finds what can be found wrong without the server.
func (r *Recover) check(name, code, password, again string) bool {
	if name == "" {
		r.nameProblem = "Type a name."
	}
	if strings.TrimSpace(code) == "" {
		r.codeProblem = "Type your recovery code."
	} else if err := client.CheckRecoveryCode(code); err != nil {
		r.codeProblem = client.UserMessage(err)
	}
	if password == "" {
		r.passwordProblem = "Type a new password."
	} else if again != password {
		r.againProblem = "The two passwords differ."
	}
	return r.nameProblem+r.codeProblem+r.passwordProblem+r.againProblem == ""
}

func (r *Recover) place(err error) {
	sentence := client.UserMessage(err)
	var weak *client.WeakPasswordError
	switch {
	case err == nil:
	case errors.Is(err, client.ErrRecoveryUncertain):
		r.problem = sentence
	case errors.Is(err, client.ErrRecoveryCodeInvalid), errors.Is(err, client.ErrWrongRecoveryCode), errors.Is(err, client.ErrRecoveryLocked):
		r.codeProblem = sentence
	case errors.As(err, &weak):
		r.passwordProblem = sentence
	default:
		r.problem = sentence
	}
}

// Continue goes on once the next code has been written down: to the
// conversations or, where this device could not be added, to the log-in.
func (r *Recover) Continue() {
	if r.next == "" {
		return
	}
	s := r.session
	r.session, r.next = nil, ""
	if s == nil {
		r.onLogIn()
		return
	}
	r.onSession(s)
}
