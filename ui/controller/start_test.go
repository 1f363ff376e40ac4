package controller_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/internal/fake"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

type stage struct {
	*fake.Loop
	t       *testing.T
	app     *controller.App
	sdk     *fake.SDK
	session *fake.Session
	host    *fake.Host
	screens []controller.Screen
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, Loop: fake.NewLoop(t, noon), session: fake.NewSession("dana", noon), host: &fake.Host{}}
	s.sdk = &fake.SDK{Session: s.session, Info: client.ServerInfo{Name: "Garden", Registration: client.RegistrationInvite}}
	s.app = controller.NewApp(s.Controller(), s.sdk, s.host, controller.LoadPreferences(t.TempDir()))
	s.app.OnScreen = func(screen controller.Screen) { s.screens = append(s.screens, screen) }
	return s
}

// toAccount goes as far as the account screen.
func (s *stage) toAccount() *controller.Account {
	s.app.Start()
	s.app.Welcome.SetLink(fake.Link(1))
	s.app.Welcome.Continue()
	s.Until("the account screen shows", func() bool { return s.app.Screen() == controller.ScreenAccount })
	return s.app.Account
}

// toMain unlocks the fake profile.
func (s *stage) toMain() *controller.Main {
	s.sdk.Profile = true
	s.app.Start()
	s.app.Unlock.Submit("some password")
	s.Until("the conversations are there", func() bool { return s.app.Main != nil && s.app.Main.Loaded() })
	return s.app.Main
}

func TestFirstScreen(t *testing.T) {
	s := newStage(t)
	s.app.Start()
	if got := s.app.Screen(); got != controller.ScreenWelcome {
		t.Errorf("without a profile: %s", got)
	}
	s = newStage(t)
	s.sdk.Profile = true
	s.app.Start()
	if got := s.app.Screen(); got != controller.ScreenUnlock {
		t.Errorf("with a profile: %s", got)
	}
}

func TestWelcomeJudgesLinksWhileTheyAreTyped(t *testing.T) {
	s := newStage(t)
	for text, want := range map[string]string{
		"":                     "",
		"qp":                   "",
		"qpc:":                 "",
		"QPC://":               "",
		"https://example.org/": "begins with qpc://",
		"qpc://?":              "not complete",
	} {
		s.app.Welcome.SetLink("something else")
		s.app.Welcome.SetLink(text)
		got := s.app.Welcome.Problem()
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: problem %q, want %q", text, got, want)
		}
		if s.app.Welcome.CanContinue() {
			t.Errorf("%q can be continued with", text)
		}
	}
}

func TestWelcomeAsksTheServerOnceTypingRests(t *testing.T) {
	s := newStage(t)
	s.app.Start()
	w := s.app.Welcome
	w.SetLink(fake.Link(1))
	w.SetLink(fake.Link(2))
	s.Advance(100 * time.Millisecond)
	if n := s.sdk.Probes(); n != 0 {
		t.Fatalf("asked %d times while typing", n)
	}
	s.Advance(time.Second)
	s.Until("the server answers", func() bool { return w.Server() != nil })
	if n := s.sdk.Probes(); n != 1 || w.Server().Name != "Garden" {
		t.Errorf("asked %d times, got %+v", n, w.Server())
	}
	w.Continue()
	if s.app.Screen() != controller.ScreenAccount || s.app.Account.Server().Name != "Garden" {
		t.Errorf("on %s with %+v", s.app.Screen(), s.app.Account.Server())
	}
	s.app.Back()
	if s.app.Screen() != controller.ScreenWelcome {
		t.Error("there is no way back")
	}
}

func TestWelcomeShowsWhyAServerCannotBeUsed(t *testing.T) {
	for _, err := range []error{client.ErrServerUnreachable, client.ErrServerIdentity} {
		s := newStage(t)
		s.sdk.Fail("Probe", err)
		s.app.Start()
		s.app.Welcome.SetLink(fake.Link(1))
		s.app.Welcome.Continue()
		s.Until("it fails", func() bool { return s.app.Welcome.Problem() != "" })
		if got := s.app.Welcome.Problem(); got != client.UserMessage(err) {
			t.Errorf("%v: problem %q", err, got)
		}
		// A second try is possible without typing anything.
		s.sdk.Fail("Probe", nil)
		s.app.Welcome.Continue()
		s.Until("it works", func() bool { return s.app.Screen() == controller.ScreenAccount })
	}
}

func TestAccountChecksFields(t *testing.T) {
	a := newStage(t).toAccount()
	a.Submit(" ", "", "")
	if a.NameProblem() == "" || a.PasswordProblem() == "" {
		t.Errorf("empty fields: %q, %q", a.NameProblem(), a.PasswordProblem())
	}
	a.Submit("dana", "one password", "another password")
	if a.AgainProblem() == "" || a.Busy() {
		t.Errorf("passwords that differ: %q, busy %v", a.AgainProblem(), a.Busy())
	}
	a.Edited()
	if a.AgainProblem() != "" {
		t.Error("the problem stays while it is being corrected")
	}
}

func TestAccountPutsErrorsWhereTheyBelong(t *testing.T) {
	weak := &client.WeakPasswordError{}
	name := func(a *controller.Account) string { return a.NameProblem() }
	password := func(a *controller.Account) string { return a.PasswordProblem() }
	general := func(a *controller.Account) string { return a.Problem() }
	for _, tc := range []struct {
		call  string
		err   error
		place func(*controller.Account) string
	}{
		{"Register", client.ErrNameTaken, name},
		{"Register", client.ErrNameInvalid, name},
		{"Register", weak, password},
		{"Register", client.ErrInviteRequired, general},
		{"Register", client.ErrInviteInvalid, general},
		{"Register", client.ErrInviteExpired, general},
		{"Register", client.ErrServerUnreachable, general},
		{"Register", errors.New("unheard of"), general},
		{"Login", client.ErrWrongPassword, password},
		{"Login", client.ErrServerIdentity, general},
	} {
		s := newStage(t)
		a := s.toAccount()
		s.sdk.Fail(tc.call, tc.err)
		a.SetLogIn(tc.call == "Login")
		a.Submit("dana", "a fine passphrase", "a fine passphrase")
		if !a.Busy() {
			t.Errorf("%v: not busy while the server is asked", tc.err)
		}
		s.Until("it fails", func() bool { return !a.Busy() })
		if got := tc.place(a); got != client.UserMessage(tc.err) {
			t.Errorf("%s, %v: %q in its place, want %q", tc.call, tc.err, got, client.UserMessage(tc.err))
		}
		all := a.NameProblem() + a.PasswordProblem() + a.AgainProblem() + a.Problem()
		if all != client.UserMessage(tc.err) {
			t.Errorf("%s, %v: shown elsewhere too: %q", tc.call, tc.err, all)
		}
	}
}

func TestAccountLeadsToTheConversations(t *testing.T) {
	for _, login := range []bool{false, true} {
		s := newStage(t)
		a := s.toAccount()
		a.SetLogIn(login)
		a.Submit("erik", "a fine passphrase", "a fine passphrase")
		s.Until("the conversations show", func() bool { return s.app.Screen() == controller.ScreenMain })
		if got := s.app.Main.Me().Name; got != "erik" {
			t.Errorf("login %v: signed in as %q", login, got)
		}
	}
}

func TestClosedServerOffersLogInOnly(t *testing.T) {
	s := newStage(t)
	s.sdk.Info.Registration = client.RegistrationClosed
	if a := s.toAccount(); !a.LogIn() {
		t.Error("offers an account on a server that makes none")
	}
}

func TestUnlock(t *testing.T) {
	for _, err := range []error{client.ErrVaultPassword, client.ErrProfileInUse} {
		s := newStage(t)
		s.sdk.Profile = true
		s.sdk.Fail("Open", err)
		s.app.Start()
		s.app.Unlock.Submit("")
		if s.app.Unlock.Problem() == "" {
			t.Error("an empty password is not complained of")
		}
		s.app.Unlock.Submit("guess")
		s.Until("it fails", func() bool { return !s.app.Unlock.Busy() })
		if got := s.app.Unlock.Problem(); got != client.UserMessage(err) {
			t.Errorf("%v: problem %q", err, got)
		}
	}
	s := newStage(t)
	s.toMain()
	if s.app.Screen() != controller.ScreenMain {
		t.Errorf("after unlocking: %s", s.app.Screen())
	}
}

func TestHostingIsRememberedAndResumed(t *testing.T) {
	s := newStage(t)
	dir := t.TempDir()
	s.app = controller.NewApp(s.Controller(), s.sdk, s.host, controller.LoadPreferences(dir))
	s.app.Start()
	s.app.Hosting.Start()
	s.Until("there is a link", func() bool { return s.app.Hosting.Link() != "" })
	if !s.app.Hosting.Running() {
		t.Error("not running")
	}
	first := s.app.Hosting.Link()
	s.app.Hosting.Invite()
	s.Until("there is another link", func() bool { return s.app.Hosting.Link() != first })

	again := &fake.Host{}
	app := controller.NewApp(s.Controller(), s.sdk, again, controller.LoadPreferences(dir))
	app.Start()
	s.Until("the server runs again", again.Running)
}

func TestHostingShowsWhyItFails(t *testing.T) {
	s := newStage(t)
	s.host.Err = fake.ErrHost
	s.app.Start()
	s.app.Hosting.Start()
	s.Until("it fails", func() bool { return s.app.Hosting.Problem() != "" })
	if s.app.Preferences.Hosting {
		t.Error("a server that did not start is remembered")
	}
	none := controller.NewApp(s.Controller(), s.sdk, nil, controller.LoadPreferences(t.TempDir()))
	if none.Hosting.Possible() {
		t.Error("hosting is offered where there is no host")
	}
}

func TestPasswordStrength(t *testing.T) {
	for password, want := range map[string]string{
		"":                              "At least",
		"short":                         "5 more characters",
		"ninechars":                     "1 more character.",
		"tencharact":                    "Acceptable",
		"Ten chars and more 12":         "Strong",
		"correcthorsebatt":              "Acceptable",
		"a passphrase":                  "Acceptable",
		"a longer passphrase":           "Good",
		"a passphrase of several words": "Strong",
	} {
		if got := controller.PasswordStrength(password).Text; !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", password, got, want)
		}
	}
}

func TestPreferencesSurvive(t *testing.T) {
	dir := t.TempDir()
	p := controller.LoadPreferences(dir)
	p.Theme, p.Width, p.Height, p.Hosting = "dark", 900, 700, true
	if err := p.Save(); err != nil {
		t.Fatal(err)
	}
	got := controller.LoadPreferences(dir)
	if got.Theme != "dark" || got.Width != 900 || got.Height != 700 || !got.Hosting {
		t.Errorf("got %+v", got)
	}
}

func TestCloseEndsTheSession(t *testing.T) {
	s := newStage(t)
	s.toMain()
	closed := false
	s.app.Close(func(error) { closed = true })
	s.Until("it is closed", func() bool { return closed })
	if !s.session.Closed() {
		t.Error("the session is still open")
	}
}
