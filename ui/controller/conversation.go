package controller

import (
	"context"
	"errors"
	"slices"
	"sync"

	"quicprochat/core/client"
)

// pageSize is how many messages are read at a time.
const pageSize = 60

// Conversation is the open conversation: its messages, as far as they have been
// read, and its draft. Older pages are read when the view asks for them.
type Conversation struct {
	// OnReset is called when all rows changed.
	OnReset func()
	// OnInserted, OnRemoved and OnChanged tell of n rows from index at on.
	OnInserted func(at, n int)
	// OnRemoved is called after rows have gone.
	OnRemoved func(at, n int)
	// OnChanged is called when rows look different.
	OnChanged func(at, n int)
	// OnSent is called when a message of one's own was put in.
	OnSent func()
	// OnInfo is called when the title, the state or the rights changed.
	OnInfo func()
	// OnMembers is called when the members have been read.
	OnMembers func()
	// OnDraft is called when the draft was changed by other means than the composer.
	OnDraft func()

	main    *Main
	id      client.ConversationID // read by background work, so kept apart from info
	info    client.Conversation
	rows    []client.Message
	index   map[client.MessageID]bool
	loaded  bool
	early   []client.Message // came before the first page
	paging  bool
	oldest  bool // there is nothing before rows[0]
	members []client.Member
	draft   string
	sentOK  int
	sentErr error
	outgoing
}

// outgoing keeps messages in the order in which they were sent.
type outgoing struct {
	mu      sync.Mutex
	queue   []string
	running bool
}

func newConversation(m *Main, c client.Conversation) *Conversation {
	return &Conversation{main: m, id: c.ID, info: c, index: map[client.MessageID]bool{}}
}

// ID is the conversation's id.
func (c *Conversation) ID() client.ConversationID { return c.id }

// Info is the conversation's row.
func (c *Conversation) Info() client.Conversation { return c.info }

// Hue is the conversation's colour.
func (c *Conversation) Hue() int { return conversationHue(c.info) }

// Group says whether this is a group.
func (c *Conversation) Group() bool { return c.info.Kind == client.KindGroup }

// CanWrite says whether one still takes part.
func (c *Conversation) CanWrite() bool { return c.info.State == client.StateActive }

// ReadOnly says why one cannot write; empty where one can.
func (c *Conversation) ReadOnly() string {
	switch c.info.State {
	case client.StateActive:
		return ""
	case client.StateBroken:
		return "You can write again as soon as the way back is found. That needs nothing from you."
	default:
		return "You can read this conversation, but no longer write into it."
	}
}

// Loaded says whether the first page has been read.
func (c *Conversation) Loaded() bool { return c.loaded }

// Members are those last read.
func (c *Conversation) Members() []client.Member { return c.members }

// Subtitle is the line below the title.
func (c *Conversation) Subtitle() string {
	switch {
	case !c.CanWrite():
		return preview(client.Conversation{State: c.info.State})
	case c.info.Blocked:
		return "Blocked"
	case !c.Group():
		return "Direct conversation"
	case len(c.members) == 0:
		return "Group"
	default:
		return plural(len(c.members), "member")
	}
}

// Draft is the text in the composer.
func (c *Conversation) Draft() string { return c.draft }

// SetDraft notes what the composer holds.
func (c *Conversation) SetDraft(text string) { c.draft = text }

// Type puts a text into the composer.
func (c *Conversation) Type(text string) {
	c.draft = text
	if c.OnDraft != nil {
		c.OnDraft()
	}
}

func (c *Conversation) current() bool { return c.main.open == c && !c.main.stopped }

func (c *Conversation) setInfo(info client.Conversation) {
	changed := info.Title != c.info.Title || info.State != c.info.State || info.CanManage != c.info.CanManage ||
		info.Blocked != c.info.Blocked || info.Muted != c.info.Muted
	c.info = info
	if changed && c.OnInfo != nil {
		c.OnInfo()
	}
}

// reload reads the newest page and the members.
func (c *Conversation) reload() {
	background(c.main.loop, func() ([]client.Message, error) {
		return c.main.session.Messages(context.Background(), c.ID(), client.Page{Limit: pageSize})
	}, func(page []client.Message, err error) {
		if !c.current() {
			return
		}
		if err != nil {
			c.main.problem(err)
			return
		}
		c.rows, c.loaded, c.oldest = page, true, len(page) < pageSize
		clear(c.index)
		for _, m := range page {
			c.index[m.ID] = true
		}
		early := c.early
		c.early = nil
		if c.OnReset != nil {
			c.OnReset()
		}
		for _, m := range early {
			c.put(m)
		}
	})
	c.loadMembers()
}

func (c *Conversation) loadMembers() {
	background(c.main.loop, func() ([]client.Member, error) {
		return c.main.session.Members(context.Background(), c.ID())
	}, func(members []client.Member, err error) {
		if err != nil || !c.current() {
			return
		}
		c.members = members
		if c.OnMembers != nil {
			c.OnMembers()
		}
	})
}

// LoadOlder reads the page before the oldest row, if there is one and it is not
// being read already.
func (c *Conversation) LoadOlder() {
	if c.paging || c.oldest || len(c.rows) == 0 {
		return
	}
	c.paging = true
	before := c.rows[0].Position
	background(c.main.loop, func() ([]client.Message, error) {
		return c.main.session.Messages(context.Background(), c.ID(), client.Page{Before: before, Limit: pageSize})
	}, func(page []client.Message, err error) {
		c.paging = false
		if err != nil || !c.current() {
			c.main.problem(err)
			return
		}
		c.oldest = len(page) < pageSize
		page = slices.DeleteFunc(page, func(m client.Message) bool { return c.index[m.ID] })
		if len(page) == 0 {
			return
		}
		for _, m := range page {
			c.index[m.ID] = true
		}
		c.rows = append(page, c.rows...)
		if c.OnInserted != nil {
			c.OnInserted(0, len(page))
		}
	})
}

// put takes a message that is new or has changed.
func (c *Conversation) put(m client.Message) {
	if !c.loaded {
		c.early = append(c.early, m)
		return
	}
	if c.index[m.ID] {
		c.replace(m)
	} else if c.oldest || len(c.rows) == 0 || m.Position.Compare(c.rows[0].Position) > 0 {
		c.insert(m)
	}
	if m.Kind == client.KindEvent {
		c.loadMembers()
	}
}

func (c *Conversation) insert(m client.Message) {
	at, _ := slices.BinarySearchFunc(c.rows, m, func(a, b client.Message) int { return a.Position.Compare(b.Position) })
	c.rows = slices.Insert(c.rows, at, m)
	c.index[m.ID] = true
	if c.OnInserted != nil {
		c.OnInserted(at, 1)
	}
	if m.Mine && m.State != client.StateSent && c.OnSent != nil {
		c.OnSent()
	}
}

func (c *Conversation) replace(m client.Message) {
	// What changes is nearly always among the newest.
	at := len(c.rows) - 1
	for at >= 0 && c.rows[at].ID != m.ID {
		at--
	}
	if at < 0 {
		return
	}
	inPlace := (at == 0 || c.rows[at-1].Position.Compare(m.Position) < 0) &&
		(at == len(c.rows)-1 || m.Position.Compare(c.rows[at+1].Position) < 0)
	if inPlace {
		c.rows[at] = m
		if c.OnChanged != nil {
			c.OnChanged(at, 1)
		}
		return
	}
	c.rows = slices.Delete(c.rows, at, at+1)
	if c.OnRemoved != nil {
		c.OnRemoved(at, 1)
	}
	delete(c.index, m.ID)
	c.insert(m)
}

// Send sends a text. Texts go out in the order in which they came here.
func (c *Conversation) Send(text string) {
	if text == "" || !c.CanWrite() {
		return
	}
	c.draft, c.sentErr = "", nil
	c.mu.Lock()
	c.queue = append(c.queue, text)
	start := !c.running
	c.running = true
	c.mu.Unlock()
	if start {
		c.main.loop.Go(c.sendAll)
	}
}

func (c *Conversation) sendAll() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.running = false
			c.mu.Unlock()
			return
		}
		text := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		m, err := c.main.session.Send(context.Background(), c.ID(), text)
		c.main.loop.UI(func() { c.sent(text, m, err) })
	}
}

// sent shows the message at once, or gives a refused text back.
func (c *Conversation) sent(text string, m client.Message, err error) {
	c.sentErr = err
	if err != nil {
		c.main.problem(err)
		if c.current() && c.draft == "" {
			c.Type(text)
		}
		return
	}
	c.sentOK++
	if c.current() && !c.index[m.ID] { // the event may have been faster, and newer
		c.put(m)
	}
}

// Sent is how many messages this controller has handed to the client.
func (c *Conversation) Sent() int { return c.sentOK }

// SendError says, for a person, why the client refused the last message; nil if
// it did not.
func (c *Conversation) SendError() error {
	if c.sentErr == nil {
		return nil
	}
	return errors.New(client.UserMessage(c.sentErr))
}

// Retry sends a failed message again.
func (c *Conversation) Retry(id client.MessageID) {
	background(c.main.loop, func() (struct{}, error) {
		return struct{}{}, c.main.session.Retry(context.Background(), c.ID(), id)
	}, func(_ struct{}, err error) { c.main.problem(err) })
}
