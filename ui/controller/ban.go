package controller

import (
	"context"
	"errors"
	"strings"
	"time"

	"quicprochat/core/client"
)

// banPeriods are the lengths of bans that are offered; zero has no end.
var banPeriods = []struct {
	name   string
	length time.Duration
}{{"1 day", 24 * time.Hour}, {"1 week", 7 * 24 * time.Hour}, {"30 days", 30 * 24 * time.Hour}, {"For good", 0}}

// BanPeriods are the names of the lengths of bans that are offered.
func BanPeriods() []string {
	names := make([]string, len(banPeriods))
	for i, p := range banPeriods {
		names[i] = p.name
	}
	return names
}

// Ban keeps an account out of the server.
type Ban struct {
	Form
	main    *Main
	account client.AccountID // zero: it is to be found by name
	name    string
	report  uint64 // acted upon by the ban, unless zero

	nameProblem, reasonProblem string
}

// Ban makes the controller of the dialog that bans somebody by name.
func (m *Main) Ban() *Ban { return &Ban{Form: Form{loop: m.loop}, main: m} }

// Ban makes the controller of the dialog that bans the sender of a reported
// message and, with that, closes the report if it is open.
func (r *Reports) Ban(i ReportItem) *Ban {
	b := r.main.Ban()
	b.account, b.name = i.Sender, i.Name
	if i.Outcome == "" {
		b.report = i.Number
	}
	return b
}

// Known says whether it is given who is to be banned.
func (b *Ban) Known() bool { return b.account != client.AccountID{} }

// Name is who is to be banned.
func (b *Ban) Name() string { return b.name }

// NameProblem says what is wrong with the name.
func (b *Ban) NameProblem() string { return b.nameProblem }

// ReasonProblem says what is wrong with the reason.
func (b *Ban) ReasonProblem() string { return b.reasonProblem }

// Edited clears what was wrong.
func (b *Ban) Edited() {
	if b.problem != "" || b.nameProblem != "" || b.reasonProblem != "" {
		b.problem, b.nameProblem, b.reasonProblem = "", "", ""
		b.changed()
	}
}

// Submit bans; name is not looked at where Known. period is an index into
// BanPeriods.
func (b *Ban) Submit(name string, period int, reason string) {
	if b.busy {
		return
	}
	name, reason = strings.TrimSpace(name), strings.TrimSpace(reason)
	b.nameProblem, b.reasonProblem = "", noteProblem(reason)
	if !b.Known() && name == "" {
		b.nameProblem = "Type a name."
	}
	if b.nameProblem+b.reasonProblem != "" {
		b.changed()
		return
	}
	var until time.Time
	if length := banPeriods[period].length; length > 0 {
		until = b.loop.Now().Add(length)
	}
	b.work(func(ctx context.Context) error { return b.ban(ctx, name, until, reason) }, func(err error) bool {
		if b.Known() || !errors.Is(err, client.ErrUnknownUser) {
			return false
		}
		b.nameProblem = client.UserMessage(err)
		return true
	}, nil)
}

func (b *Ban) ban(ctx context.Context, name string, until time.Time, reason string) error {
	s, account := b.main.session, b.account
	if !b.Known() {
		var err error
		if account, err = s.Find(ctx, name); err != nil {
			return err
		}
	}
	if err := s.Ban(ctx, account, until, reason); err != nil || b.report == 0 {
		return err
	}
	return s.Resolve(ctx, b.report, client.ReportActed)
}
