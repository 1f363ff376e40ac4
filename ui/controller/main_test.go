package controller_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

func titles(m *controller.Main) []string {
	var out []string
	for _, i := range m.Items() {
		out = append(out, i.Title)
	}
	return out
}

func (s *stage) open(id client.ConversationID) *controller.Conversation {
	s.t.Helper()
	s.app.Main.Open(id)
	c := s.app.Main.Current()
	s.Until("the conversation is read", c.Loaded)
	return c
}

func direct(name string, at time.Time) client.Conversation {
	return client.Conversation{Kind: client.KindDirect, Title: name, LastActivity: at}
}

func TestListIsOrderedSearchedAndLive(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	if !m.Empty() {
		t.Error("not empty at first")
	}
	alice := s.session.AddConversation(direct("Alice", noon.Add(-3*time.Hour)), "Alice")
	s.session.AddConversation(direct("bob", noon.Add(-2*time.Hour)), "bob")
	s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "Choir", LastActivity: noon.Add(-time.Hour)})
	s.Until("three rows", func() bool { return len(m.Items()) == 3 })
	if got := titles(m); !slices.Equal(got, []string{"Choir", "bob", "Alice"}) {
		t.Errorf("order %v", got)
	}
	s.session.AddMessage(alice, client.Message{SenderName: "Alice", Text: "hello"})
	s.Until("Alice is first", func() bool { return titles(m)[0] == "Alice" })
	if i := m.Items()[0]; i.Preview != "hello" || i.Unread != 1 || i.Time != "12:00" {
		t.Errorf("row %+v", i)
	}
	if m.Unread() != 1 {
		t.Errorf("%d unread in all", m.Unread())
	}
	m.Search(" ALI ")
	if got := titles(m); !slices.Equal(got, []string{"Alice"}) || !m.Filtered() {
		t.Errorf("search left %v", got)
	}
	m.Search("")
	if len(m.Items()) != 3 {
		t.Error("the end of the search left rows out")
	}
	s.session.Emit(client.ConversationRemoved{ID: alice})
	s.Until("Alice is gone", func() bool { return len(m.Items()) == 2 })
}

func TestPreviews(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	me, bob := client.Person{Name: "dana", Me: true}, client.Person{Name: "bob"}
	for want, c := range map[string]client.Conversation{
		"No messages yet":               {Kind: client.KindDirect},
		"You: hi":                       {Kind: client.KindGroup, Preview: "hi", PreviewFromMe: true},
		"bob: hi":                       {Kind: client.KindGroup, Preview: "hi", PreviewSender: "bob"},
		"hi":                            {Kind: client.KindDirect, Preview: "hi", PreviewSender: "bob"},
		"You left this conversation.":   {Kind: client.KindGroup, State: client.StateLeft},
		"You were removed.":             {Kind: client.KindGroup, State: client.StateRemoved},
		"bob added you and erik.":       {Kind: client.KindGroup, PreviewEvent: &client.SystemEvent{Kind: client.EventAdded, Actor: bob, Subjects: []client.Person{me, {Name: "erik"}}}},
		"You renamed the group to “X”.": {Kind: client.KindGroup, PreviewEvent: &client.SystemEvent{Kind: client.EventRenamed, Actor: me, Title: "X"}},
		"You left.":                     {Kind: client.KindGroup, PreviewEvent: &client.SystemEvent{Kind: client.EventLeft, Subjects: []client.Person{me}}},
	} {
		c.Title = want
		s.session.AddConversation(c)
	}
	s.Until("all rows are there", func() bool { return len(m.Items()) == 9 })
	for _, i := range m.Items() {
		if i.Preview != i.Title {
			t.Errorf("preview %q, want %q", i.Preview, i.Title)
		}
	}
}

func TestBannerCountsDown(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	var banners []string
	m.OnBanner = func() { banners = append(banners, m.Banner()) }
	s.session.Emit(client.ConnectionChanged{State: client.Offline, Err: client.ErrServerUnreachable, Retry: noon.Add(2 * time.Second)})
	s.Until("it is offline", func() bool { return len(banners) == 1 })
	s.Advance(time.Second)
	s.Advance(time.Second)
	s.session.Emit(client.ConnectionChanged{State: client.Connecting})
	s.Until("it connects", func() bool { return m.Connection().State == client.Connecting })
	s.session.Emit(client.ConnectionChanged{State: client.Online})
	s.Until("it is online", func() bool { return m.Connection().State == client.Online })
	want := []string{"Trying again in 2 s.", "Trying again in 1 s.", "Trying again.", "Connecting…", ""}
	if len(banners) != len(want) {
		t.Fatalf("banners %q", banners)
	}
	for i, b := range banners {
		if !strings.HasSuffix(b, want[i]) || (want[i] == "" && b != "") {
			t.Errorf("banner %d is %q, want it to end in %q", i, b, want[i])
		}
	}
}

// mirror follows a conversation's callbacks as the timeline does.
type mirror struct {
	rows []controller.Row
	sent int
}

func follow(c *controller.Conversation) *mirror {
	m := &mirror{}
	read := func(from, n int) []controller.Row {
		out := make([]controller.Row, n)
		for i := range out {
			out[i] = c.Row(from + i)
		}
		return out
	}
	m.rows = read(0, c.Len())
	c.OnReset = func() { m.rows = read(0, c.Len()) }
	c.OnInserted = func(at, n int) { m.rows = slices.Insert(m.rows, at, read(at, n)...) }
	c.OnRemoved = func(at, n int) { m.rows = slices.Delete(m.rows, at, at+n) }
	c.OnChanged = func(at, n int) { copy(m.rows[at:], read(at, n)) }
	c.OnSent = func() { m.sent++ }
	return m
}

func (m *mirror) texts() []string {
	var out []string
	for _, r := range m.rows {
		out = append(out, r.Text)
	}
	return out
}

func TestOlderPagesAreReadOnDemand(t *testing.T) {
	s := newStage(t)
	s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	const total = 150
	for i := range total {
		s.session.AddMessage(id, client.Message{SenderName: "bob", Text: fmt.Sprint(i), SentAt: noon.Add(time.Duration(i) * time.Second)})
	}
	s.Until("the row is there", func() bool { return len(s.app.Main.Items()) == 1 })
	c := s.open(id)
	view := follow(c)
	if first := c.Row(0).Text; c.Len() != 60 || first != "90" {
		t.Fatalf("first page: %d rows from %s", c.Len(), first)
	}
	for c.Len() < total {
		before := c.Len()
		c.LoadOlder()
		c.LoadOlder() // a second request while one is under way changes nothing
		s.Until("a page is read", func() bool { return c.Len() > before })
	}
	c.LoadOlder()
	s.Drain()
	for i, text := range view.texts() {
		if text != fmt.Sprint(i) {
			t.Fatalf("row %d is %s", i, text)
		}
	}
	if len(view.rows) != total {
		t.Errorf("the view has %d rows", len(view.rows))
	}
}

func TestSendingKeepsOrderAndShowsAtOnce(t *testing.T) {
	s := newStage(t)
	s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	s.Until("the row is there", func() bool { return len(s.app.Main.Items()) == 1 })
	c := s.open(id)
	view := follow(c)
	var want []string
	for i := range 20 {
		want = append(want, fmt.Sprint("text ", i))
		c.Send(want[i])
	}
	s.Until("all are there", func() bool { return c.Len() == 20 })
	if got := view.texts(); !slices.Equal(got, want) {
		t.Errorf("order %v", got)
	}
	if view.sent != 20 {
		t.Errorf("OnSent came %d times", view.sent)
	}
	if c.Row(0).State != controller.RowWaiting {
		t.Error("a queued message does not wait")
	}
}

func TestConfirmationMovesAMessageToItsPlace(t *testing.T) {
	s := newStage(t)
	s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	mine := s.session.AddMessage(id, client.Message{Mine: true, Text: "mine", State: client.StateQueued, Position: client.Position{Order: 1 << 40, ID: 1}})
	s.Until("the row is there", func() bool { return len(s.app.Main.Items()) == 1 })
	c := s.open(id)
	view := follow(c)
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "theirs", Position: client.Position{Order: 7, ID: 2}})
	s.Until("it came", func() bool { return c.Len() == 2 })
	if got := view.texts(); !slices.Equal(got, []string{"theirs", "mine"}) {
		t.Fatalf("unsent is not last: %v", got)
	}
	mine.State, mine.Position = client.StateSent, client.Position{Order: 5, ID: 1}
	s.session.ChangeMessage(mine)
	s.Until("it is sent", func() bool { return c.Row(0).State == controller.RowSent })
	if got := view.texts(); !slices.Equal(got, []string{"mine", "theirs"}) {
		t.Errorf("order %v", got)
	}
}

func TestRefusedTextComesBack(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	s.Until("the row is there", func() bool { return len(m.Items()) == 1 })
	c := s.open(id)
	problem := ""
	m.OnProblem = func(sentence string) { problem = sentence }
	s.session.Fail("Send", client.ErrTextInvalid)
	c.Send("something")
	s.Until("it is refused", func() bool { return problem != "" })
	if problem != client.UserMessage(client.ErrTextInvalid) || c.Draft() != "something" {
		t.Errorf("problem %q, draft %q", problem, c.Draft())
	}
}

func TestDraftsStayWithTheirConversation(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	a := s.session.AddConversation(direct("a", noon), "a")
	b := s.session.AddConversation(direct("b", noon), "b")
	s.Until("the rows are there", func() bool { return len(m.Items()) == 2 })
	s.open(a).SetDraft("for a")
	if got := s.open(b).Draft(); got != "" {
		t.Errorf("b has a's draft %q", got)
	}
	if got := s.open(a).Draft(); got != "for a" {
		t.Errorf("a lost its draft: %q", got)
	}
}

func TestReadingWhatIsOpenAndLookedAt(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "one"})
	s.Until("it is unread", func() bool { return m.Unread() == 1 })
	s.open(id)
	s.Until("it is read", func() bool { return m.Unread() == 0 })
	m.SetActive(false)
	s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "two"})
	s.Until("it is unread", func() bool { return m.Unread() == 1 })
	m.SetActive(true)
	s.Until("it is read on return", func() bool { return m.Unread() == 0 })
}

func TestRowsAreGroupedByPersonTimeAndDay(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "G", LastActivity: noon}, "a", "b")
	add := func(who, text string, at time.Time) {
		s.session.AddMessage(id, client.Message{SenderName: who, Text: text, SentAt: at})
	}
	add("a", "1", noon.Add(-30*time.Hour))
	add("a", "2", noon.Add(-30*time.Hour+time.Minute))
	add("a", "3", noon.Add(-30*time.Hour+10*time.Minute))
	add("b", "4", noon.Add(-30*time.Hour+11*time.Minute))
	add("b", "5", noon.Add(-time.Minute))
	s.session.AddMessage(id, client.Message{Kind: client.KindEvent, Text: "x", SentAt: noon})
	add("b", "6", noon)
	s.Until("the row is there", func() bool { return len(m.Items()) == 1 && m.Items()[0].Preview == "b: 6" })
	c := s.open(id)
	var got []string
	for i := range c.Len() {
		r := c.Row(i)
		got = append(got, fmt.Sprintf("%s first=%v last=%v %s", r.Text, r.First, r.Last, r.Day))
	}
	want := []string{
		"1 first=true last=false Yesterday",
		"2 first=false last=true ",
		"3 first=true last=true ",
		"4 first=true last=true ",
		"5 first=true last=true Today",
		"x first=true last=true ",
		"6 first=true last=true ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDayAndListTimes(t *testing.T) {
	for ago, want := range map[time.Duration][2]string{
		0:                    {"Today", "12:00"},
		-time.Hour:           {"Today", "13:00"}, // a clock that runs ahead
		13 * time.Hour:       {"Yesterday", "Yesterday"},
		3 * 24 * time.Hour:   {"Tuesday", "Tue"},
		30 * 24 * time.Hour:  {"Wednesday, 21 October", "21 Oct"},
		400 * 24 * time.Hour: {"16 October 2025", "16 Oct 2025"},
	} {
		at := noon.Add(-ago)
		if got := [2]string{controller.DayLabel(at, noon), controller.ListTime(at, noon)}; got != want {
			t.Errorf("%v ago: %q, want %q", ago, got, want)
		}
	}
}

func TestDialogsShowTheirErrors(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "G", CanManage: true}, "bob")
	s.Until("the row is there", func() bool { return len(m.Items()) == 1 })
	c := s.open(id)
	type form interface {
		Busy() bool
		Problem() string
	}
	for _, tc := range []struct {
		call string
		err  error
		do   func() form
	}{
		{"StartDirect", client.ErrUnknownUser, func() form { n := m.NewChat(); n.Submit("x"); return n }},
		{"StartDirect", client.ErrYourself, func() form { n := m.NewChat(); n.Submit("x"); return n }},
		{"StartDirect", client.ErrOffline, func() form { n := m.NewChat(); n.Submit("x"); return n }},
		{"CreateGroup", client.ErrKeyChanged, func() form { n := m.NewGroup(); n.Submit("x", []string{"y"}); return n }},
		{"AddMembers", client.ErrUnreachableUser, func() form { n := c.Settings(); n.Add([]string{"y"}); return n }},
		{"RemoveMember", client.ErrNotAllowed, func() form { n := c.Settings(); n.Remove(client.AccountID{}); return n }},
		{"Rename", client.ErrTitleInvalid, func() form { n := c.Settings(); n.Rename("x"); return n }},
		{"Leave", client.ErrBusy, func() form { n := c.Settings(); n.Leave(); return n }},
	} {
		s.session.Fail(tc.call, tc.err)
		f := tc.do()
		if !f.Busy() {
			t.Errorf("%s: not busy", tc.call)
		}
		s.Until("it fails", func() bool { return !f.Busy() })
		if f.Problem() != client.UserMessage(tc.err) {
			t.Errorf("%s: problem %q, want %q", tc.call, f.Problem(), client.UserMessage(tc.err))
		}
		s.session.Fail(tc.call, nil)
	}
}

func TestDialogsRefuseEmptyFields(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(client.Conversation{Kind: client.KindGroup, Title: "G"}, "bob")
	s.Until("the row is there", func() bool { return len(m.Items()) == 1 })
	c := s.open(id)
	chat, group, titled, settings := m.NewChat(), m.NewGroup(), m.NewGroup(), c.Settings()
	chat.Submit(" ")
	group.Submit("", []string{"a"})
	titled.Submit("t", nil)
	settings.Rename(" ")
	for i, p := range []string{chat.Problem(), group.Problem(), titled.Problem(), settings.Problem()} {
		if p == "" {
			t.Errorf("form %d takes nothing for an answer", i)
		}
	}
	if calls := s.session.Calls(); slices.ContainsFunc(calls, func(c string) bool { return !strings.HasPrefix(c, "MarkRead") }) {
		t.Errorf("calls %v", calls)
	}
}

func TestDialogsDoAndOpen(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	chat := m.NewChat()
	done := false
	chat.OnDone = func() { done = true }
	chat.Submit(" bob ")
	s.Until("it is done", func() bool { return done })
	if c := m.Current(); c == nil || c.Info().Title != "bob" {
		t.Fatal("the new conversation is not open")
	}
	group := m.NewGroup()
	group.Submit("Choir", []string{"bob", "erik"})
	s.Until("the group is open", func() bool { return m.Current().Info().Title == "Choir" })
	c := m.Current()
	s.Until("its members are read", func() bool { return len(c.Members()) == 3 })
	settings := c.Settings()
	settings.Remove(c.Members()[1].AccountID)
	s.Until("one is gone", func() bool { return len(c.Members()) == 2 })
	settings.Rename("Band")
	s.Until("it is renamed", func() bool { return c.Info().Title == "Band" })
	settings.Leave()
	s.Until("it has been left", func() bool { return !c.CanWrite() })
	c.Send("too late")
	s.Drain()
	if calls := s.session.Calls(); slices.Contains(calls, "Sendtoo late") {
		t.Error("wrote into a conversation that was left")
	}
}

func TestContactsAreOffered(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	s.session.AddConversation(direct("bob", noon), "bob", "bernd", "carla")
	chat := m.NewChat()
	read := false
	chat.OnContacts = func() { read = true }
	s.Until("contacts are read", func() bool { return read })
	if n := len(chat.Contacts("B")); n != 2 {
		t.Errorf("%d contacts begin with b", n)
	}
}

func TestResyncReadsEverythingAnew(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	id := s.session.AddConversation(direct("bob", noon), "bob")
	s.Until("the row is there", func() bool { return len(m.Items()) == 1 })
	c := s.open(id)
	resets := 0
	c.OnReset = func() { resets++ }
	s.session.Emit(client.Resync{})
	s.Until("it is read again", func() bool { return resets == 1 })
}

func TestUnreadableListIsToldOf(t *testing.T) {
	s := newStage(t)
	s.session.Fail("Conversations", errors.New("disk"))
	s.sdk.Profile = true
	s.app.Start()
	problem := ""
	s.app.OnScreen = func(screen controller.Screen) {
		if screen == controller.ScreenMain {
			s.app.Main.OnProblem = func(sentence string) { problem = sentence }
		}
	}
	s.app.Unlock.Submit("x")
	s.Until("there is a problem", func() bool { return problem != "" })
}

// TestViewFollowsAnyOrderOfEvents replays random additions, confirmations and
// changes: the rows that the callbacks describe are always the controller's.
func TestViewFollowsAnyOrderOfEvents(t *testing.T) {
	s := newStage(t)
	m := s.toMain()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		id := s.session.AddConversation(direct(fmt.Sprint("c", run), noon), "bob")
		s.Until("the row is there", func() bool { _, ok := m.Find(fmt.Sprint("c", run)); return ok })
		c := s.open(id)
		view := follow(c)
		var sent []client.Message
		order := uint64(run) << 20
		steps := rapid.IntRange(1, 30).Draw(t, "steps")
		for i := range steps {
			order += 10
			if len(sent) == 0 || rapid.Bool().Draw(t, "add") {
				msg := client.Message{SenderName: "bob", Text: fmt.Sprint(i), Position: client.Position{Order: order, ID: int64(order)}}
				if rapid.Bool().Draw(t, "mine") {
					msg.Mine, msg.State = true, client.StateQueued
					msg.Position.Order += 1 << 40
				}
				sent = append(sent, s.session.AddMessage(id, msg))
				continue
			}
			msg := &sent[rapid.IntRange(0, len(sent)-1).Draw(t, "which")]
			if msg.State == client.StateQueued {
				msg.State, msg.Position.Order = client.StateSent, order
			}
			s.session.ChangeMessage(*msg)
		}
		s.session.AddMessage(id, client.Message{SenderName: "bob", Text: "end", Position: client.Position{Order: 1 << 50, ID: 1}})
		s.Until("all has arrived", func() bool { return c.Len() > 0 && c.Row(c.Len()-1).Text == "end" })
		if c.Len() != len(sent)+1 || len(view.rows) != c.Len() {
			t.Fatalf("%d sent, %d in the controller, %d in the view", len(sent)+1, c.Len(), len(view.rows))
		}
		for i, r := range view.rows {
			if now := c.Row(i); r.ID != now.ID || r.State != now.State {
				t.Fatalf("row %d: the view has %+v, the controller %+v", i, r, now)
			}
		}
	})
}
