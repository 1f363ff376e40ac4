package controller

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"quicprochat/core/client"
)

// Role is what the account may do on its server, as far as that is known.
func (m *Main) Role() client.Role { return m.role }

func (m *Main) askRole() {
	background(m.loop, func() (client.Role, error) {
		return m.session.MyRole(context.Background())
	}, func(role client.Role, err error) {
		if err != nil || role == m.role {
			return
		}
		m.role = role
		if m.OnRole != nil {
			m.OnRole()
		}
	})
}

// ReportItem is a report as the list shows it.
type ReportItem struct {
	Number uint64
	Sender client.AccountID
	// Name is the sender's, empty where the account is gone.
	Name     string
	Banned   bool
	Text     string
	Sent     string
	Category string
	Note     string
	// Day is when it was reported.
	Day string
	// Warning says what speaks against the sender having written it.
	Warning string
	// Outcome says what came of it; empty while it is open.
	Outcome string
}

// Reports is the messages that people have reported.
type Reports struct {
	Form
	// OnList is called when the list changed.
	OnList func()

	main     *Main
	resolved bool
	list     []client.Report
	more     bool
	loaded   bool
	attempt  int
}

// Reports makes the controller of the reports and reads the open ones.
func (m *Main) Reports() *Reports {
	r := &Reports{Form: Form{loop: m.loop}, main: m}
	r.Reload()
	return r
}

// Loaded says whether the first page has been read.
func (r *Reports) Loaded() bool { return r.loaded }

// Resolved says whether the list is of those that are resolved.
func (r *Reports) Resolved() bool { return r.resolved }

// HasMore says whether More would give more.
func (r *Reports) HasMore() bool { return r.more }

// ShowResolved switches between the open and the resolved reports.
func (r *Reports) ShowResolved(on bool) {
	if r.resolved != on {
		r.resolved = on
		r.Reload()
	}
}

// Reload reads the first page anew.
func (r *Reports) Reload() {
	r.list, r.more, r.loaded = nil, false, false
	r.problem = ""
	r.read(0)
}

// More reads the next page.
func (r *Reports) More() {
	if r.more {
		r.more = false
		r.read(r.list[len(r.list)-1].Number)
	}
}

type reportPage struct {
	list []client.Report
	more bool
}

func (r *Reports) read(after uint64) {
	r.attempt++
	attempt, resolved := r.attempt, r.resolved
	background(r.loop, func() (p reportPage, err error) {
		p.list, p.more, err = r.main.session.Reports(context.Background(), resolved, after, 0)
		return p, err
	}, func(p reportPage, err error) {
		if attempt != r.attempt { // another list was asked for meanwhile
			return
		}
		if err != nil {
			r.fail(client.UserMessage(err))
			return
		}
		r.list, r.more, r.loaded = append(r.list, p.list...), p.more && len(p.list) > 0, true
		r.listed()
	})
	r.listed()
}

func (r *Reports) listed() {
	if r.OnList != nil {
		r.OnList()
	}
}

// Items are the reports that have been read.
func (r *Reports) Items() []ReportItem {
	items := make([]ReportItem, len(r.list))
	now := r.loop.Now()
	for i, p := range r.list {
		items[i] = ReportItem{
			Number: p.Number, Sender: p.Sender, Name: p.SenderName, Banned: p.Banned, Text: p.Text,
			Sent: p.SentAt.In(now.Location()).Format("2 Jan 2006, 15:04"), Category: categoryNames[p.Category], Note: p.Note,
			Day: DayLabel(p.Day, now), Outcome: outcomes[p.Resolution],
		}
		if p.DeviceGone {
			items[i].Warning = "It came from a device that had been removed from the account: somebody else may have written it."
		}
	}
	return items
}

var outcomes = map[client.Resolution]string{
	client.ReportDismissed: "Dismissed",
	client.ReportActed:     "Acted upon",
}

// Dismiss closes a report about which nothing needs to be done.
func (r *Reports) Dismiss(number uint64) { r.resolve(number, client.ReportDismissed) }

// Act closes a report about which something was done.
func (r *Reports) Act(number uint64) { r.resolve(number, client.ReportActed) }

// Reopen makes a report one that nobody has looked at.
func (r *Reports) Reopen(number uint64) { r.resolve(number, client.ReportOpen) }

func (r *Reports) resolve(number uint64, resolution client.Resolution) {
	r.run(func(ctx context.Context) error { return r.main.session.Resolve(ctx, number, resolution) }, func() {
		r.list = slices.DeleteFunc(r.list, func(p client.Report) bool { return p.Number == number })
		r.listed()
		if len(r.list) == 0 && r.more {
			r.Reload()
		}
	})
}

// Unban lets a sender back in.
func (r *Reports) Unban(account client.AccountID) {
	r.run(func(ctx context.Context) error { return r.main.session.Unban(ctx, account) }, func() {
		for i := range r.list {
			if r.list[i].Sender == account {
				r.list[i].Banned = false
			}
		}
		r.listed()
	})
}

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

// BannedItem is a banned account as the list shows it.
type BannedItem struct {
	Account client.AccountID
	Name    string
	// Until says how long the ban lasts.
	Until  string
	Reason string
}

// BannedPeople is the accounts that are kept out.
type BannedPeople struct {
	Form
	// OnList is called when the list changed.
	OnList func()

	main   *Main
	list   []client.Banned
	loaded bool
}

// BannedPeople makes the controller of the list of bans and reads it.
func (m *Main) BannedPeople() *BannedPeople {
	b := &BannedPeople{Form: Form{loop: m.loop}, main: m}
	b.reload()
	return b
}

// Loaded says whether the list has been read.
func (b *BannedPeople) Loaded() bool { return b.loaded }

// Items are the banned accounts, in the order in which they were banned.
func (b *BannedPeople) Items() []BannedItem {
	items := make([]BannedItem, len(b.list))
	for i, p := range b.list {
		items[i] = BannedItem{Account: p.AccountID, Name: p.Name, Reason: p.Reason, Until: "For good"}
		if !p.Until.IsZero() {
			items[i].Until = "Until " + p.Until.In(b.loop.Now().Location()).Format("2 January 2006, 15:04")
		}
	}
	return items
}

// maxBanned bounds the list that is read.
const maxBanned = 5000

func (b *BannedPeople) reload() {
	background(b.loop, func() (all []client.Banned, err error) {
		for after, more := uint64(0), true; more && len(all) < maxBanned; {
			var page []client.Banned
			if page, more, err = b.main.session.Banned(context.Background(), after, 0); err != nil {
				return nil, err
			}
			all = append(all, page...)
			if more = more && len(page) > 0; more {
				after = page[len(page)-1].Number
			}
		}
		return all, nil
	}, func(all []client.Banned, err error) {
		if err != nil {
			b.fail(client.UserMessage(err))
			return
		}
		b.list, b.loaded = all, true
		if b.OnList != nil {
			b.OnList()
		}
	})
}

// Unban lets an account back in.
func (b *BannedPeople) Unban(account client.AccountID) {
	b.run(func(ctx context.Context) error { return b.main.session.Unban(ctx, account) }, b.reload)
}
