package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"quicprochat/core/client"
)

// Main is the conversations: the list, the one that is open, and the state of
// the connection.
type Main struct {
	// OnList is called when the rows of the list changed.
	OnList func()
	// OnBanner is called when the state of the connection changed.
	OnBanner func()
	// OnOpen is called when another conversation was opened, or none is open.
	OnOpen func()
	// OnProblem is called with a sentence when something the user asked for failed.
	OnProblem func(sentence string)

	// OnRole is called when the account's role on the server is another one.
	OnRole func()

	onDeleted func(notice string)
	role      client.Role

	loop    Loop
	session Session
	cancel  func()
	stopped bool

	all        map[client.ConversationID]client.Conversation
	sorted     []client.Conversation
	loaded     bool
	filter     string
	connection client.ConnectionChanged
	tick       func()
	active     bool
	open       *Conversation
	drafts     map[client.ConversationID]string
	recent     []client.Message // newest last, for Seen
}

func newMain(loop Loop, s Session) *Main {
	return &Main{
		loop: loop, session: s, active: true,
		all: map[client.ConversationID]client.Conversation{}, drafts: map[client.ConversationID]string{},
	}
}

// eventBatch is how many events are handled in one go.
const eventBatch = 256

func (m *Main) start() {
	events, cancel := m.session.Subscribe()
	m.cancel = cancel
	m.setConnection(m.session.Connection())
	m.loop.Go(func() {
		for e := range events {
			batch := []client.Event{e}
			for len(batch) < eventBatch && len(events) > 0 {
				if more, ok := <-events; ok {
					batch = append(batch, more)
				}
			}
			m.loop.UI(func() { m.handle(batch) })
		}
	})
	m.reload()
}

func (m *Main) stop() {
	m.stopped = true
	if m.cancel != nil {
		m.cancel()
	}
	if m.tick != nil {
		m.tick()
	}
}

// Me is whose conversations these are.
func (m *Main) Me() client.Me { return m.session.Me() }

// Loaded says whether the list has been read.
func (m *Main) Loaded() bool { return m.loaded }

func (m *Main) reload() {
	background(m.loop, func() ([]client.Conversation, error) {
		return m.session.Conversations(context.Background())
	}, func(list []client.Conversation, err error) {
		if err != nil {
			m.problem(err)
			return
		}
		m.loaded = true
		clear(m.all)
		for _, c := range list {
			m.all[c.ID] = c
		}
		m.resort()
	})
}

func (m *Main) handle(batch []client.Event) {
	if m.stopped {
		return
	}
	resort := false
	for _, e := range batch {
		switch e := e.(type) {
		case client.ConnectionChanged:
			m.setConnection(e)
		case client.ConversationChanged:
			m.put(e.Conversation)
			resort = true
		case client.ConversationRemoved:
			delete(m.all, e.ID)
			resort = true
			if m.open != nil && m.open.ID() == e.ID {
				m.Close()
			}
		case client.MessageAdded:
			m.message(e.Message)
		case client.MessageChanged:
			m.message(e.Message)
		case client.Resync:
			m.reload()
			if m.open != nil {
				m.open.reload()
			}
		}
	}
	if resort {
		m.resort()
	}
}

func (m *Main) put(c client.Conversation) {
	m.all[c.ID] = c
	if m.open == nil || m.open.ID() != c.ID {
		return
	}
	m.open.setInfo(c)
	m.markRead()
}

func (m *Main) message(msg client.Message) {
	const most = 256
	m.recent = append(m.recent, msg)
	if len(m.recent) > 2*most {
		m.recent = slices.Clone(m.recent[len(m.recent)-most:])
	}
	if m.open != nil && m.open.ID() == msg.Conversation {
		m.open.put(msg)
	}
}

// Seen returns the newest state of a message with exactly that text that this
// run of the app was told of; conversation may be the zero id for any.
func (m *Main) Seen(conversation client.ConversationID, text string) (client.Message, bool) {
	for _, msg := range slices.Backward(m.recent) {
		if msg.Text == text && (conversation == client.ConversationID{} || conversation == msg.Conversation) {
			return msg, true
		}
	}
	return client.Message{}, false
}

// Recall reads the newest page of every conversation, so that Seen knows of
// what came before this run of the app.
func (m *Main) Recall(ctx context.Context) {
	for id := range m.all {
		background(m.loop, func() ([]client.Message, error) {
			return m.session.Messages(ctx, id, client.Page{Limit: pageSize})
		}, func(page []client.Message, err error) {
			if err == nil {
				m.recent = append(page, m.recent...)
			}
		})
	}
}

func (m *Main) resort() {
	m.sorted = m.sorted[:0]
	for _, c := range m.all {
		m.sorted = append(m.sorted, c)
	}
	slices.SortFunc(m.sorted, func(a, b client.Conversation) int {
		if a.Pinned != b.Pinned {
			if a.Pinned {
				return -1
			}
			return 1
		}
		if c := b.LastActivity.Compare(a.LastActivity); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	m.listChanged()
}

func (m *Main) listChanged() {
	if m.OnList != nil {
		m.OnList()
	}
}

// Current is the controller of the open conversation, or nil.
func (m *Main) Current() *Conversation { return m.open }

// Open opens a conversation of the list.
func (m *Main) Open(id client.ConversationID) {
	c, ok := m.all[id]
	if !ok || (m.open != nil && m.open.ID() == id) {
		return
	}
	m.keepDraft()
	m.open = newConversation(m, c)
	m.open.draft = m.drafts[id]
	if m.OnOpen != nil {
		m.OnOpen()
	}
	m.open.reload()
	m.markRead()
	m.listChanged()
}

// Reveal opens a conversation that was just made and may not be in the list yet.
func (m *Main) Reveal(c client.Conversation) {
	if _, ok := m.all[c.ID]; !ok {
		m.all[c.ID] = c
		m.resort()
	}
	m.Open(c.ID)
}

// Close closes the open conversation.
func (m *Main) Close() {
	if m.open == nil {
		return
	}
	m.keepDraft()
	m.open = nil
	if m.OnOpen != nil {
		m.OnOpen()
	}
	m.listChanged()
}

func (m *Main) keepDraft() {
	if m.open == nil {
		return
	}
	if m.open.draft == "" {
		delete(m.drafts, m.open.ID())
		return
	}
	m.drafts[m.open.ID()] = m.open.draft
}

// SetActive tells whether somebody is looking at the window; what arrives
// meanwhile stays unread if not.
func (m *Main) SetActive(on bool) {
	m.active = on
	m.markRead()
}

func (m *Main) markRead() {
	if m.open == nil || !m.active || m.all[m.open.ID()].Unread == 0 {
		return
	}
	id := m.open.ID()
	background(m.loop, func() (struct{}, error) {
		return struct{}{}, m.session.MarkRead(context.Background(), id)
	}, func(_ struct{}, err error) {
		c, ok := m.all[id]
		if err != nil || !ok || c.Unread == 0 {
			return
		}
		c.Unread = 0
		m.all[id] = c
		m.resort()
	})
}

// Connection is the state of the connection.
func (m *Main) Connection() client.ConnectionChanged { return m.connection }

// Banned says whether the server keeps this account out.
func (m *Main) Banned() bool { return errors.Is(m.connection.Err, client.ErrBanned) }

// Banner is what the connection banner says; empty for none.
func (m *Main) Banner() string { return bannerText(m.connection, m.loop.Now()) }

func (m *Main) setConnection(c client.ConnectionChanged) {
	if c.State == client.Online && (m.connection.State != client.Online || m.role == "") {
		m.askRole()
	}
	m.connection = c
	if m.tick != nil {
		m.tick()
		m.tick = nil
	}
	m.countDown()
}

// countDown repeats the banner every second while it names the seconds left.
func (m *Main) countDown() {
	if m.OnBanner != nil {
		m.OnBanner()
	}
	if m.stopped || m.connection.State != client.Offline || !m.connection.Retry.After(m.loop.Now()) {
		return
	}
	m.tick = m.loop.After(time.Second, m.countDown)
}

func (m *Main) problem(err error) {
	if err != nil && m.OnProblem != nil {
		m.OnProblem(client.UserMessage(err))
	}
}
