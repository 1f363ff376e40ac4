package fake

import (
	"context"
	"slices"

	"quicprochat/core/client"
)

// Password is the password that a Session's account has at first.
const Password = "correct horse"

// RecoveryCode is the code that CreateRecoveryCode answers with.
const RecoveryCode = "NJY3-ATPN-WKCE-ABME-SZBQ-VPFK-RF9F"

// SetMuted implements controller.Session.
func (s *Session) SetMuted(_ context.Context, id client.ConversationID, on bool) error {
	return s.set("SetMuted", on, id, func(c *client.Conversation) { c.Muted = on })
}

// SetPinned implements controller.Session.
func (s *Session) SetPinned(_ context.Context, id client.ConversationID, on bool) error {
	return s.set("SetPinned", on, id, func(c *client.Conversation) { c.Pinned = on })
}

func (s *Session) set(call string, on bool, id client.ConversationID, f func(*client.Conversation)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call(call, on); err != nil {
		return err
	}
	s.update(id, f)
	return nil
}

// SetBlocked implements controller.Session.
func (s *Session) SetBlocked(_ context.Context, account client.AccountID, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("SetBlocked", on); err != nil {
		return err
	}
	s.blocked[account] = on
	for _, c := range slices.Clone(s.conversations) {
		if c.Kind == client.KindDirect && c.Peer == account {
			s.update(c.ID, func(c *client.Conversation) { c.Blocked = on })
		}
	}
	return nil
}

// Blocked implements controller.Session.
func (s *Session) Blocked(context.Context) ([]client.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []client.Contact
	seen := map[client.AccountID]bool{}
	for _, c := range s.contacts {
		if s.blocked[c.AccountID] && !seen[c.AccountID] {
			seen[c.AccountID] = true
			list = append(list, c)
		}
	}
	return list, s.call("Blocked")
}

// ChangePassword implements controller.Session.
func (s *Session) ChangePassword(_ context.Context, present, next string) error {
	return s.prove("ChangePassword", present, func() { s.password = next })
}

// UseAccountPassword implements controller.Session.
func (s *Session) UseAccountPassword(_ context.Context, password string) error {
	return s.prove("UseAccountPassword", password, func() {})
}

// CreateRecoveryCode implements controller.Session.
func (s *Session) CreateRecoveryCode(_ context.Context, password string) (string, error) {
	if err := s.prove("CreateRecoveryCode", password, func() {}); err != nil {
		return "", err
	}
	return RecoveryCode, nil
}

// RemoveRecoveryCode implements controller.Session.
func (s *Session) RemoveRecoveryCode(_ context.Context, password string) error {
	return s.prove("RemoveRecoveryCode", password, func() {})
}

// DeleteAccount implements controller.Session.
func (s *Session) DeleteAccount(_ context.Context, password string) error {
	return s.prove("DeleteAccount", password, func() { s.closed = true })
}

// prove does something for whoever has the password.
func (s *Session) prove(call, password string, f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if password != s.password {
		return client.ErrPresentPassword
	}
	if err := s.call(call, ""); err != nil {
		return err
	}
	f()
	return nil
}
