package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/internal/fake"
)

const newPassword = "another fine passphrase"

func TestChangePasswordPutsErrorsAtTheirField(t *testing.T) {
	weak := &client.WeakPasswordError{Sentence: "Too weak."}
	present := (*controller.ChangePassword).PresentProblem
	next := (*controller.ChangePassword).NextProblem
	again := (*controller.ChangePassword).AgainProblem
	general := func(c *controller.ChangePassword) string { return c.Problem() }
	for _, tc := range []struct {
		present, next, again string
		err                  error
		place                func(*controller.ChangePassword) string
		want                 string
	}{
		{"", newPassword, newPassword, nil, present, "Type the password that you have now."},
		{fake.Password, "", "", nil, next, "Type a new password."},
		{fake.Password, fake.Password, fake.Password, nil, next, "This is the password that you have now."},
		{fake.Password, newPassword, "something else", nil, again, "The two passwords differ."},
		{"a guess", newPassword, newPassword, nil, present, client.UserMessage(client.ErrPresentPassword)},
		{fake.Password, newPassword, newPassword, weak, next, client.UserMessage(weak)},
		{fake.Password, newPassword, newPassword, client.ErrOffline, general, client.UserMessage(client.ErrOffline)},
		{fake.Password, newPassword, newPassword, client.ErrAccountChanged, general, client.UserMessage(client.ErrAccountChanged)},
		{
			fake.Password, newPassword, newPassword, errors.Join(client.ErrPasswordUncertain, client.ErrPresentPassword), general,
			client.UserMessage(client.ErrPasswordUncertain),
		},
	} {
		s := newStage(t)
		c := s.toMain().ChangePassword()
		c.OnDone = func() { t.Errorf("%q: done", tc.want) }
		s.session.Fail("ChangePassword", tc.err)
		c.Submit(tc.present, tc.next, tc.again)
		s.Until("it fails", func() bool { return !c.Busy() })
		if got := tc.place(c); got != tc.want {
			t.Errorf("%q in its place, want %q", got, tc.want)
		}
		if all := present(c) + next(c) + again(c) + general(c); all != tc.want {
			t.Errorf("shown elsewhere too: %q", all)
		}
		c.Edited()
		if all := present(c) + next(c) + again(c) + general(c); all != "" {
			t.Errorf("%q stays while it is being corrected", all)
		}
	}
}

func TestPasswordChangesHereAndElsewhere(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	c, done := m.ChangePassword(), 0
	c.OnDone = func() { done++ }
	c.Submit(fake.Password, newPassword, newPassword)
	c.Submit(fake.Password, newPassword, newPassword)
	s.Until("it is changed", func() bool { return done == 1 && !c.Busy() })

	a := m.AdoptPassword()
	a.Submit("")
	if a.PasswordProblem() == "" {
		t.Error("an empty password is not complained of")
	}
	a.Submit(fake.Password)
	s.Until("it fails", func() bool { return !a.Busy() && a.PasswordProblem() != "" })
	a.OnDone = func() { done++ }
	a.Submit(newPassword)
	s.Until("it is adopted", func() bool { return done == 2 })
	if a.PasswordProblem() != "" {
		t.Errorf("problem %q", a.PasswordProblem())
	}
}

func TestRecoveryCodeIsMadeAndRemoved(t *testing.T) {
	s := newStage(t)
	r, done := s.toMain().RecoveryCode(), 0
	r.OnDone = func() { done++ }
	r.Create("")
	if r.PasswordProblem() == "" || r.Busy() {
		t.Error("an empty password is not complained of")
	}
	r.Create("a guess")
	s.Until("it fails", func() bool { return !r.Busy() })
	if r.PasswordProblem() != client.UserMessage(client.ErrPresentPassword) || r.Code() != "" {
		t.Errorf("problem %q, code %q", r.PasswordProblem(), r.Code())
	}
	r.Create(fake.Password)
	s.Until("there is a code", func() bool { return done == 1 })
	if r.Code() != fake.RecoveryCode {
		t.Errorf("code %q", r.Code())
	}
	r.Remove(fake.Password)
	s.Until("it is removed", func() bool { return done == 2 })
	if r.Code() != "" {
		t.Errorf("code %q after it was removed", r.Code())
	}
}

func TestDeleteAccountLeadsToTheBeginning(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	d := m.DeleteAccount()
	d.Submit("danny", "")
	if d.NameProblem() == "" || d.PasswordProblem() == "" || d.Busy() {
		t.Errorf("problems %q, %q", d.NameProblem(), d.PasswordProblem())
	}
	d.Submit(" Dana ", "a guess")
	s.Until("it fails", func() bool { return !d.Busy() })
	if d.PasswordProblem() == "" || s.app.Main != m {
		t.Errorf("problem %q, main %v", d.PasswordProblem(), s.app.Main)
	}
	s.session.Fail("DeleteAccount", client.ErrServerUnreachable)
	d.Submit("dana", fake.Password)
	s.Until("it fails again", func() bool { return !d.Busy() })
	if d.Problem() != client.UserMessage(client.ErrServerUnreachable) || s.session.Closed() {
		t.Errorf("problem %q", d.Problem())
	}
	s.session.Fail("DeleteAccount", nil)
	d.Submit("dana", fake.Password)
	s.Until("the welcome screen shows", func() bool { return s.app.Screen() == controller.ScreenWelcome })
	if s.app.Main != nil || !strings.Contains(s.app.Welcome.Notice(), "dana") || !s.session.Closed() {
		t.Errorf("notice %q", s.app.Welcome.Notice())
	}
	ended := false
	s.app.Close(func(error) { ended = true })
	s.Until("the app can be closed", func() bool { return ended })
}

// TestDeleteAccountWhoseFilesStay: the account is gone and the client closed.
func TestDeleteAccountWhoseFilesStay(t *testing.T) {
	s := newStage(t)
	d := s.toMain().DeleteAccount()
	s.session.Fail("DeleteAccount", errors.New("a file is in use"))
	s.session.Fail("Conversations", client.ErrClosed)
	d.Submit("dana", fake.Password)
	s.Until("the welcome screen shows", func() bool { return s.app.Screen() == controller.ScreenWelcome })
	if !strings.Contains(s.app.Welcome.Notice(), "could not be removed") {
		t.Errorf("notice %q", s.app.Welcome.Notice())
	}
}

func (s *stage) toRecover() *controller.Recover {
	a := s.toAccount()
	a.SetLogIn(true)
	a.Forgotten(" dana ")
	if s.app.Screen() != controller.ScreenRecover || s.app.Recover.Name() != "dana" {
		s.t.Fatalf("on %s for %q", s.app.Screen(), s.app.Recover.Name())
	}
	return s.app.Recover
}

func TestRecoverShowsTheNextCodeFirst(t *testing.T) {
	s := newStage(t)
	r := s.toRecover()
	r.Submit("dana", fake.RecoveryCode, newPassword, newPassword)
	s.Until("there is the next code", func() bool { return r.NextCode() == fake.NextCode })
	s.app.Back()
	if s.app.Screen() != controller.ScreenRecover {
		t.Error("the code is gone without having been written down")
	}
	r.Continue()
	s.Until("the conversations show", func() bool { return s.app.Screen() == controller.ScreenMain })
	if r.NextCode() != "" {
		t.Error("the code is still there")
	}
}

func TestRecoverPutsErrorsAtTheirField(t *testing.T) {
	for _, tc := range []struct {
		name, code, password, again string
		err                         error
		place                       func(*controller.Recover) string
	}{
		{"", fake.RecoveryCode, newPassword, newPassword, nil, (*controller.Recover).NameProblem},
		{"dana", "", newPassword, newPassword, nil, (*controller.Recover).CodeProblem},
		{"dana", "NJY3-ATPN", newPassword, newPassword, nil, (*controller.Recover).CodeProblem},
		{"dana", fake.RecoveryCode, "", "", nil, (*controller.Recover).PasswordProblem},
		{"dana", fake.RecoveryCode, newPassword, "other", nil, (*controller.Recover).AgainProblem},
		{"dana", fake.RecoveryCode, newPassword, newPassword, client.ErrWrongRecoveryCode, (*controller.Recover).CodeProblem},
		{"dana", fake.RecoveryCode, newPassword, newPassword, client.ErrRecoveryLocked, (*controller.Recover).CodeProblem},
		{"dana", fake.RecoveryCode, newPassword, newPassword, &client.WeakPasswordError{Sentence: "Too weak."}, (*controller.Recover).PasswordProblem},
		{"dana", fake.RecoveryCode, newPassword, newPassword, client.ErrRecoveryUncertain, func(r *controller.Recover) string { return r.Problem() }},
		{"dana", fake.RecoveryCode, newPassword, newPassword, client.ErrProfileExists, func(r *controller.Recover) string { return r.Problem() }},
	} {
		s := newStage(t)
		r := s.toRecover()
		s.sdk.Fail("Recover", tc.err)
		r.Submit(tc.name, tc.code, tc.password, tc.again)
		s.Until("it fails", func() bool { return !r.Busy() })
		all := r.NameProblem() + r.CodeProblem() + r.PasswordProblem() + r.AgainProblem() + r.Problem()
		if got := tc.place(r); got == "" || got != all {
			t.Errorf("%+v: %q in its place of %q", tc, got, all)
		}
		s.app.Back()
		if s.app.Screen() != controller.ScreenAccount {
			t.Error("there is no way back")
		}
	}
}

// TestRecoveredWithoutThisDevice: the next code counts, and one logs in.
func TestRecoveredWithoutThisDevice(t *testing.T) {
	s := newStage(t)
	r := s.toRecover()
	s.sdk.Recovered = true
	s.sdk.Fail("Recover", client.ErrTooManyDevices)
	r.Submit("dana", fake.RecoveryCode, newPassword, newPassword)
	s.Until("there is the next code", func() bool { return r.NextCode() != "" })
	if r.Problem() != client.UserMessage(client.ErrTooManyDevices) {
		t.Errorf("problem %q", r.Problem())
	}
	r.Continue()
	if s.app.Screen() != controller.ScreenAccount || !s.app.Account.LogIn() {
		t.Errorf("on %s", s.app.Screen())
	}
}

func TestPinnedConversationsComeFirst(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	alice := s.session.AddConversation(direct("alice", noon.Add(-3*time.Hour)), "alice")
	s.session.AddConversation(direct("bob", noon), "bob")
	s.session.AddMessage(alice, client.Message{SenderName: "alice", Text: "hello", SentAt: noon.Add(-2 * time.Hour)})
	s.Until("both are there", func() bool { return len(m.Items()) == 2 && m.Unread() == 1 })
	m.SetPinned(alice, true)
	s.Until("alice is first", func() bool { return m.Items()[0].Title == "alice" && m.Items()[0].Pinned })
	m.SetMuted(alice, true)
	s.Until("alice is muted", func() bool { return m.Items()[0].Muted })
	if m.Unread() != 0 || m.Items()[0].Unread != 1 {
		t.Errorf("%d unread in all, %d in the row", m.Unread(), m.Items()[0].Unread)
	}
	m.SetPinned(alice, false)
	s.Until("bob is first", func() bool { return m.Items()[0].Title == "bob" })

	var problem string
	m.OnProblem = func(sentence string) { problem = sentence }
	s.session.Fail("SetMuted", client.ErrTooManySettings)
	m.SetMuted(alice, false)
	s.Until("it is told", func() bool { return problem == client.UserMessage(client.ErrTooManySettings) })
}

func TestBlocking(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	bob := s.session.AddConversation(direct("bob", noon), "bob")
	s.session.AddConversation(direct("alice", noon), "alice")
	s.Until("both are there", func() bool { return len(m.Items()) == 2 })
	b := m.Blocking()
	s.Until("the list is read", b.Loaded)
	for _, name := range []string{" ", "nobody"} {
		if b.Block(name); b.Problem() == "" || b.Busy() {
			t.Errorf("%q: problem %q", name, b.Problem())
		}
	}
	b.Block(" Bob")
	s.Until("bob is blocked", func() bool { return len(b.List()) == 1 && !b.Busy() })
	c := s.open(bob)
	s.Until("it shows", func() bool { return c.Subtitle() == "Blocked" })
	b.Unblock(b.List()[0].AccountID)
	s.Until("nobody is", func() bool { return len(b.List()) == 0 && !b.Busy() })
	s.Until("it shows", func() bool { return c.Subtitle() == "Direct conversation" })
	if !slices.Contains(s.session.Calls(), "SetBlockedtrue") {
		t.Errorf("calls %q", s.session.Calls())
	}
}
