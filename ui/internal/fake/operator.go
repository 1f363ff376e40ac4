package fake

import (
	"context"
	"slices"
	"time"

	"quicprochat/core/client"
)

// SetRole gives the session's account a role.
func (s *Session) SetRole(r client.Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.role = r
}

// AddReport puts a report in, numbered in turn.
func (s *Session) AddReport(r client.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Number = uint64(len(s.reports) + 1)
	r.Sender = client.AccountID(ID(r.SenderName))
	s.reports = append(s.reports, r)
}

// ReportMessage implements controller.Session.
func (s *Session) ReportMessage(_ context.Context, _ client.ConversationID, _ client.MessageID, category client.Category, note string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.call("ReportMessage", category, note)
}

// MyRole implements controller.Session.
func (s *Session) MyRole(context.Context) (client.Role, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.role, s.call("MyRole")
}

// reportsPage is how many reports a page has.
const reportsPage = 3

// Reports implements controller.Session.
func (s *Session) Reports(_ context.Context, resolved bool, after uint64, _ int) (page []client.Report, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		if (r.Resolution != client.ReportOpen) != resolved || r.Number <= after {
			continue
		}
		if len(page) == reportsPage {
			return page, true, s.call("Reports")
		}
		r.Banned = s.bannedIndex(r.Sender) >= 0
		page = append(page, r)
	}
	return page, false, s.call("Reports")
}

// Resolve implements controller.Session.
func (s *Session) Resolve(_ context.Context, number uint64, resolution client.Resolution) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Resolve", number, resolution); err != nil {
		return err
	}
	s.reports[number-1].Resolution = resolution
	return nil
}

func (s *Session) bannedIndex(account client.AccountID) int {
	return slices.IndexFunc(s.banned, func(b client.Banned) bool { return b.AccountID == account })
}

// Ban implements controller.Session.
func (s *Session) Ban(_ context.Context, account client.AccountID, until time.Time, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Ban", reason); err != nil {
		return err
	}
	name := "somebody"
	for _, r := range s.reports {
		if r.Sender == account {
			name = r.SenderName
		}
	}
	for _, c := range s.contacts {
		if c.AccountID == account {
			name = c.Name
		}
	}
	s.banned = append(s.banned, client.Banned{Number: uint64(len(s.banned) + 1), AccountID: account, Name: name, Until: until, Reason: reason})
	return nil
}

// Unban implements controller.Session.
func (s *Session) Unban(_ context.Context, account client.AccountID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Unban", ""); err != nil {
		return err
	}
	if i := s.bannedIndex(account); i >= 0 {
		s.banned = slices.Delete(s.banned, i, i+1)
	}
	return nil
}

// Banned implements controller.Session.
func (s *Session) Banned(context.Context, uint64, int) ([]client.Banned, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.banned), false, s.call("Banned")
}

// Find implements controller.Session: it knows the contacts.
func (s *Session) Find(_ context.Context, name string) (client.AccountID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.contacts {
		if c.Name == name {
			return c.AccountID, nil
		}
	}
	return client.AccountID{}, client.ErrUnknownUser
}
