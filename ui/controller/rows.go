package controller

import (
	"hash/fnv"
	"time"

	"quicprochat/core/client"
)

// runGap is how far apart two messages of a sender may be and still be shown
// as one run.
const runGap = 5 * time.Minute

// RowState is how far a message of one's own has come, as the view shows it.
type RowState uint8

const (
	// RowPlain shows nothing: the message is somebody else's.
	RowPlain RowState = iota
	// RowWaiting is not at the server yet.
	RowWaiting
	// RowSent is at the server.
	RowSent
	// RowFailed was refused.
	RowFailed
)

// Row is a message with what its neighbours make of it.
type Row struct {
	ID      client.MessageID
	Event   bool
	Mine    bool
	Day     string // the day that begins with this row, else empty
	Text    string
	Time    string
	Sender  string
	Hue     int
	State   RowState
	Problem string
	// First and Last tell where in a run of one sender the message is.
	First, Last bool
	// Group says whether senders need telling apart.
	Group bool
}

// Variant is different for rows of one message that look different.
func (r Row) Variant() uint32 {
	v := uint32(r.State)
	for i, b := range []bool{r.First, r.Last, r.Day != ""} {
		if b {
			v |= 1 << (4 + i)
		}
	}
	if r.Day != "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(r.Day))
		v |= h.Sum32() << 8
	}
	return v
}

// Len is the number of rows that have been read.
func (c *Conversation) Len() int { return len(c.rows) }

// Row is row i. It looks at the neighbours only.
func (c *Conversation) Row(i int) Row {
	m, now := c.rows[i], c.main.loop.Now()
	r := Row{
		ID: m.ID, Event: m.Kind == client.KindEvent, Mine: m.Mine, Text: m.Text, Sender: m.SenderName,
		Hue: Hue(m.Sender), Time: m.SentAt.In(now.Location()).Format("15:04"), Problem: m.Err, Group: c.Group(),
		First: i == 0 || !sameRun(c.rows[i-1], m, now),
		Last:  i == len(c.rows)-1 || !sameRun(m, c.rows[i+1], now),
		State: rowState(m),
	}
	if r.Event {
		r.Text = EventText(m.Event, m.Text)
	}
	if i == 0 || daysAgo(c.rows[i-1].SentAt, now) != daysAgo(m.SentAt, now) {
		r.Day = DayLabel(m.SentAt, now)
	}
	return r
}

func rowState(m client.Message) RowState {
	switch m.State {
	case client.StateQueued, client.StateSending:
		return RowWaiting
	case client.StateSent:
		return RowSent
	case client.StateFailed:
		return RowFailed
	default:
		return RowPlain
	}
}

// sameRun says whether b continues what the sender of a was saying.
func sameRun(a, b client.Message, now time.Time) bool {
	return a.Kind == client.KindText && b.Kind == client.KindText && a.Mine == b.Mine && a.Sender == b.Sender &&
		b.SentAt.Sub(a.SentAt) < runGap && daysAgo(a.SentAt, now) == daysAgo(b.SentAt, now)
}
