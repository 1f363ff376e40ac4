package vault

import (
	"time"
)

// ConversationKind tells what a conversation is. The numbers are stored.
type ConversationKind uint8

// The kinds of conversation.
const (
	ConversationDirect ConversationKind = 1
	ConversationGroup  ConversationKind = 2
)

// ConversationState tells whether one can write. The numbers are stored.
type ConversationState uint8

// The states of a conversation.
const (
	ConversationActive  ConversationState = 1
	ConversationLeft    ConversationState = 2 // left of one's own will
	ConversationRemoved ConversationState = 3 // removed by somebody else
)

// Conversation is a conversation and all that a list of them shows.
type Conversation struct {
	// ID is the MLS group id, which is the channel id too.
	ID   [16]byte
	Kind ConversationKind
	// Title is the group's name; for ConversationDirect whatever the caller
	// wants to show.
	Title string
	// PeerID is the other account of a ConversationDirect, otherwise zero.
	PeerID    [16]byte
	State     ConversationState
	CreatedAt time.Time
	// Data is the caller's own, opaque to this package.
	Data []byte

	// The following are kept by the package, and ignored by PutConversation.

	// LastActivity is when the last message was received or written, and
	// CreatedAt where there is none.
	LastActivity time.Time
	// Unread counts the unread messages.
	Unread int
	// Last describes the message with the highest Position; nil where there
	// is none.
	Last *Preview
}

// Preview is the part of a conversation's last message that a list shows.
type Preview struct {
	MessageID [16]byte
	Sender    [16]byte
	Kind      MessageKind
	State     MessageState
	// Text is the start of a MessageText's body, at most 160 characters, and
	// the whole body of any other kind.
	Text string
}

// previewLength is in characters.
const previewLength = 160

const conversationColumns = `id, kind, title, peer_id, state, created_at, data, last_activity, unread,
	last_message_id, last_sender, last_kind, last_state, last_text`

func scanConversation(row scanner) (Conversation, error) {
	var c Conversation
	var p Preview
	var kind, state *uint8
	var text *string
	err := row.Scan(id16{&c.ID}, &c.Kind, &c.Title, id16{&c.PeerID}, &c.State, millis{&c.CreatedAt}, &c.Data,
		millis{&c.LastActivity}, &c.Unread, id16{&p.MessageID}, id16{&p.Sender}, &kind, &state, &text)
	if err == nil && kind != nil && state != nil && text != nil {
		p.Kind, p.State, p.Text = MessageKind(*kind), MessageState(*state), *text
		c.Last = &p
	}
	return c, err
}

// PutConversation inserts the conversation, or updates Kind, Title, PeerID,
// State and Data of the one with its ID.
func (tx *Tx) PutConversation(c Conversation) error {
	var peer []byte
	if c.PeerID != ([16]byte{}) {
		peer = c.PeerID[:]
	}
	created := toMillis(c.CreatedAt)
	_, err := tx.exec(`INSERT INTO conversations (id, kind, title, peer_id, state, created_at, data, last_activity)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, title = excluded.title,
			peer_id = excluded.peer_id, state = excluded.state, data = excluded.data`,
		c.ID[:], c.Kind, c.Title, peer, c.State, created, c.Data, created)
	return err
}

// Conversation returns the conversation with the id, or ErrNotFound.
func (tx *Tx) Conversation(id [16]byte) (Conversation, error) {
	return queryOne(tx, scanConversation, `SELECT `+conversationColumns+` FROM conversations WHERE id = ?`, id[:])
}

// DirectConversation returns the active ConversationDirect with the account,
// the most recently used where there are several, or ErrNotFound.
func (tx *Tx) DirectConversation(peer [16]byte) (Conversation, error) {
	return queryOne(tx, scanConversation, `SELECT `+conversationColumns+` FROM conversations
		WHERE peer_id = ? AND kind = ? AND state = ? ORDER BY last_activity DESC LIMIT 1`,
		peer[:], ConversationDirect, ConversationActive)
}

// Conversations returns all conversations, newest activity first.
func (tx *Tx) Conversations() ([]Conversation, error) {
	return queryAll(tx, scanConversation, conversationList)
}

const conversationList = `SELECT ` + conversationColumns + ` FROM conversations ORDER BY last_activity DESC, id`

// DeleteConversation deletes the conversation with its messages and its outbox
// items. The records of its MLS group stay: see DeleteMLS. An unknown
// conversation is no error.
func (tx *Tx) DeleteConversation(id [16]byte) error {
	if _, err := tx.exec(`DELETE FROM outbox WHERE conversation = ?`, id[:]); err != nil {
		return err
	}
	_, err := tx.exec(`DELETE FROM conversations WHERE id = ?`, id[:]) // messages cascade
	return err
}

// refreshSummary makes the preview and activity of a conversation those of its
// last message, after m was written. added: there is one more unread message;
// unread: m is one.
// The subquery is one step down an index.
func (tx *Tx) refreshSummary(m *Message, added, unread bool) error {
	from := uint64(orderUnsent)
	if unread {
		from = m.Position.Order
	}
	_, err := tx.exec(refreshSummary, m.Conversation[:], added, MessageText, previewLength, int64(from))
	return err
}

const refreshSummary = `UPDATE conversations SET unread = unread + ?2,
	unread_from = CASE unread WHEN 0 THEN ?5 ELSE min(unread_from, ?5) END,
	(last_message_id, last_sender, last_kind, last_state, last_text, last_activity) = (
		SELECT message_id, sender, kind, state,
			CASE kind WHEN ?3 THEN substr(body, 1, ?4) ELSE body END,
			max(created_at, CASE received_at WHEN 0 THEN sent_at ELSE received_at END)
		FROM messages WHERE conversation = ?1 ORDER BY ord DESC, id DESC LIMIT 1)
	WHERE id = ?1`
