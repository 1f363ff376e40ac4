package drive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

// commands are what a script can say.
var commands = map[string]func(*Driver, Command) (Reply, error){
	"register":          func(d *Driver, c Command) (Reply, error) { return d.account(c, false) },
	"login":             func(d *Driver, c Command) (Reply, error) { return d.account(c, true) },
	"unlock":            unlock,
	"host":              host,
	"start_direct":      startDirect,
	"create_group":      createGroup,
	"open":              open,
	"add":               add,
	"remove":            remove,
	"rename":            rename,
	"leave":             leave,
	"members":           members,
	"type":              typeText,
	"send":              send,
	"wait_message":      waitMessage,
	"wait_conversation": waitConversation,
	"wait_members":      waitMembers,
	"wait_online":       waitOnline,
	"recover":           recoverAccount,
	"change_password":   changePassword,
	"recovery_code":     recoveryCode,
	"delete_account":    deleteAccount,
	"mute":              func(d *Driver, c Command) (Reply, error) { return d.mute(c, true) },
	"unmute":            func(d *Driver, c Command) (Reply, error) { return d.mute(c, false) },
	"pin":               func(d *Driver, c Command) (Reply, error) { return d.pin(c, true) },
	"unpin":             func(d *Driver, c Command) (Reply, error) { return d.pin(c, false) },
	"block":             block,
	"unblock":           unblock,
	"report":            report,
	"theme":             setTheme,
	"screenshot":        screenshot,
	"state":             state,
	"quit":              func(*Driver, Command) (Reply, error) { return nil, errQuit },
}

var (
	errNoMain = errors.New("the conversations are not on the screen")
	errNoOpen = errors.New("no conversation is open")
)

// account goes from the welcome screen through the account screen.
func (d *Driver) account(c Command, login bool) (Reply, error) {
	const (
		begin = iota
		probing
		submitted
	)
	stage := begin
	return d.until(c, "the account", func() (Reply, bool, error) {
		w, a := d.App.Welcome, d.App.Account
		switch {
		case stage == begin && !slices.Contains([]controller.Screen{controller.ScreenWelcome, controller.ScreenAccount, controller.ScreenRecover}, d.App.Screen()):
			return nil, false, fmt.Errorf("the screen is %s", d.App.Screen())
		case stage == begin:
			d.App.Back()
			d.App.Back()
			w.SetLink(c.Link)
			w.Continue()
			stage = probing
		}
		if stage == probing {
			if w.Problem() != "" {
				return nil, false, errors.New(w.Problem())
			}
			if d.App.Screen() != controller.ScreenAccount {
				return nil, false, nil
			}
			stage = submitted
			a.SetLogIn(login)
			a.Submit(c.Name, c.Password, c.Password)
		}
		if problem := firstOf(a.NameProblem(), a.PasswordProblem(), a.AgainProblem(), a.Problem()); problem != "" && !a.Busy() {
			return nil, false, errors.New(problem)
		}
		return nil, d.entered(), nil
	})
}

func firstOf(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}

func (d *Driver) entered() bool {
	return d.App.Screen() == controller.ScreenMain && d.App.Main.Loaded()
}

func unlock(d *Driver, c Command) (Reply, error) {
	started := false
	return d.until(c, "the profile to unlock", func() (Reply, bool, error) {
		u := d.App.Unlock
		if !started {
			if d.App.Screen() != controller.ScreenUnlock {
				return nil, false, fmt.Errorf("the screen is %s", d.App.Screen())
			}
			started = true
			u.Submit(c.Password)
		}
		if !u.Busy() && u.Problem() != "" {
			return nil, false, errors.New(u.Problem())
		}
		return nil, d.entered(), nil
	})
}

func host(d *Driver, c Command) (Reply, error) {
	started, before := false, ""
	return d.until(c, "the server to start", func() (Reply, bool, error) {
		h := d.App.Hosting
		if !started {
			if h.Busy() { // it is starting again by itself
				return nil, false, nil
			}
			started, before = true, h.Link()
			if h.Running() {
				h.Invite()
			} else {
				h.Start()
			}
		}
		if h.Busy() {
			return nil, false, nil
		}
		if h.Problem() != "" {
			return nil, false, errors.New(h.Problem())
		}
		return Reply{"link": h.Link()}, h.Link() != before, nil
	})
}

func (d *Driver) main() (*controller.Main, error) {
	if !d.entered() {
		return nil, errNoMain
	}
	return d.App.Main, nil
}

func (d *Driver) current() (*controller.Conversation, error) {
	m, err := d.main()
	if err != nil {
		return nil, err
	}
	if m.Current() == nil {
		return nil, errNoOpen
	}
	return m.Current(), nil
}

func startDirect(d *Driver, c Command) (Reply, error) {
	return d.form(c, func() (*controller.Form, error) {
		m, err := d.main()
		if err != nil {
			return nil, err
		}
		n := m.NewChat()
		n.Submit(c.Name)
		return &n.Form, nil
	})
}

func createGroup(d *Driver, c Command) (Reply, error) {
	return d.form(c, func() (*controller.Form, error) {
		m, err := d.main()
		if err != nil {
			return nil, err
		}
		n := m.NewGroup()
		n.Submit(c.Title, c.Names)
		return &n.Form, nil
	})
}

// change runs something of the open conversation's settings.
func (d *Driver) change(c Command, f func(*controller.Settings) error) (Reply, error) {
	return d.form(c, func() (*controller.Form, error) {
		open, err := d.current()
		if err != nil {
			return nil, err
		}
		s := open.Settings()
		if err := f(s); err != nil {
			return nil, err
		}
		return &s.Form, nil
	})
}

func add(d *Driver, c Command) (Reply, error) {
	return d.change(c, func(s *controller.Settings) error { s.Add(c.Names); return nil })
}

func remove(d *Driver, c Command) (Reply, error) {
	return d.change(c, func(s *controller.Settings) error {
		for _, m := range s.Conversation().Members() {
			if m.Name == c.Name {
				s.Remove(m.AccountID)
				return nil
			}
		}
		return fmt.Errorf("%s is not a member", c.Name)
	})
}

func rename(d *Driver, c Command) (Reply, error) {
	return d.change(c, func(s *controller.Settings) error { s.Rename(c.Title); return nil })
}

func leave(d *Driver, c Command) (Reply, error) {
	return d.change(c, func(s *controller.Settings) error { s.Leave(); return nil })
}

func open(d *Driver, c Command) (Reply, error) {
	return d.until(c, "the conversation "+c.Title, func() (Reply, bool, error) {
		m, err := d.main()
		if err != nil {
			return nil, false, err
		}
		id, ok := m.Find(c.Title)
		if !ok {
			return nil, false, nil
		}
		m.Open(id)
		return nil, m.Current() != nil && m.Current().ID() == id && m.Current().Loaded(), nil
	})
}

func members(d *Driver, c Command) (Reply, error) { return d.members(c, 1) }

func waitMembers(d *Driver, c Command) (Reply, error) { return d.members(c, c.Count) }

// members waits until the open conversation has that many members, or any
// where least is 1, and lists them.
func (d *Driver) members(c Command, count int) (Reply, error) {
	return d.until(c, "the members", func() (Reply, bool, error) {
		open, err := d.current()
		if err != nil {
			return nil, false, err
		}
		list := []Reply{}
		for _, m := range open.Members() {
			list = append(list, Reply{"name": m.Name, "admin": m.Admin, "me": m.Me, "devices": m.Devices})
		}
		return Reply{"members": list}, len(list) > 0 && (count <= 1 || len(list) == count), nil
	})
}

func typeText(d *Driver, c Command) (Reply, error) {
	return d.now(func() (Reply, error) {
		open, err := d.current()
		if err != nil {
			return nil, err
		}
		open.Type(c.Text)
		return nil, nil
	})
}

// send answers as soon as the message is in the conversation.
func send(d *Driver, c Command) (Reply, error) {
	var open *controller.Conversation
	before := 0
	return d.until(c, "the message in the conversation", func() (Reply, bool, error) {
		if open == nil {
			var err error
			if open, err = d.current(); err != nil {
				return nil, false, err
			}
			if !open.CanWrite() {
				return nil, false, errors.New(client.UserMessage(client.ErrNotMember))
			}
			before = open.Sent()
			open.Type("")
			open.Send(strings.TrimSpace(c.Text))
		}
		return nil, open.Sent() > before, open.SendError()
	})
}

var messageStates = map[string]func(client.MessageState) bool{
	"":         func(client.MessageState) bool { return true },
	"waiting":  func(s client.MessageState) bool { return s == client.StateQueued || s == client.StateSending },
	"sent":     func(s client.MessageState) bool { return s == client.StateSent },
	"received": func(s client.MessageState) bool { return s == client.StateReceived },
	"failed":   func(s client.MessageState) bool { return s == client.StateFailed },
}

// waitMessage waits for a message with that text, new or already there.
func waitMessage(d *Driver, c Command) (Reply, error) {
	wanted, ok := messageStates[c.State]
	if !ok {
		return nil, fmt.Errorf("there is no message state %q", c.State)
	}
	reading := false
	return d.until(c, fmt.Sprintf("the message %q", c.Text), func() (Reply, bool, error) {
		m, err := d.main()
		if err != nil {
			return nil, false, err
		}
		var in client.ConversationID
		if c.Conversation != "" {
			id, ok := m.Find(c.Conversation)
			if !ok {
				return nil, false, nil
			}
			in = id
		}
		if !reading { // it may have come before this app started
			reading = true
			m.Recall(context.Background())
		}
		msg, ok := m.Seen(in, c.Text)
		if !ok || !wanted(msg.State) {
			return nil, false, nil
		}
		return Reply{"from": msg.SenderName, "mine": msg.Mine, "sent_at": msg.SentAt}, true, nil
	})
}

func waitConversation(d *Driver, c Command) (Reply, error) {
	return d.until(c, "the conversation "+c.Title, func() (Reply, bool, error) {
		m, err := d.main()
		if err != nil {
			return nil, false, err
		}
		_, ok := m.Find(c.Title)
		return nil, ok, nil
	})
}

func waitOnline(d *Driver, c Command) (Reply, error) {
	return d.until(c, "the connection", func() (Reply, bool, error) {
		m, err := d.main()
		if err != nil {
			return nil, false, err
		}
		return nil, m.Connection().State == client.Online, nil
	})
}

func setTheme(d *Driver, c Command) (Reply, error) {
	return d.now(func() (Reply, error) {
		switch c.Theme {
		case "light", "dark", "system":
			d.App.SetTheme(c.Theme)
			return nil, nil
		default:
			return nil, fmt.Errorf("there is no theme %q", c.Theme)
		}
	})
}

func state(d *Driver, _ Command) (Reply, error) {
	return d.now(func() (Reply, error) {
		r := Reply{"screen": string(d.App.Screen())}
		m := d.App.Main
		if m == nil {
			return r, nil
		}
		r["me"], r["connection"], r["banner"] = m.Me().Name, m.Connection().State.String(), m.Banner()
		list := []Reply{}
		for _, i := range m.Items() {
			list = append(list, Reply{"title": i.Title, "preview": i.Preview, "unread": i.Unread, "group": i.Group, "ended": i.Ended})
		}
		r["conversations"] = list
		if c := m.Current(); c != nil {
			r["open"], r["messages"], r["draft"] = c.Info().Title, c.Len(), c.Draft()
		}
		return r, nil
	})
}
