package vault

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"
)

// MessageKind tells what a message is. The numbers are stored; a caller may
// add kinds of its own.
type MessageKind uint8

// The kinds of message.
const (
	MessageText  MessageKind = 1
	MessageEvent MessageKind = 2 // somebody joined, left, renamed …
)

// MessageState tells how far a message got. The numbers are stored.
type MessageState uint8

// The states of a message. Queued and failed ones are unsent: they stand
// behind all others.
const (
	MessageQueued   MessageState = 1
	MessageSent     MessageState = 2
	MessageFailed   MessageState = 3
	MessageReceived MessageState = 4
)

func (s MessageState) unsent() bool { return s == MessageQueued || s == MessageFailed }

// Message is one row of a conversation.
type Message struct {
	// ID is local, set by InsertMessage, and never changes.
	ID           int64
	Conversation [16]byte
	// MessageID is the same on all devices and in every retry.
	MessageID [16]byte
	Sender    [16]byte
	Kind      MessageKind
	// Body is UTF-8.
	Body string
	// SentAt is by the sender's clock. Times are kept to the millisecond.
	SentAt time.Time
	// ReceivedAt is when it came in or, for one's own, was written; SentAt
	// stands in where it is zero. It gives the conversation's LastActivity.
	ReceivedAt time.Time
	// Seq is the position in the channel, 0 while not known.
	Seq   uint64
	State MessageState
	// Unread messages count in Conversation.Unread until MarkRead.
	Unread bool
	// Error says why a MessageFailed failed.
	Error string
	// Position is where it stands in the conversation: set by the package,
	// changed by UpdateMessage when Seq becomes known.
	Position Position
}

// Position orders the messages of a conversation: by channel sequence where it
// is known. What has none, such as an event that only this device knows of,
// stands behind what was known when it was inserted. Unsent messages come
// last, as they were written. The zero Position stands before all messages.
type Position struct {
	Order uint64
	ID    int64
}

// orderUnsent stands behind every channel sequence.
const orderUnsent = math.MaxInt64

// EndPosition stands behind all messages.
func EndPosition() Position { return Position{Order: orderUnsent, ID: math.MaxInt64} }

// IsZero reports whether p is the zero Position.
func (p Position) IsZero() bool { return p == Position{} }

// Compare returns -1, 0 or 1 as p stands before, at or behind q.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Order, q.Order), cmp.Compare(p.ID, q.ID))
}

// bind returns the values of the columns ord and id.
func (p Position) bind() (order, id int64) { return int64(min(p.Order, orderUnsent)), p.ID }

// Page selects a stretch of messages. With Before, or with neither, those
// nearest before Before or the end; with After alone, those nearest behind it;
// with both, those between, nearest to After.
type Page struct {
	Before, After Position
	// Limit is the largest number of messages; 0 means 50.
	Limit int
}

const defaultPage = 50

const messageColumns = `id, conversation, message_id, sender, kind, body, sent_at, received_at, seq, state, unread, error, ord`

func scanMessage(row scanner) (Message, error) {
	var m Message
	err := row.Scan(&m.ID, id16{&m.Conversation}, id16{&m.MessageID}, id16{&m.Sender}, &m.Kind, &m.Body,
		millis{&m.SentAt}, millis{&m.ReceivedAt}, &m.Seq, &m.State, &m.Unread, &m.Error, &m.Position.Order)
	m.Position.ID = m.ID
	return m, err
}

// InsertMessage inserts the message, sets its ID and Position, and brings the
// conversation's preview, activity and unread count up to date. ErrDuplicate:
// the conversation has a message with this MessageID; ErrNotFound: there is no
// such conversation; ErrInvalid: the body is not UTF-8 or Seq is above 2^63-2.
func (tx *Tx) InsertMessage(m *Message) error {
	if err := m.check(); err != nil {
		return err
	}
	if _, err := queryOne(tx, scanInt, `SELECT 1 FROM conversations WHERE id = ?`, m.Conversation[:]); err != nil {
		return err
	}
	order, err := tx.order(m, 0)
	if err != nil {
		return err
	}
	res, err := tx.exec(`INSERT INTO messages
		(conversation, message_id, sender, kind, body, sent_at, received_at, seq, state, unread, error, ord)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (message_id, conversation) DO NOTHING`,
		m.Conversation[:], m.MessageID[:], m.Sender[:], m.Kind, m.Body, toMillis(m.SentAt), toMillis(m.ReceivedAt),
		int64(m.Seq), m.State, m.Unread, m.Error, int64(order))
	if err != nil {
		return err
	}
	if res.changed == 0 {
		return fmt.Errorf("%w: message %x", ErrDuplicate, m.MessageID)
	}
	m.ID = res.rowID
	m.Position = Position{Order: order, ID: m.ID}
	return tx.refreshSummary(m, m.Unread, m.Unread)
}

// UpdateMessage writes Body, ReceivedAt, Seq, State and Error of the message
// with m.ID, sets m.Position anew and brings the conversation's preview up to
// date. Nothing else changes. ErrNotFound: there is no such message.
func (tx *Tx) UpdateMessage(m *Message) error {
	if err := m.check(); err != nil {
		return err
	}
	old, err := queryOne(tx, scanMessage, `SELECT `+messageColumns+` FROM messages WHERE id = ?`, m.ID)
	if err != nil {
		return err
	}
	if old.Conversation != m.Conversation {
		return fmt.Errorf("%w: message %d is of another conversation", ErrInvalid, m.ID)
	}
	order, err := tx.order(m, old.Position.Order)
	if err != nil {
		return err
	}
	_, err = tx.exec(`UPDATE messages SET body = ?, received_at = ?, seq = ?, state = ?, error = ?, ord = ? WHERE id = ?`,
		m.Body, toMillis(m.ReceivedAt), int64(m.Seq), m.State, m.Error, int64(order), m.ID)
	if err != nil {
		return err
	}
	m.Position = Position{Order: order, ID: m.ID}
	return tx.refreshSummary(m, false, old.Unread)
}

func (m *Message) check() error {
	if m.Seq >= orderUnsent {
		return fmt.Errorf("%w: channel sequence %d", ErrInvalid, m.Seq)
	}
	if !utf8.ValidString(m.Body) {
		return fmt.Errorf("%w: message body is not UTF-8", ErrInvalid)
	}
	return nil
}

// order computes the message's Position.Order; old is what it had, 0 for none.
func (tx *Tx) order(m *Message, old uint64) (uint64, error) {
	switch {
	case m.Seq != 0:
		return m.Seq, nil
	case m.State.unsent():
		return orderUnsent, nil
	case old != 0 && old != orderUnsent:
		return old, nil
	}
	newest, err := queryOne(tx, scanInt, newestOrder, m.Conversation[:], int64(orderUnsent))
	return uint64(newest), err
}

const newestOrder = `SELECT coalesce(max(ord), 0) FROM messages WHERE conversation = ? AND ord < ?`

// MessageByID returns the message of the conversation, or ErrNotFound.
func (tx *Tx) MessageByID(conversation, messageID [16]byte) (Message, error) {
	return queryOne(tx, scanMessage, `SELECT `+messageColumns+` FROM messages
		WHERE message_id = ? AND conversation = ?`, messageID[:], conversation[:])
}

// OwnMessage returns the message that was written on this device, whatever its
// conversation, or ErrNotFound. Messages in state MessageReceived are not
// considered: other people could choose their ids.
func (tx *Tx) OwnMessage(messageID [16]byte) (Message, error) {
	return queryOne(tx, scanMessage, `SELECT `+messageColumns+` FROM messages
		WHERE message_id = ? AND state <> ? LIMIT 1`, messageID[:], MessageReceived)
}

const (
	messagesBefore = `SELECT ` + messageColumns + ` FROM messages
		WHERE conversation = ? AND (ord, id) < (?, ?) ORDER BY ord DESC, id DESC LIMIT ?`
	messagesAfter = `SELECT ` + messageColumns + ` FROM messages
		WHERE conversation = ? AND (ord, id) > (?, ?) AND (ord, id) < (?, ?) ORDER BY ord, id LIMIT ?`
)

// Messages returns a page of the conversation, ascending by Position.
func (tx *Tx) Messages(conversation [16]byte, page Page) ([]Message, error) {
	limit, before, after := page.Limit, page.Before, page.After
	if limit <= 0 {
		limit = defaultPage
	}
	if before.IsZero() {
		before = EndPosition()
	}
	beforeOrder, beforeID := before.bind()
	if !after.IsZero() {
		afterOrder, afterID := after.bind()
		return queryAll(tx, scanMessage, messagesAfter, conversation[:],
			afterOrder, afterID, beforeOrder, beforeID, limit)
	}
	list, err := queryAll(tx, scanMessage, messagesBefore, conversation[:], beforeOrder, beforeID, limit)
	slices.Reverse(list)
	return list, err
}

// MarkRead marks the conversation's messages up to and including the position
// as read and returns how many were not. Its cost grows with the number of
// messages behind the first unread one, not with the length of the conversation.
func (tx *Tx) MarkRead(conversation [16]byte, upTo Position) (int, error) {
	order, id := upTo.bind()
	res, err := tx.exec(markRead, conversation[:], order, id)
	if err != nil || res.changed == 0 {
		return 0, err
	}
	_, err = tx.exec(`UPDATE conversations SET unread = unread - ?, unread_from = ? WHERE id = ?`, res.changed, order, conversation[:])
	return int(res.changed), err
}

const markRead = `UPDATE messages SET unread = 0
	WHERE conversation = ?1 AND ord >= (SELECT unread_from FROM conversations WHERE id = ?1)
		AND (ord, id) <= (?2, ?3) AND unread = 1`
