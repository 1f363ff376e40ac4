package client

import (
	"context"
	"errors"
	"slices"

	"quicprochat/core/vault"
)

// maxPage bounds what one call of Messages returns.
const maxPage = 500

// Conversations lists all: pinned ones first, then by newest activity.
func (c *Client) Conversations(ctx context.Context) ([]Conversation, error) {
	var rows []vault.Conversation
	err := c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		rows, err = tx.Conversations()
		return err
	})
	if err != nil {
		return nil, c.closedOr(err)
	}
	list := make([]Conversation, len(rows))
	for i, row := range rows {
		list[i] = c.summary(row)
	}
	slices.SortStableFunc(list, func(a, b Conversation) int {
		switch {
		case a.Pinned == b.Pinned:
			return 0
		case a.Pinned:
			return -1
		}
		return 1
	})
	return list, nil
}

// Conversation is one of them, or ErrUnknownConversation.
func (c *Client) Conversation(ctx context.Context, id ConversationID) (Conversation, error) {
	var row vault.Conversation
	err := c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		row, err = tx.Conversation(id)
		return err
	})
	if errors.Is(err, vault.ErrNotFound) {
		return Conversation{}, ErrUnknownConversation
	} else if err != nil {
		return Conversation{}, c.closedOr(err)
	}
	return c.summary(row), nil
}

// summary is a conversation's row as readers see it.
func (c *Client) summary(row vault.Conversation) Conversation {
	s := Conversation{
		ID: row.ID, Kind: Kind(row.Kind), Title: row.Title, Peer: row.PeerID,
		LastActivity: row.LastActivity, Unread: row.Unread, CanManage: canManage(row),
		Muted: c.shared.has(sharedMuted, row.ID), Pinned: c.shared.has(sharedPinned, row.ID),
		Blocked: row.Kind == vault.ConversationDirect && c.shared.has(sharedBlocked, row.PeerID),
	}
	switch row.State {
	case vault.ConversationLeft:
		s.State = StateLeft
	case vault.ConversationRemoved:
		s.State = StateRemoved
	case stateBroken:
		s.State = StateBroken
	default:
		s.State = StateActive
	}
	if last := row.Last; last != nil {
		s.Preview = last.Text
		s.PreviewFromMe = last.Kind == vault.MessageText && last.Sender == c.self.account()
		s.PreviewSender = c.people.name(last.Sender)
		if last.Kind == vault.MessageEvent {
			s.PreviewEvent = c.people.event(last.Text)
			s.Preview = s.PreviewEvent.sentence()
		}
	}
	return s
}

// Messages is a page of a conversation, oldest first.
func (c *Client) Messages(ctx context.Context, id ConversationID, p Page) ([]Message, error) {
	v, err := c.find(id)
	if err != nil {
		return nil, err
	}
	page := vault.Page{Before: vault.Position(p.Before), After: vault.Position(p.After), Limit: min(p.Limit, maxPage)}
	var rows []vault.Message
	err = c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		rows, err = tx.Messages(id, page)
		return err
	})
	if err != nil {
		return nil, c.closedOr(err)
	}
	sending := v.sending()
	list := make([]Message, len(rows))
	for i, row := range rows {
		list[i] = c.message(row, sending[row.MessageID])
	}
	return list, nil
}

// sending is which messages are on their way to the server right now.
func (v *conversation) sending() map[MessageID]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ids map[MessageID]bool
	for _, out := range v.outbox {
		if out.sending || out.answered {
			if ids == nil {
				ids = make(map[MessageID]bool)
			}
			ids[out.MessageID] = true
		}
	}
	return ids
}

// message is a row as readers see it.
func (c *Client) message(row vault.Message, sending bool) Message {
	m := Message{
		ID: row.MessageID, Conversation: row.Conversation, Position: Position(row.Position),
		Kind: MessageKind(row.Kind), Mine: row.Kind == vault.MessageText && row.Sender == c.self.account(),
		Sender: row.Sender, SenderName: c.people.name(row.Sender),
		Text: row.Body, SentAt: row.SentAt, Err: row.Error,
	}
	switch row.State {
	case vault.MessageQueued:
		if m.State = StateQueued; sending {
			m.State = StateSending
		}
	case vault.MessageSent:
		m.State = StateSent
	case vault.MessageFailed:
		m.State = StateFailed
	default:
		m.State = StateReceived
	}
	if row.Kind == vault.MessageEvent {
		m.Event = c.people.event(row.Body)
		m.Text = m.Event.sentence()
	}
	return m
}

// MarkRead sets the unread count of a conversation to zero.
func (c *Client) MarkRead(ctx context.Context, id ConversationID) error {
	v, err := c.find(id)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	var row vault.Conversation
	err = c.vault.View(ctx, func(tx *vault.Tx) (err error) {
		row, err = tx.Conversation(id)
		return err
	})
	if err != nil || row.Unread == 0 {
		return c.closedOr(err)
	}
	err = c.vault.Update(ctx, func(tx *vault.Tx) (err error) {
		if _, err = tx.MarkRead(id, vault.EndPosition()); err != nil {
			return err
		}
		row, err = tx.Conversation(id)
		return err
	})
	if err == nil {
		c.events.publish(ConversationChanged{c.summary(row)})
	}
	return c.closedOr(err)
}
