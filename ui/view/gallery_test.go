package view_test

import (
	"context"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
	"quicprochat/ui/internal/fake"
	"quicprochat/ui/theme"
	"quicprochat/ui/view"
	"quicprochat/ui/widgets"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// stage is a window over fakes.
type stage struct {
	*fake.Loop
	app     *controller.App
	sdk     *fake.SDK
	session *fake.Session
	host    *fake.Host
	win     fyne.Window
	view    *view.Window
	quit    int
}

func newStage(t testing.TB, mode theme.Mode) *stage {
	t.Helper()
	fyneApp := test.NewTempApp(t)
	fyneApp.Settings().SetTheme(theme.New(mode))
	s := &stage{Loop: fake.NewLoop(t, noon), session: fake.NewSession("dana", noon), host: &fake.Host{}}
	s.sdk = &fake.SDK{Session: s.session, Info: client.ServerInfo{Name: "Garden", Registration: client.RegistrationInvite}}
	s.app = controller.NewApp(s.Controller(), s.sdk, s.host, controller.LoadPreferences(t.TempDir()))
	s.app.Version = "test"
	s.win = test.NewWindow(nil)
	s.view = view.New(s.win, s.app, func() { s.quit++ })
	s.win.Resize(fyne.NewSize(view.DefaultWidth, view.DefaultHeight))
	return s
}

// enter unlocks the fake profile.
func (s *stage) enter() *controller.Main {
	s.sdk.Profile = true
	s.app.Start()
	s.app.Unlock.Submit("a password")
	s.Until("the list is there", func() bool { return s.app.Main != nil && s.app.Main.Loaded() })
	return s.app.Main
}

func (s *stage) open(id client.ConversationID) *controller.Conversation {
	s.app.Main.Open(id)
	s.Until("the conversation is read", func() bool { return s.app.Main.Current() != nil && s.app.Main.Current().Loaded() })
	s.Until("its members too", func() bool { return len(s.app.Main.Current().Members()) > 0 })
	return s.app.Main.Current()
}

// populate fills the session with a believable life.
func populate(s *fake.Session) (group, direct client.ConversationID) {
	at := func(h, m int) time.Time { return noon.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute) }
	add := func(id client.ConversationID, who, text string, when time.Time) {
		msg := client.Message{SenderName: who, Text: text, SentAt: when}
		if who == "" {
			msg.Mine, msg.State = true, client.StateSent
		}
		s.AddMessage(id, msg)
	}
	others := []string{"Book club", "erik", "Neighbours of the street with the unusually long name", "frida", "Choir", "gustav", "hanna", "Old group"}
	for i, title := range others {
		c := client.Conversation{Kind: client.KindDirect, Title: title, LastActivity: at(-30*(i+1), 0)}
		if title[0] < 'a' {
			c.Kind = client.KindGroup
		}
		id := s.AddConversation(c, "erik")
		add(id, "erik", []string{"Next Tuesday then, same place?", "👍", strings.Repeat("Bring chairs! ", 9)}[i%3], at(-30*(i+1), 0))
		s.Update(id, func(c *client.Conversation) { c.Unread = []int{0, 2, 128, 0, 0, 0, 0, 0}[i] })
	}
	s.Update(client.ConversationID(fake.ID("conversation Old group")), func(c *client.Conversation) { c.State = client.StateLeft })
	group = s.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "Winter hike", CanManage: true}, "alice", "bob", "christopher.robin")
	s.AddMessage(group, client.Message{Kind: client.KindEvent, SentAt: at(-27, 0), Event: &client.SystemEvent{
		Kind: client.EventCreated, Actor: client.Person{Name: "dana", Me: true}, Title: "Winter hike",
	}})
	add(group, "alice", "Hello everybody", at(-26, 0))
	add(group, "alice", "Who is in for Saturday? 🏔️ We would leave at seven in the morning and be back before it is dark, if all goes well.", at(-26, 1))
	add(group, "", "Me!", at(-26, 2))
	add(group, "", "I can bring\n- a map\n- tea\n- the small stove", at(-26, 3))
	s.AddMessage(group, client.Message{Kind: client.KindEvent, SentAt: at(-3, 0), Event: &client.SystemEvent{
		Kind: client.EventAdded, Actor: client.Person{Name: "alice"}, Subjects: []client.Person{{Name: "christopher.robin"}},
	}})
	add(group, "christopher.robin", "Thanks for adding me. Is the hut open?", at(-2, 0))
	add(group, "bob", "It is. I called them this morning and they keep four beds for us until ten.", at(-1, 20))
	add(group, "bob", "https://example.org/huts/the-very-long-address-of-the-hut-that-does-not-fit-into-one-line/booking?beds=4", at(-1, 20))
	add(group, "", "Great, then everything is settled. See you on Saturday!", at(-1, 40))
	direct = s.AddConversation(client.Conversation{Kind: client.KindDirect, Title: "alice"}, "alice")
	add(direct, "alice", "Did you find the map?", at(0, -9))
	add(direct, "", "Yes, it was in the car all along 😀", at(0, -8))
	add(direct, "alice", "ha", at(0, -7))
	add(direct, "", strings.TrimSpace(strings.Repeat("A line of a long message\n", 20)), at(0, -6))
	s.AddMessage(direct, client.Message{Mine: true, Text: "This one was refused", State: client.StateFailed, Err: "The server has a problem.", SentAt: at(0, -5)})
	s.AddMessage(direct, client.Message{Mine: true, Text: "And this one waits", State: client.StateQueued, SentAt: at(0, -4)})
	return group, direct
}

// reported fills the session with reports.
func reported(s *fake.Session) {
	for i, text := range []string{"Buy cheap watches! https://example.org/watches", strings.Repeat("You are all idiots. ", 12), "hi", "hello"} {
		r := client.Report{SenderName: []string{"mallory", "bob", "", "erik"}[i], Text: text, SentAt: noon, Day: noon, Category: client.Categories[i]}
		if i == 1 {
			r.Note, r.DeviceGone = "He goes on like this in every group.", true
		}
		s.AddReport(r)
	}
}

func hasButton(s *stage, caption string) bool {
	for _, b := range find[*widgets.Button](s) {
		if b.Text == caption {
			return true
		}
	}
	return false
}

// TestGallery draws every screen into $QPC_GALLERY for a person to look at.
func TestGallery(t *testing.T) {
	dir := os.Getenv("QPC_GALLERY")
	if dir == "" {
		t.Skip("QPC_GALLERY names no directory to draw into")
	}
	for _, mode := range []theme.Mode{theme.Light, theme.Dark} {
		shot := func(s *stage, name string) {
			t.Helper()
			f, err := os.Create(filepath.Join(dir, name+"-"+string(mode)+".png"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := png.Encode(f, s.win.Canvas().Capture()); err != nil {
				t.Fatal(err)
			}
		}
		galleryStart(newStage(t, mode), shot)
		galleryMain(newStage(t, mode), shot)
	}
}

func galleryStart(s *stage, shot func(*stage, string)) {
	s.app.Start()
	shot(s, "01-welcome")
	s.app.Welcome.SetLink(fake.Link(1))
	s.Advance(time.Second)
	s.Until("the server answers", func() bool { return s.app.Welcome.Server() != nil })
	shot(s, "02-welcome-valid")
	s.app.Hosting.Start()
	s.Until("the server runs", func() bool { return s.app.Hosting.Link() != "" && !s.app.Hosting.Busy() })
	shot(s, "03-hosted")
	s.app.Welcome.SetLink(fake.Link(2))
	s.app.Welcome.Continue()
	s.Until("the account screen shows", func() bool { return s.app.Screen() == controller.ScreenAccount })
	shot(s, "04-account")
	s.sdk.Fail("Register", client.ErrNameInvalid)
	s.app.Account.Submit("A", "long enough password", "long enough password")
	s.Until("it fails", func() bool { return s.app.Account.NameProblem() != "" && !s.app.Account.Busy() })
	shot(s, "05-account-error")
	s.app.Account.SetLogIn(true)
	shot(s, "06-login")
	s.app.Account.Forgotten("dana")
	shot(s, "08-recover")
	s.app.Recover.Submit("dana", fake.RecoveryCode, "a fine passphrase", "a fine passphrase")
	s.Until("there is the next code", func() bool { return s.app.Recover.NextCode() != "" })
	shot(s, "09-next-code")
	s.sdk.Profile = true
	s.app.Start()
	shot(s, "07-unlock")
}

func galleryMain(s *stage, shot func(*stage, string)) {
	m := s.enter()
	shot(s, "10-empty")
	group, direct := populate(s.session)
	s.Until("the list is filled", func() bool { return len(m.Items()) == 10 })
	shot(s, "11-list")
	_ = s.session.SetPinned(context.Background(), client.ConversationID(fake.ID("conversation erik")), true)
	_ = s.session.SetMuted(context.Background(), client.ConversationID(fake.ID("conversation erik")), true)
	_ = s.session.SetMuted(context.Background(), client.ConversationID(fake.ID("conversation Neighbours of the street with the unusually long name")), true)
	_ = s.session.SetBlocked(context.Background(), client.AccountID(fake.ID("bob")), true)
	s.open(group)
	shot(s, "12-group")
	s.session.Emit(client.ConnectionChanged{State: client.Offline, Err: client.ErrServerUnreachable, Retry: noon.Add(5 * time.Second)})
	s.Until("the banner shows", func() bool { return m.Banner() != "" })
	s.open(direct)
	m.Current().Type("A draft that is long enough to need a second line in the composer of a window of this size, so that it can be seen how it grows.")
	shot(s, "13-direct-offline")
	s.open(group)
	s.session.Fail("Send", errors.New("broken"))
	m.Current().Send("x")
	s.Until("the draft comes back", func() bool { return m.Current().Draft() == "x" })
	for i, open := range []func(){
		func() { view.NewGroup(s.view) }, func() { view.NewChat(s.view) }, func() { view.Members(s.view) },
		func() { view.Leave(s.view) }, func() { view.Settings(s.view) }, func() { view.Invite(s.view) },
	} {
		_ = s.host.Resume(context.Background())
		open()
		if i == 5 {
			s.Until("there is a link", func() bool { return s.app.Hosting.Link() != "" && !s.app.Hosting.Busy() })
		}
		s.Drain()
		shot(s, "2"+string(rune('0'+i))+"-dialog")
		view.CloseSheet(s.view)
	}
	for i, open := range []func(){
		func() { view.ChangePassword(s.view) }, func() { view.AdoptPassword(s.view) }, func() { view.RecoveryCode(s.view) },
		func() { view.ShowCode(s.view, fake.RecoveryCode) }, func() { view.DeleteAccount(s.view) },
		func() {
			view.Blocking(s.view)
			s.Until("the list is read", func() bool { return hasButton(s, "Unblock") })
		},
		func() { view.Report(s.view) }, func() { view.ChooseReport(s.view) }, func() { view.BanSomebody(s.view) },
		func() {
			reported(s.session)
			view.Reports(s.view)
			s.Until("the reports are read", func() bool { return hasButton(s, "Show more") })
		},
	} {
		open()
		s.Drain()
		shot(s, "4"+string(rune('0'+i))+"-dialog")
		view.CloseSheet(s.view)
	}
	s.win.Resize(fyne.NewSize(640, 480))
	shot(s, "30-small")
	view.Settings(s.view)
	shot(s, "31-small-settings")
	view.CloseSheet(s.view)
	s.session.Update(group, func(c *client.Conversation) { c.State = client.StateBroken })
	s.session.Emit(client.ConnectionChanged{State: client.Offline, Err: client.ErrBanned, Retry: noon.Add(time.Hour)})
	s.win.Resize(fyne.NewSize(view.DefaultWidth, view.DefaultHeight))
	s.Until("the account is banned", m.Banned)
	shot(s, "32-banned-broken")
}
