package view_test

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
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

// sheet is the title of the uppermost sheet; empty without one.
func (s *stage) sheet() string {
	if sheet := widgets.TopSheet(s.win.Canvas()); sheet != nil {
		return sheet.Title()
	}
	return ""
}

// fill types into the entries of the uppermost sheet.
func (s *stage) fill(texts ...string) {
	var entries []*widgets.Entry
	for _, e := range find[*widgets.Entry](s) {
		if fyne.CurrentApp().Driver().CanvasForObject(e) != nil {
			entries = append(entries, e)
		}
	}
	entries = entries[len(entries)-len(texts):]
	for i, t := range texts {
		entries[i].SetText(t)
	}
}

func TestSettingsLeadToTheAccountSheets(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	for caption, title := range map[string]string{
		"Change password": "Change password", "Recovery code": "Recovery code",
		"Blocked people": "Blocked people", "Delete account": "Delete your account?",
	} {
		view.Settings(s.view)
		test.Tap(button(t, s, caption))
		if got := s.sheet(); got != title {
			t.Errorf("%s leads to %q", caption, got)
		}
		view.CloseSheet(s.view)
	}
	if hasButton(s, "Reports") {
		t.Error("an ordinary account is offered reports")
	}
}

func TestChangePasswordSheet(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	view.ChangePassword(s.view)
	s.fill("a guess", "another fine passphrase", "another fine passphrase")
	test.Tap(button(t, s, "Change"))
	sheet := widgets.TopSheet(s.win.Canvas())
	if sheet.Dismiss(); s.sheet() == "" {
		t.Error("the sheet closed while the password was being changed")
	}
	s.Until("it fails", func() bool { return strings.Contains(s.texts(), client.UserMessage(client.ErrPresentPassword)) })
	s.fill(fake.Password, "another fine passphrase", "another fine passphrase")
	test.Tap(button(t, s, "Change"))
	s.Until("it is told", func() bool { return s.sheet() == "Your password is changed" })
	test.Tap(button(t, s, "OK"))
	if s.sheet() != "" {
		t.Errorf("%q is open", s.sheet())
	}
	view.ChangePassword(s.view)
	test.Tap(button(t, s, "I changed it on another device"))
	s.fill("another fine passphrase")
	test.Tap(button(t, s, "Use it here"))
	s.Until("it is told", func() bool { return s.sheet() == "Done" })
}

func TestRecoveryCodeStaysUntilItIsWrittenDown(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	view.RecoveryCode(s.view)
	s.fill(fake.Password)
	test.Tap(button(t, s, "Create a code"))
	s.Until("the code shows", func() bool { return s.sheet() == "Your recovery code" })
	s.says(t, fake.RecoveryCode)
	s.win.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyEscape})
	test.TapCanvas(s.win.Canvas(), fyne.NewPos(3, 3))
	if s.sheet() != "Your recovery code" {
		t.Error("the code is gone without having been written down")
	}
	test.Tap(button(t, s, "I have written it down"))
	if s.sheet() != "" {
		t.Errorf("%q is open", s.sheet())
	}
}

func TestDeleteAccountSheet(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	view.DeleteAccount(s.view)
	test.Tap(button(t, s, "Delete for good"))
	s.says(t, "to confirm.")
	s.fill("dana", fake.Password)
	test.Tap(button(t, s, "Delete for good"))
	s.Until("the welcome screen shows", func() bool { return s.app.Screen() == controller.ScreenWelcome })
	s.says(t, "The account “dana” is deleted.")
	if s.sheet() != "" {
		t.Errorf("%q is open", s.sheet())
	}
}

func TestForgottenPassword(t *testing.T) {
	s := newStage(t, theme.Light)
	s.app.Start()
	s.app.Welcome.SetLink(fake.Link(1))
	s.app.Welcome.Continue()
	s.Until("the account screen shows", func() bool { return s.app.Screen() == controller.ScreenAccount })
	if hasButton(s, "I forgot my password") {
		t.Error("asked of somebody who makes an account")
	}
	test.Tap(button(t, s, "I already have an account"))
	find[*widgets.Entry](s)[0].SetText("dana")
	test.Tap(button(t, s, "I forgot my password"))
	entries := find[*widgets.Entry](s)
	if len(entries) != 4 || entries[0].Text != "dana" {
		t.Fatalf("%d entries", len(entries))
	}
	test.Tap(button(t, s, "Recover account"))
	s.says(t, "Type your recovery code.")
	entries[1].SetText(fake.RecoveryCode)
	entries[2].SetText("another fine passphrase")
	entries[3].SetText("another fine passphrase")
	entries[3].TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	s.Until("the next code shows", func() bool { return strings.Contains(s.texts(), fake.NextCode) })
	test.Tap(button(t, s, "I have written it down"))
	s.Until("the conversations show", func() bool { return s.app.Screen() == controller.ScreenMain })
}

func labels(items []*fyne.MenuItem) string {
	var list []string
	for _, i := range items {
		list = append(list, i.Label)
	}
	return strings.Join(list, ", ")
}

func TestListMenu(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "Choir"}, "bob")
	s.session.AddConversation(client.Conversation{Kind: client.KindDirect, Title: "bob", LastActivity: noon}, "bob")
	s.Until("both are there", func() bool { return len(m.Items()) == 2 })
	menu := func() []*fyne.MenuItem { return view.ListMenu(s.view, m.Items()[0]) }
	if got := labels(menu()); got != "Pin, Mute, Block bob" {
		t.Errorf("menu %q", got)
	}
	if got := labels(view.ListMenu(s.view, m.Items()[1])); got != "Pin, Mute" {
		t.Errorf("menu of a group %q", got)
	}
	menu()[0].Action()
	menu()[1].Action()
	menu()[2].Action()
	s.says(t, "Block bob?")
	test.Tap(button(t, s, "Block"))
	s.Until("it shows", func() bool { return labels(menu()) == "Unpin, Unmute, Unblock bob" })
	s.Until("the sheet is gone", func() bool { return s.sheet() == "" })
	test.TapSecondary(find[*widgets.ConversationRow](s)[0])
	if len(find[*widget.PopUpMenu](s)) != 1 {
		t.Error("the right button opens no menu")
	}
}

func TestReportSheet(t *testing.T) {
	s := newStage(t, theme.Light)
	s.enter()
	group, _ := populate(s.session)
	s.Until("the list is filled", func() bool { return len(s.app.Main.Items()) == 10 })
	s.open(group)
	view.ChooseReport(s.view)
	test.Tap(button(t, s, "alice: Hello everybody"))
	if s.sheet() != "Report message" {
		t.Fatalf("%q is open", s.sheet())
	}
	s.says(t, "The moderators of Garden will see this message")
	test.Tap(button(t, s, "Report"))
	s.Until("it is told", func() bool { return s.sheet() == "Thank you" })
}

func TestReportsSheet(t *testing.T) {
	s := newStage(t, theme.Dark)
	s.session.SetRole(client.RoleAdmin)
	m := s.enter()
	s.Until("the role is known", func() bool { return m.Role().Operates() })
	reported(s.session)
	view.Settings(s.view)
	test.Tap(button(t, s, "Reports"))
	s.Until("the reports are read", func() bool { return hasButton(s, "Show more") })
	s.says(t, "Buy cheap watches!")
	s.says(t, "somebody else may have written it")
	s.says(t, "Deleted account")
	test.Tap(button(t, s, "Ban mallory"))
	s.says(t, "Ban mallory?")
	test.Tap(button(t, s, "Ban"))
	s.Until("the report is closed", func() bool { return s.sheet() == "Reports" && !strings.Contains(s.texts(), "watches") })
	test.Tap(button(t, s, "Banned people"))
	s.Until("the banned are read", func() bool { return strings.Contains(s.texts(), "Until 27 November 2026, 12:00") })
	test.Tap(button(t, s, "Unban"))
	s.Until("nobody is banned", func() bool { return strings.Contains(s.texts(), "Nobody is banned.") })
}

// TestSheetsReachWithTheKeyboard: Tab leads to every button and choice, and
// Escape closes the sheet from wherever it has led.
func TestSheetsReachWithTheKeyboard(t *testing.T) {
	for name, open := range map[string]func(*view.Window){
		"Settings": view.Settings, "Report message": view.Report, "Ban somebody": view.BanSomebody,
		"Change password": view.ChangePassword, "Blocked people": view.Blocking,
	} {
		s := newStage(t, theme.Light)
		s.enter()
		group, _ := populate(s.session)
		s.Until("the list is filled", func() bool { return len(s.app.Main.Items()) == 10 })
		s.open(group)
		open(s.view)
		s.Drain()
		want := map[fyne.Focusable]bool{}
		sheet := widgets.TopSheet(s.win.Canvas())
		collect(sheet, want)
		for range 2 * len(want) {
			s.win.Canvas().FocusNext()
			delete(want, s.win.Canvas().Focused())
		}
		if len(want) > 0 {
			t.Errorf("%s: Tab does not lead to %v", name, want)
		}
		s.win.Canvas().FocusPrevious()
		s.win.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
		if s.sheet() != "" {
			t.Errorf("%s: Escape does not close it from %T", name, s.win.Canvas().Focused())
		}
	}
}

// TestTabLeadsFromTheComposerToTheMenus: what a right click does can be done
// without a pointer.
func TestTabLeadsFromTheComposerToTheMenus(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	group, _ := populate(s.session)
	s.Until("the list is filled", func() bool { return len(m.Items()) == 10 })
	s.open(group)
	c := s.win.Canvas()
	menus := ""
	for range 12 {
		c.FocusNext()
		b, ok := c.Focused().(*widgets.IconButton)
		if !ok {
			continue
		}
		b.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
		for _, line := range find[*canvas.Text](s) {
			menus += line.Text + "\n"
		}
		for _, overlay := range c.Overlays().List() {
			c.Overlays().Remove(overlay)
		}
	}
	for _, want := range []string{"Pin", "Mute", "Report a message", "Settings", "New group"} {
		if !strings.Contains(menus, want+"\n") {
			t.Errorf("Tab and Space do not lead to %q", want)
		}
	}
}

func TestShortcutsOfTheMenus(t *testing.T) {
	s := newStage(t, theme.Light)
	m := s.enter()
	shortcuts := s.win.Canvas().(fyne.Shortcutable)
	press := func(k fyne.KeyName) {
		shortcuts.TypedShortcut(&desktop.CustomShortcut{KeyName: k, Modifier: fyne.KeyModifierShortcutDefault})
	}
	press(fyne.KeyM)
	if len(s.win.Canvas().Overlays().List()) != 0 {
		t.Error("a menu of no conversation")
	}
	press(fyne.KeyComma)
	if s.sheet() != "Settings" {
		t.Errorf("%q is open", s.sheet())
	}
	view.CloseSheet(s.view)
	group, _ := populate(s.session)
	s.Until("the list is filled", func() bool { return len(m.Items()) == 10 })
	s.open(group)
	press(fyne.KeyM)
	if len(s.win.Canvas().Overlays().List()) != 1 {
		t.Error("no menu")
	}
}

// collect gathers what there is to press in a sheet.
func collect(o fyne.CanvasObject, into map[fyne.Focusable]bool) {
	if !o.Visible() {
		return
	}
	switch o := o.(type) {
	case *widgets.Button:
		into[o] = true
		return
	case *widgets.Choice:
		into[o] = true
		return
	case *fyne.Container:
		for _, c := range o.Objects {
			collect(c, into)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			collect(c, into)
		}
	}
}
