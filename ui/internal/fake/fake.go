// Package fake stands in for the client and the server in the tests of the user
// interface: conversations in memory, errors on demand, and a loop that a test
// turns by hand.
package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"quicprochat/core/client"
)

// Session is a controller.Session in memory. Every call fails with the error
// that Fail set for its name, if any.
type Session struct {
	Name string

	mu            sync.Mutex
	fail          map[string]error
	calls         []string
	now           time.Time
	connection    client.ConnectionChanged
	conversations []client.Conversation
	messages      map[client.ConversationID][]client.Message
	members       map[client.ConversationID][]client.Member
	contacts      []client.Contact
	blocked       map[client.AccountID]bool
	subscribers   []chan client.Event
	nextID        uint64
	closed        bool
	password      string
	role          client.Role
	reports       []client.Report
	banned        []client.Banned
}

// NewSession makes an empty session that is online.
func NewSession(name string, now time.Time) *Session {
	return &Session{
		Name: name, now: now, password: Password, role: client.RoleUser, fail: map[string]error{}, blocked: map[client.AccountID]bool{}, connection: client.ConnectionChanged{State: client.Online},
		messages: map[client.ConversationID][]client.Message{}, members: map[client.ConversationID][]client.Member{},
	}
}

// ID makes an id from a name.
func ID(name string) [16]byte {
	var id [16]byte
	copy(id[:], name)
	for i, r := range []byte(name) {
		id[0] += r * byte(i+3)
		id[1] += r
	}
	return id
}

// Fail makes the named call fail from now on; nil ends that.
func (s *Session) Fail(call string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[call] = err
}

// Calls are the calls that changed something, in order.
func (s *Session) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Closed says whether Close was called.
func (s *Session) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Session) call(name string, args ...any) error {
	if args != nil {
		s.calls = append(s.calls, fmt.Sprint(append([]any{name}, args...)...))
	}
	return s.fail[name]
}

// Emit sends an event to all subscribers.
func (s *Session) Emit(e client.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emit(e)
}

func (s *Session) emit(e client.Event) {
	if c, ok := e.(client.ConnectionChanged); ok {
		s.connection = c
	}
	for _, ch := range s.subscribers {
		ch <- e
	}
}

// AddConversation puts a conversation in.
func (s *Session) AddConversation(c client.Conversation, members ...string) client.ConversationID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.ID == (client.ConversationID{}) {
		c.ID = client.ConversationID(ID("conversation " + c.Title))
	}
	if c.Kind == client.KindDirect {
		c.Peer = client.AccountID(ID(c.Title))
	}
	s.conversations = append(s.conversations, c)
	s.members[c.ID] = append(s.members[c.ID], client.Member{AccountID: client.AccountID(ID(s.Name)), Name: s.Name, Admin: true, Me: true, Devices: 1})
	for _, m := range members {
		s.members[c.ID] = append(s.members[c.ID], client.Member{AccountID: client.AccountID(ID(m)), Name: m, Devices: 1})
		s.contacts = append(s.contacts, client.Contact{AccountID: client.AccountID(ID(m)), Name: m})
	}
	s.emit(client.ConversationChanged{Conversation: c})
	return c.ID
}

// Update changes a conversation and tells of it.
func (s *Session) Update(id client.ConversationID, f func(*client.Conversation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.update(id, f)
}

func (s *Session) update(id client.ConversationID, f func(*client.Conversation)) {
	for i := range s.conversations {
		if s.conversations[i].ID == id {
			f(&s.conversations[i])
			s.emit(client.ConversationChanged{Conversation: s.conversations[i]})
		}
	}
}

// AddMessage puts a message of sender in and tells of it. Its id, position and
// time are made up where missing.
func (s *Session) AddMessage(id client.ConversationID, m client.Message) client.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addMessage(id, m)
}

func (s *Session) addMessage(id client.ConversationID, m client.Message) client.Message {
	s.nextID++
	m.Conversation = id
	if m.ID == (client.MessageID{}) {
		m.ID = client.MessageID(ID(fmt.Sprint("message", s.nextID)))
	}
	if m.Position == (client.Position{}) {
		m.Position = client.Position{Order: s.nextID, ID: int64(s.nextID)}
	}
	if m.Kind == 0 {
		m.Kind = client.KindText
	}
	if m.SentAt.IsZero() {
		m.SentAt = s.now
	}
	if m.Mine {
		m.SenderName = s.Name
	}
	m.Sender = client.AccountID(ID(m.SenderName))
	s.messages[id] = append(s.messages[id], m)
	s.emit(client.MessageAdded{Message: m})
	s.update(id, func(c *client.Conversation) {
		c.Preview, c.PreviewFromMe, c.PreviewSender, c.PreviewEvent = m.Text, m.Mine, m.SenderName, m.Event
		c.LastActivity = m.SentAt
		if !m.Mine {
			c.Unread++
		}
	})
	return m
}

// ChangeMessage replaces a message by id and tells of it.
func (s *Session) ChangeMessage(m client.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.messages[m.Conversation]
	for i := range list {
		if list[i].ID == m.ID {
			list[i] = m
		}
	}
	slices.SortStableFunc(list, func(a, b client.Message) int { return a.Position.Compare(b.Position) })
	s.emit(client.MessageChanged{Message: m})
}

// Close implements controller.Session.
func (s *Session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.call("Close")
}

// Me implements controller.Session.
func (s *Session) Me() client.Me {
	return client.Me{Name: s.Name, Server: "Garden", AccountID: client.AccountID(ID(s.Name)), DeviceName: "laptop"}
}

// Link implements controller.Session.
func (*Session) Link() client.Link { return client.Link{Host: "garden.example", Port: 4433} }

// Subscribe implements controller.Session.
func (s *Session) Subscribe() (<-chan client.Event, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan client.Event, 4096)
	s.subscribers = append(s.subscribers, ch)
	var once sync.Once
	return ch, func() {
		once.Do(func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.subscribers = slices.DeleteFunc(s.subscribers, func(c chan client.Event) bool { return c == ch })
			close(ch)
		})
	}
}

// Connection implements controller.Session.
func (s *Session) Connection() client.ConnectionChanged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connection
}

// Conversations implements controller.Session.
func (s *Session) Conversations(context.Context) ([]client.Conversation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conversations), s.call("Conversations")
}

// Messages implements controller.Session.
func (s *Session) Messages(_ context.Context, id client.ConversationID, p client.Page) ([]client.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Messages"); err != nil {
		return nil, err
	}
	list := s.messages[id]
	end := len(list)
	if p.Before != (client.Position{}) {
		end, _ = slices.BinarySearchFunc(list, p.Before, func(m client.Message, at client.Position) int { return m.Position.Compare(at) })
	}
	return slices.Clone(list[max(0, end-p.Limit):end]), nil
}

// Members implements controller.Session.
func (s *Session) Members(_ context.Context, id client.ConversationID) ([]client.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.members[id]), s.call("Members")
}

// Send implements controller.Session.
func (s *Session) Send(_ context.Context, id client.ConversationID, text string) (client.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Send", text); err != nil {
		return client.Message{}, err
	}
	return s.addMessage(id, client.Message{Mine: true, Text: text, State: client.StateQueued}), nil
}

// Retry implements controller.Session.
func (s *Session) Retry(context.Context, client.ConversationID, client.MessageID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.call("Retry", "")
}

// MarkRead implements controller.Session.
func (s *Session) MarkRead(_ context.Context, id client.ConversationID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("MarkRead", ""); err != nil {
		return err
	}
	s.update(id, func(c *client.Conversation) { c.Unread = 0 })
	return nil
}

// Contacts implements controller.Session.
func (s *Session) Contacts(context.Context) ([]client.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.contacts), s.call("Contacts")
}

// StartDirect implements controller.Session.
func (s *Session) StartDirect(_ context.Context, name string) (client.Conversation, error) {
	return s.create("StartDirect", client.Conversation{Kind: client.KindDirect, Title: name}, name)
}

// CreateGroup implements controller.Session.
func (s *Session) CreateGroup(_ context.Context, title string, names []string) (client.Conversation, error) {
	return s.create("CreateGroup", client.Conversation{Kind: client.KindGroup, Title: title, CanManage: true}, names...)
}

func (s *Session) create(call string, c client.Conversation, names ...string) (client.Conversation, error) {
	s.mu.Lock()
	err := s.call(call, c.Title, names)
	c.LastActivity = s.now
	s.mu.Unlock()
	if err != nil {
		return client.Conversation{}, err
	}
	c.ID = client.ConversationID(ID("conversation " + c.Title))
	s.AddConversation(c, names...)
	return c, nil
}

// AddMembers implements controller.Session.
func (s *Session) AddMembers(_ context.Context, id client.ConversationID, names []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("AddMembers", names); err != nil {
		return err
	}
	for _, n := range names {
		s.members[id] = append(s.members[id], client.Member{AccountID: client.AccountID(ID(n)), Name: n, Devices: 1})
	}
	return nil
}

// RemoveMember implements controller.Session.
func (s *Session) RemoveMember(_ context.Context, id client.ConversationID, account client.AccountID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("RemoveMember", ""); err != nil {
		return err
	}
	s.members[id] = slices.DeleteFunc(s.members[id], func(m client.Member) bool { return m.AccountID == account })
	return nil
}

// Rename implements controller.Session.
func (s *Session) Rename(_ context.Context, id client.ConversationID, title string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Rename", title); err != nil {
		return err
	}
	s.update(id, func(c *client.Conversation) { c.Title = title })
	return nil
}

// Leave implements controller.Session.
func (s *Session) Leave(_ context.Context, id client.ConversationID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.call("Leave", ""); err != nil {
		return err
	}
	s.update(id, func(c *client.Conversation) { c.State = client.StateLeft })
	return nil
}
