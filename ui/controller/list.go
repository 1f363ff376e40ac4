package controller

import (
	"context"
	"strings"

	"quicprochat/core/client"
)

// ConversationItem is one row of the conversation list.
type ConversationItem struct {
	ID       client.ConversationID
	Title    string
	Preview  string
	Time     string
	Unread   int
	Hue      int
	Group    bool
	Ended    bool
	Selected bool
	// Pinned and Muted are what the person has set; Person is who can be blocked,
	// the zero id in a group, and Blocked whether that is done.
	Pinned, Muted bool
	Person        client.AccountID
	Blocked       bool
}

// Items are the rows of the list: those that the search leaves, the pinned ones
// before the others, newest first.
func (m *Main) Items() []ConversationItem {
	now := m.loop.Now()
	items := make([]ConversationItem, 0, len(m.sorted))
	for _, c := range m.sorted {
		if m.filter != "" && !strings.Contains(strings.ToLower(c.Title), m.filter) {
			continue
		}
		i := Item(c)
		i.Time, i.Selected = ListTime(c.LastActivity, now), m.open != nil && m.open.ID() == c.ID
		items = append(items, i)
	}
	return items
}

// Item is a conversation as a row of the list, without what depends on the time
// and on what is open.
func Item(c client.Conversation) ConversationItem {
	return ConversationItem{
		ID: c.ID, Title: c.Title, Preview: preview(c), Unread: c.Unread,
		Hue: conversationHue(c), Group: c.Kind == client.KindGroup, Ended: c.State != client.StateActive,
		Pinned: c.Pinned, Muted: c.Muted, Person: c.Peer, Blocked: c.Blocked,
	}
}

// conversationHue gives a direct chat the colour of the person.
func conversationHue(c client.Conversation) int {
	if c.Kind == client.KindDirect {
		return Hue(c.Peer)
	}
	return Hue(c.ID)
}

// Empty says whether there is no conversation at all, searched or not.
func (m *Main) Empty() bool { return m.loaded && len(m.all) == 0 }

// Unread is the number of unread messages in all conversations that are not muted.
func (m *Main) Unread() int {
	n := 0
	for _, c := range m.all {
		if !c.Muted {
			n += c.Unread
		}
	}
	return n
}

// Search leaves the conversations whose title has that text in it.
func (m *Main) Search(text string) {
	m.filter = strings.ToLower(strings.TrimSpace(text))
	m.listChanged()
}

// Filtered says whether a search is on.
func (m *Main) Filtered() bool { return m.filter != "" }

// Find is the conversation with that title, whatever its case.
func (m *Main) Find(title string) (client.ConversationID, bool) {
	for _, c := range m.sorted {
		if strings.EqualFold(c.Title, title) {
			return c.ID, true
		}
	}
	return client.ConversationID{}, false
}

// SetMuted silences a conversation of the list or not.
func (m *Main) SetMuted(id client.ConversationID, on bool) {
	m.set(func(ctx context.Context) error { return m.session.SetMuted(ctx, id, on) })
}

// SetPinned puts a conversation before those that are not pinned.
func (m *Main) SetPinned(id client.ConversationID, on bool) {
	m.set(func(ctx context.Context) error { return m.session.SetPinned(ctx, id, on) })
}

// Unblock takes the invitations of a person again.
func (m *Main) Unblock(account client.AccountID) {
	m.set(func(ctx context.Context) error { return m.session.SetBlocked(ctx, account, false) })
}

// set changes something of which the client tells by an event.
func (m *Main) set(work func(context.Context) error) {
	background(m.loop, func() (struct{}, error) {
		return struct{}{}, work(context.Background())
	}, func(_ struct{}, err error) { m.problem(err) })
}
