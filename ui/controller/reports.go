package controller

import (
	"context"
	"slices"

	"quicprochat/core/client"
)

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
