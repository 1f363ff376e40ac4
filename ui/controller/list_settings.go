package controller

import (
	"context"

	"quicprochat/core/client"
)

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
