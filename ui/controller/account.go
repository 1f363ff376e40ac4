package controller

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"quicprochat/core/client"
)

// Account makes an account on the chosen server or logs in to one.
type Account struct {
	Form
	sdk       SDK
	onSession func(Session)
	// onForgotten goes on with the recovery of an account.
	onForgotten func(name string)

	link   client.Link
	server client.ServerInfo
	login  bool

	nameProblem, passwordProblem, againProblem string
}

func (a *Account) begin(link client.Link, server client.ServerInfo) {
	a.link, a.server = link, server
	a.login = server.Registration == client.RegistrationClosed
	a.clear()
}

// Server is what the server said of itself.
func (a *Account) Server() client.ServerInfo { return a.server }

// LogIn says whether the screen logs in rather than makes an account.
func (a *Account) LogIn() bool { return a.login }

// SetLogIn switches between logging in and making an account.
func (a *Account) SetLogIn(on bool) {
	if a.login == on || a.busy {
		return
	}
	a.login = on
	a.clear()
}

// Forgotten leads to the recovery by code; name is what has been typed so far.
func (a *Account) Forgotten(name string) {
	if !a.busy {
		a.onForgotten(strings.TrimSpace(name))
	}
}

// NameProblem, PasswordProblem and AgainProblem say what is wrong with a field.
func (a *Account) NameProblem() string { return a.nameProblem }

// PasswordProblem says what is wrong with the password.
func (a *Account) PasswordProblem() string { return a.passwordProblem }

// AgainProblem says what is wrong with the repeated password.
func (a *Account) AgainProblem() string { return a.againProblem }

// Edited clears what was wrong, since something is being changed.
func (a *Account) Edited() {
	if a.problem != "" || a.nameProblem != "" || a.passwordProblem != "" || a.againProblem != "" {
		a.clear()
	}
}

func (a *Account) clear() {
	a.problem, a.nameProblem, a.passwordProblem, a.againProblem = "", "", "", ""
	a.changed()
}

// Submit makes the account, or logs in. again is not looked at for logging in.
func (a *Account) Submit(name, password, again string) {
	if a.busy {
		return
	}
	a.clear()
	name = strings.TrimSpace(name)
	if !a.check(name, password, again) {
		a.changed()
		return
	}
	enter := a.sdk.Register
	if a.login {
		enter = a.sdk.Login
	}
	a.busy = true
	a.changed()
	background(a.loop, func() (Session, error) {
		return enter(context.Background(), a.link, name, password)
	}, func(s Session, err error) {
		a.busy = false
		a.place(err)
		a.changed()
		if err == nil {
			a.onSession(s)
		}
	})
}

// check finds what can be found wrong without the server.
func (a *Account) check(name, password, again string) bool {
	if name == "" {
		a.nameProblem = "Type a name."
	}
	if password == "" {
		a.passwordProblem = "Type a password."
	} else if !a.login && again != password {
		a.againProblem = "The two passwords differ."
	}
	return a.nameProblem == "" && a.passwordProblem == "" && a.againProblem == ""
}

// place puts an error where it belongs.
func (a *Account) place(err error) {
	sentence := client.UserMessage(err)
	var weak *client.WeakPasswordError
	switch {
	case err == nil:
	case errors.Is(err, client.ErrNameTaken), errors.Is(err, client.ErrNameInvalid):
		a.nameProblem = sentence
	case errors.As(err, &weak), errors.Is(err, client.ErrWrongPassword):
		a.passwordProblem = sentence
	default:
		a.problem = sentence
	}
}

// Strength is a hint about a password for whoever is typing it.
type Strength struct {
	Text string
	Good bool
}

// PasswordStrength judges by length and variety. It is a hint only: the client
// decides what is refused.
func PasswordStrength(password string) Strength {
	const least = 10
	n := utf8.RuneCountInString(password)
	switch missing := least - n; {
	case n == 0:
		return Strength{Text: "At least 10 characters. Several words are good."}
	case missing == 1:
		return Strength{Text: "1 more character."}
	case missing > 0:
		return Strength{Text: plural(missing, "more character") + "."}
	}
	score := n + 3*variety(password)
	switch {
	case score < 18:
		return Strength{Text: "Acceptable. Longer would be better."}
	case score < 26:
		return Strength{Text: "Good.", Good: true}
	default:
		return Strength{Text: "Strong.", Good: true}
	}
}

// variety counts the sorts of characters beyond the first.
func variety(s string) int {
	var lower, upper, digit, other bool
	for _, r := range s {
		switch {
		case unicode.IsLower(r):
			lower = true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsDigit(r):
			digit = true
		default:
			other = true
		}
	}
	n := -1
	for _, b := range []bool{lower, upper, digit, other} {
		if b {
			n++
		}
	}
	return max(n, 0)
}

// Unlock opens the profile that is on this computer.
type Unlock struct {
	Form
	sdk       SDK
	onSession func(Session)
}

// Submit tries a password.
func (u *Unlock) Submit(password string) {
	if password == "" {
		u.fail("Type your password.")
		return
	}
	var s Session
	u.run(func(ctx context.Context) (err error) {
		s, err = u.sdk.Open(ctx, password)
		return err
	}, func() { u.onSession(s) })
}

// Edited clears what was wrong.
func (u *Unlock) Edited() {
	if u.problem != "" {
		u.fail("")
	}
}
