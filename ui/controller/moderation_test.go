package controller_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

func TestReportAMessage(t *testing.T) {
	s := newStage(t)
	s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "the first"})
	s.session.AddMessage(id, client.Message{Mine: true, Text: "mine", State: client.StateSent})
	s.session.AddMessage(id, client.Message{Kind: client.KindEvent, SenderName: "bob", Event: &client.SystemEvent{Kind: client.EventUnreadable}})
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "the second"})
	s.Until("it is there", func() bool { return len(s.app.Main.Items()) == 1 })
	c := s.open(id)
	rows := c.Reportable()
	if len(rows) != 2 || rows[0].Text != "the second" || rows[1].Text != "the first" {
		t.Fatalf("reportable %+v", rows)
	}
	r := c.Report(rows[0])
	if got := r.Disclosure(); !strings.Contains(got, "Garden") || !strings.Contains(got, "bob") {
		t.Errorf("disclosure %q", got)
	}
	r.Submit(0, strings.Repeat("x", client.MaxNote+2))
	if r.NoteProblem() != "This is too long by 2 bytes." || r.Busy() {
		t.Errorf("problem %q", r.NoteProblem())
	}
	s.session.Fail("ReportMessage", client.ErrReportQuota)
	r.Submit(0, "")
	s.Until("it fails", func() bool { return !r.Busy() })
	if r.Problem() != client.UserMessage(client.ErrReportQuota) || r.NoteProblem() != "" {
		t.Errorf("problem %q", r.Problem())
	}
	s.session.Fail("ReportMessage", nil)
	done := false
	r.OnDone = func() { done = true }
	r.Submit(slices.Index(client.Categories, client.CategoryIllegal), " see this ")
	s.Until("it is reported", func() bool { return done })
	if calls := s.session.Calls(); calls[len(calls)-1] != "ReportMessage illegal see this" && !strings.Contains(calls[len(calls)-1], "see this") {
		t.Errorf("calls %q", calls)
	}
	if names := controller.Categories(); slices.Contains(names, "") || len(names) != len(client.Categories) {
		t.Errorf("categories %q", names)
	}
}

func TestRoleIsAskedWheneverTheConnectionIsUp(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	s.Until("the role is known", func() bool { return m.Role() == client.RoleUser })
	if m.Role().Operates() {
		t.Error("an ordinary account operates")
	}
	told := 0
	m.OnRole = func() { told++ }
	s.session.SetRole(client.RoleModerator)
	s.session.Emit(client.ConnectionChanged{State: client.Offline})
	s.session.Emit(client.ConnectionChanged{State: client.Online})
	s.Until("the role is another one", func() bool { return told == 1 })
	if !m.Role().Operates() {
		t.Errorf("role %q", m.Role())
	}
}

func (s *stage) withReports() *controller.Reports {
	s.session.SetRole(client.RoleModerator)
	m := s.toMain()
	for i, name := range []string{"mallory", "mallory", "bob", "", "erik"} {
		s.session.AddReport(client.Report{SenderName: name, Text: "text", SentAt: noon, Day: noon, Category: client.Categories[i], DeviceGone: i == 1})
	}
	r := m.Reports()
	s.Until("the reports are read", r.Loaded)
	return r
}

func numbers(r *controller.Reports) []uint64 {
	var list []uint64
	for _, i := range r.Items() {
		list = append(list, i.Number)
	}
	return list
}

func TestReportsArePagedAndResolved(t *testing.T) {
	s := newStage(t)
	r := s.withReports()
	if !slices.Equal(numbers(r), []uint64{1, 2, 3}) || !r.HasMore() {
		t.Fatalf("first page %v, more %v", numbers(r), r.HasMore())
	}
	if i := r.Items()[1]; i.Warning == "" || i.Category != "Harassment" || i.Day != "Today" || i.Outcome != "" {
		t.Errorf("item %+v", i)
	}
	r.More()
	r.More()
	s.Until("the rest is read", func() bool { return len(r.Items()) == 5 })
	r.Dismiss(1)
	s.Until("it is gone", func() bool { return slices.Equal(numbers(r), []uint64{2, 3, 4, 5}) && !r.Busy() })
	r.Act(3)
	s.Until("so is that", func() bool { return slices.Equal(numbers(r), []uint64{2, 4, 5}) && !r.Busy() })
	s.session.Fail("Resolve", client.ErrUnknownReport)
	r.Act(4)
	s.Until("it fails", func() bool { return !r.Busy() })
	if r.Problem() != client.UserMessage(client.ErrUnknownReport) || len(r.Items()) != 3 {
		t.Errorf("problem %q, items %v", r.Problem(), numbers(r))
	}
	s.session.Fail("Resolve", nil)
	r.ShowResolved(true)
	s.Until("the resolved ones are read", func() bool { return r.Loaded() && r.Resolved() && len(r.Items()) == 2 })
	if got := []string{r.Items()[0].Outcome, r.Items()[1].Outcome}; !slices.Equal(got, []string{"Dismissed", "Acted upon"}) || r.Problem() != "" {
		t.Errorf("outcomes %q, problem %q", got, r.Problem())
	}
	r.Reopen(1)
	s.Until("it is gone from here", func() bool { return slices.Equal(numbers(r), []uint64{3}) })
}

func TestReportsTellWhoMayNotSeeThem(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	s.session.Fail("Reports", client.ErrRoleRequired)
	r := m.Reports()
	s.Until("it fails", func() bool { return r.Problem() == client.UserMessage(client.ErrRoleRequired) })
}

func TestBanFromAReportClosesIt(t *testing.T) {
	s := newStage(t)
	r := s.withReports()
	b := r.Ban(r.Items()[0])
	if !b.Known() || b.Name() != "mallory" {
		t.Fatalf("bans %q", b.Name())
	}
	b.Submit("", 0, strings.Repeat("x", client.MaxNote+1))
	if b.ReasonProblem() == "" || b.Busy() {
		t.Error("a reason that is too long is not complained of")
	}
	done := false
	b.OnDone = func() { done = true }
	b.Submit("", 0, "spam")
	s.Until("it is done", func() bool { return done })
	r.Reload()
	s.Until("the list is read again", r.Loaded)
	if !slices.Equal(numbers(r)[:1], []uint64{2}) || !r.Items()[0].Banned {
		t.Errorf("items %+v", r.Items())
	}
	people := s.app.Main.BannedPeople()
	s.Until("the banned are read", people.Loaded)
	want := controller.BannedItem{Account: r.Items()[0].Sender, Name: "mallory", Until: "Until 21 November 2026, 12:00", Reason: "spam"}
	if got := people.Items(); len(got) != 1 || got[0] != want {
		t.Errorf("banned %+v, want %+v", got, want)
	}
	people.Unban(people.Items()[0].Account)
	s.Until("nobody is banned", func() bool { return len(people.Items()) == 0 && !people.Busy() })
	r.Unban(r.Items()[0].Sender)
	s.Until("it shows", func() bool { return !r.Items()[0].Banned && !r.Busy() })
}

func TestBanByName(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	s.session.AddConversation(direct("bob", noon), "bob")
	b := m.Ban()
	b.Submit(" ", 3, "")
	if b.NameProblem() == "" || b.Known() {
		t.Error("an empty name is not complained of")
	}
	b.Submit("nobody", 3, "")
	s.Until("it fails", func() bool { return !b.Busy() })
	if b.NameProblem() != client.UserMessage(client.ErrUnknownUser) || b.Problem() != "" {
		t.Errorf("problems %q, %q", b.NameProblem(), b.Problem())
	}
	s.session.Fail("Ban", client.ErrRoleRequired)
	b.Submit("bob", 3, "")
	s.Until("it fails again", func() bool { return !b.Busy() })
	if b.Problem() != client.UserMessage(client.ErrRoleRequired) {
		t.Errorf("problem %q", b.Problem())
	}
	s.session.Fail("Ban", nil)
	done := false
	b.OnDone = func() { done = true }
	b.Submit("bob", 3, "")
	s.Until("it is done", func() bool { return done })
	people := m.BannedPeople()
	s.Until("the banned are read", people.Loaded)
	if got := people.Items(); len(got) != 1 || got[0].Until != "For good" {
		t.Errorf("banned %+v", got)
	}
}

func TestBannerOfABannedAccountDoesNotCountDown(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	s.session.Emit(client.ConnectionChanged{State: client.Offline, Err: client.ErrBanned, Retry: noon.Add(time.Hour)})
	s.Until("it is told", func() bool { return m.Banned() })
	if got := m.Banner(); !strings.HasPrefix(got, client.UserMessage(client.ErrBanned)) || strings.Contains(got, "again") {
		t.Errorf("banner %q", got)
	}
}
