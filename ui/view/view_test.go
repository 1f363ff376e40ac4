package view_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/internal/fake"
	"quicprochat/ui/theme"
	"quicprochat/ui/view"
	"quicprochat/ui/widgets"
)

// find returns the visible objects of a type on the window, overlays included.
func find[T fyne.CanvasObject](s *stage) []T {
	var found []T
	var walk func(o fyne.CanvasObject)
	walk = func(o fyne.CanvasObject) {
		if o == nil || !o.Visible() {
			return
		}
		if t, ok := o.(T); ok {
			found = append(found, t)
		}
		switch o := o.(type) {
		case *fyne.Container:
			for _, c := range o.Objects {
				walk(c)
			}
		case fyne.Widget:
			for _, c := range test.WidgetRenderer(o).Objects() {
				walk(c)
			}
		}
	}
	walk(s.win.Content())
	for _, o := range s.win.Canvas().Overlays().List() {
		walk(o)
	}
	return found
}

// button is the visible button with that caption.
func button(t *testing.T, s *stage, caption string) *widgets.Button {
	t.Helper()
	for _, b := range find[*widgets.Button](s) {
		if b.Text == caption {
			return b
		}
	}
	t.Fatalf("there is no button %q", caption)
	return nil
}

// texts is everything that the window says.
func (s *stage) texts() string {
	var all []string
	for _, l := range find[*widgets.Line](s) {
		all = append(all, l.Text)
	}
	for _, p := range find[*widgets.Paragraph](s) {
		all = append(all, p.Text())
	}
	for _, m := range find[*widget.Label](s) {
		all = append(all, m.Text)
	}
	return strings.Join(all, "\n")
}

func (s *stage) says(t *testing.T, want string) {
	t.Helper()
	if !strings.Contains(s.texts(), want) {
		t.Errorf("the window does not say %q but\n%s", want, s.texts())
	}
}

func TestJoinFromLinkToConversations(t *testing.T) {
	s := newStage(t, theme.Light)
	s.app.Start()
	entries := find[*widgets.Entry](s)
	if !button(t, s, "Continue").Disabled() {
		t.Error("one can continue without a link")
	}
	test.Type(entries[0], "http")
	s.says(t, "begins with qpc://")
	entries[0].SetText(fake.Link(1))
	s.Advance(time.Second)
	s.Until("the server answers", func() bool { return s.app.Welcome.Server() != nil })
	s.says(t, "Garden is there.")
	test.Tap(button(t, s, "Continue"))
	s.says(t, "Create your account")

	entries = find[*widgets.Entry](s)
	test.Type(entries[0], "erik")
	test.Type(entries[1], "a fine passphrase")
	test.Type(entries[2], "a fine pasphrase")
	test.Tap(button(t, s, "Create account"))
	s.says(t, "The two passwords differ.")
	entries[2].SetText("a fine passphrase")
	s.sdk.Fail("Register", client.ErrNameTaken)
	test.Tap(button(t, s, "Create account"))
	s.Until("it fails", func() bool { return s.app.Account.NameProblem() != "" && !s.app.Account.Busy() })
	s.says(t, client.UserMessage(client.ErrNameTaken))
	s.sdk.Fail("Register", nil)
	test.Tap(button(t, s, "Create account"))
	s.Until("the conversations show", func() bool { return s.app.Main != nil && s.app.Main.Loaded() })
	s.says(t, "No conversations yet")
}

func TestLogInHidesTheSecondPassword(t *testing.T) {
	s := newStage(t, theme.Light)
	s.app.Start()
	s.app.Welcome.SetLink(fake.Link(1))
	s.app.Welcome.Continue()
	s.Until("the account screen shows", func() bool { return s.app.Screen() == controller.ScreenAccount })
	test.Tap(button(t, s, "I already have an account"))
	if n := len(find[*widgets.Entry](s)); n != 2 {
		t.Errorf("%d entries for logging in", n)
	}
	button(t, s, "Log in")
}

func TestHostShowsLinkAndCopies(t *testing.T) {
	s := newStage(t, theme.Light)
	s.app.Start()
	test.Tap(find[*widgets.Tappable](s)[0])
	s.Until("the server runs", func() bool { return s.app.Hosting.Link() != "" && !s.app.Hosting.Busy() })
	s.says(t, "Your server is running")
	if len(find[*widgets.QR](s)) != 1 {
		t.Error("there is no QR code")
	}
	test.Tap(button(t, s, "Copy"))
	if got := fyne.CurrentApp().Clipboard().Content(); got != s.app.Hosting.Link() {
		t.Errorf("copied %q", got)
	}
	button(t, s, "Copied")
	s.Advance(3 * time.Second)
	test.Tap(button(t, s, "Continue"))
	s.Until("the account screen shows", func() bool { return s.app.Screen() == controller.ScreenAccount })
}

func TestHostingThatFailsSaysSo(t *testing.T) {
	s := newStage(t, theme.Light)
	s.host.Err = client.ErrOffline
	s.app.Start()
	test.Tap(find[*widgets.Tappable](s)[0])
	s.Until("it fails", func() bool { return s.app.Hosting.Problem() != "" && !s.app.Hosting.Busy() })
	s.says(t, client.UserMessage(client.ErrOffline))
}

func TestUnlockShowsAWrongPassword(t *testing.T) {
	s := newStage(t, theme.Light)
	s.sdk.Profile = true
	s.sdk.Fail("Open", client.ErrVaultPassword)
	s.app.Start()
	test.Type(find[*widgets.Entry](s)[0], "guess")
	test.Tap(button(t, s, "Unlock"))
	s.Until("it fails", func() bool { return s.app.Unlock.Problem() != "" && !s.app.Unlock.Busy() })
	s.says(t, "Wrong password.")
}

func TestConversation(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	group, _ := populate(s.session)
	s.Until("the list is filled", func() bool { return len(m.Items()) == 10 })
	if !strings.HasPrefix(s.win.Title(), "(") {
		t.Errorf("the title %q does not count the unread", s.win.Title())
	}
	s.open(group)
	s.says(t, "Great, then everything is settled. See you on Saturday!")
	s.says(t, "4 members")
	s.says(t, "alice added christopher.robin.")

	composer := find[*widgets.Composer](s)[0]
	if s.win.Canvas().Focused() != composer.Focusable() {
		t.Error("the composer has not the focus")
	}
	test.Type(composer.Focusable(), "typed here")
	composer.Focusable().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	s.Until("it is there", func() bool {
		return strings.Contains(s.texts(), "typed here\n") || strings.HasSuffix(s.texts(), "typed here")
	})
	if m.Current().Draft() != "" {
		t.Errorf("the draft is still %q", m.Current().Draft())
	}

	s.session.Update(group, func(c *client.Conversation) { c.State = client.StateRemoved })
	s.Until("it has ended", func() bool { return !m.Current().CanWrite() })
	s.says(t, "no longer write into it")
	if len(find[*widgets.Composer](s)) != 0 {
		t.Error("there still is a composer")
	}
}

func TestBannerComesAndGoes(t *testing.T) {
	s := newStage(t, theme.Dark)
	m := s.enter()
	s.session.Emit(client.ConnectionChanged{State: client.Offline, Retry: noon.Add(5 * time.Second)})
	s.Until("it is offline", func() bool { return m.Banner() != "" })
	s.says(t, "Offline. Trying again in 5 s.")
	s.session.Emit(client.ConnectionChanged{State: client.Online})
	s.Until("it is online", func() bool { return m.Banner() == "" })
	if len(find[*widgets.Banner](s)) != 0 {
		t.Error("the banner stays")
	}
}

func TestShortcutsAndEscape(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	populate(s.session)
	s.Until("the list is filled", func() bool { return len(m.Items()) == 10 })
	press := func(k fyne.KeyName) {
		s.win.Canvas().(fyne.Shortcutable).TypedShortcut(&desktop.CustomShortcut{KeyName: k, Modifier: fyne.KeyModifierShortcutDefault})
	}
	press(fyne.KeyN)
	if sheet := widgets.TopSheet(s.win.Canvas()); sheet == nil || sheet.Title() != "New conversation" {
		t.Fatal("Ctrl+N opens no dialog")
	}
	press(fyne.KeyN)
	if n := len(s.win.Canvas().Overlays().List()); n != 1 {
		t.Errorf("%d dialogs on top of each other", n)
	}
	s.win.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if widgets.TopSheet(s.win.Canvas()) != nil {
		t.Fatal("Escape does not close it")
	}
	press(fyne.KeyK)
	search, _ := s.win.Canvas().Focused().(*widgets.Entry)
	if search == nil || search.PlaceHolder != "Search" {
		t.Fatal("Ctrl+K does not lead to the search")
	}
	test.Type(search, "choir")
	if len(m.Items()) != 1 {
		t.Errorf("the search leaves %d", len(m.Items()))
	}
	search.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	s.Until("it is open", func() bool { return m.Current() != nil && m.Current().Info().Title == "Choir" })
	search.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if len(m.Items()) != 10 || search.Text != "" {
		t.Error("Escape does not end the search")
	}
	press(fyne.KeyQ)
	if s.quit != 1 || s.app.Preferences.Width < view.DefaultWidth-1 {
		t.Errorf("quit %d times, remembered %v", s.quit, s.app.Preferences.Width)
	}
}

func TestDialogs(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	view.NewChat(s.view)
	entry := find[*widgets.Entry](s)[1] // the first is the search
	test.Type(entry, "nobody")
	s.session.Fail("StartDirect", client.ErrUnknownUser)
	test.Tap(button(t, s, "Start"))
	s.Until("it fails", func() bool { return strings.Contains(s.texts(), client.UserMessage(client.ErrUnknownUser)) })
	s.session.Fail("StartDirect", nil)
	entry.SetText("bob")
	test.Tap(button(t, s, "Start"))
	s.Until("it is open", func() bool { return m.Current() != nil })
	if widgets.TopSheet(s.win.Canvas()) != nil {
		t.Fatal("the dialog stays")
	}

	view.NewGroup(s.view)
	entries := find[*widgets.Entry](s)
	test.Type(entries[1], "Choir")
	test.Type(entries[2], "bob,erik,")
	test.Tap(button(t, s, "Create"))
	s.Until("the group is open", func() bool { return m.Current().Info().Title == "Choir" })

	s.Until("members are read", func() bool { return len(m.Current().Members()) == 3 })
	view.Members(s.view)
	test.Tap(button(t, s, "Remove"))
	s.Until("one is gone", func() bool { return len(m.Current().Members()) == 2 })
	s.session.Fail("RemoveMember", client.ErrNotAllowed)
	test.Tap(button(t, s, "Remove"))
	s.Until("it fails", func() bool { return strings.Contains(s.texts(), client.UserMessage(client.ErrNotAllowed)) })
	view.CloseSheet(s.view)

	view.Rename(s.view)
	rename := find[*widgets.Entry](s)[1]
	rename.SetText("Band")
	test.Tap(button(t, s, "Rename"))
	s.Until("it is renamed", func() bool { return m.Current().Info().Title == "Band" })

	view.Leave(s.view)
	test.Tap(button(t, s, "Leave"))
	s.Until("it has been left", func() bool { return !m.Current().CanWrite() })
}

func TestSettingsChangeTheTheme(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	view.Settings(s.view)
	find[*widgets.Choice](s)[0].Choose(2)
	if s.app.Preferences.Theme != "dark" {
		t.Errorf("theme %q", s.app.Preferences.Theme)
	}
	dark := theme.New(theme.Dark).Color(theme.ColorCanvas, 0)
	if got := theme.Current(theme.ColorCanvas, nil); got != dark {
		t.Errorf("the window is drawn in %v", got)
	}
	s.says(t, "quicprochat test")
}

// TestNoLongTextBreaksTheLayout looks for anything that sticks out of the
// window, at a small size and with names as long as they come.
func TestNoLongTextBreaksTheLayout(t *testing.T) {
	for _, size := range []fyne.Size{fyne.NewSize(640, 480), fyne.NewSize(view.DefaultWidth, view.DefaultHeight)} {
		s := newStage(t, theme.Light)
		m := s.enter()
		long := strings.Repeat("Donaudampfschifffahrtsgesellschaft ", 3)
		id := s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: long, CanManage: true}, strings.Repeat("m", 32))
		s.session.AddMessage(id, client.Message{SenderName: strings.Repeat("m", 32), Text: strings.Repeat("x", 3000)})
		s.Until("the list is filled", func() bool { return len(m.Items()) == 1 })
		s.open(id)
		s.win.Resize(size)
		for i, open := range []func(){func() {}, func() { view.Members(s.view) }, func() { view.Leave(s.view) }, func() { view.NewGroup(s.view) }} {
			open()
			for _, l := range find[*widgets.Line](s) {
				at := fyne.CurrentApp().Driver().AbsolutePositionForObject(l)
				if at.X < -1 || at.X+l.Size().Width > size.Width+1 {
					t.Errorf("%v, dialog %d: %q reaches from %v to %v", size, i, l.Text[:min(20, len(l.Text))], at.X, at.X+l.Size().Width)
				}
			}
			view.CloseSheet(s.view)
		}
	}
}

func BenchmarkOpenConversation(b *testing.B) {
	s := newStage(b, theme.Light)
	m := s.enter()
	var ids []client.ConversationID
	for c := range 2 {
		id := s.session.AddConversation(client.Conversation{Kind: client.KindDirect, Title: fmt.Sprint("c", c)}, "bob")
		for i := range 100 {
			s.session.AddMessage(id, client.Message{SenderName: "bob", Text: strings.Repeat("some words ", i%20+1)})
		}
		ids = append(ids, id)
	}
	s.Until("the list is filled", func() bool { return len(m.Items()) == 2 && m.Items()[0].Unread == 100 })
	for i := 0; b.Loop(); i++ {
		s.open(ids[i%2])
	}
}
