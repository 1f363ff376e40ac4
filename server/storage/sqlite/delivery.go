package sqlite

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"quicprochat/server/storage"
)

// delivery is one item for one queue.
type delivery struct {
	queue storage.QueueID
	seal  storage.SealFunc
}

// mailbox is the state of a queue while items are appended to it.
type mailbox struct {
	number     int64
	lastSeq    uint64
	items      int
	bytes      int64
	overflowed bool
	oldestDay  sql.NullInt64
	aged       bool // oldestDay changed
	// appended is what the queue got; nil: nothing.
	appended *storage.Appended
}

// chunkSizes are how many rows one statement handles: few statements to
// prepare, and few runs of them for many rows.
var chunkSizes = [...]int{64, 16, 4, 2, 1}

// chunks calls f with how many of n rows to handle next, until all are.
func chunks(n int, f func(from, to int) error) error {
	for from := 0; from < n; {
		for _, size := range chunkSizes {
			if from+size <= n {
				if err := f(from, from+size); err != nil {
					return err
				}
				from += size
				break
			}
		}
	}
	return nil
}

// placeholders repeats a row of a VALUES or IN list.
func placeholders(row string, n int) string {
	return strings.TrimSuffix(strings.Repeat(row+",", n), ",")
}

// deliver appends items to queues, in order, and returns what each got. Queues that do not exist are passed over. A queue that is full gets an
// overflow mark in place of the first item that it loses.
func (t *tx) deliver(deliveries []delivery, channelSeq uint64, now time.Time, limits storage.Limits) ([]storage.Appended, error) {
	mailboxes, err := t.loadMailboxes(deliveries)
	if err != nil {
		return nil, err
	}
	a := appender{tx: t, day: int64(storage.DayOf(now)), limits: limits}
	all := make([]storage.Appended, 0, len(deliveries))
	touched := make([]*mailbox, 0, len(deliveries))
	for _, d := range deliveries {
		m, ok := mailboxes[d.queue]
		if !ok {
			continue
		}
		item, err := a.append(m, d, channelSeq)
		if err != nil {
			return nil, err
		}
		switch {
		case item == nil:
		case m.appended != nil:
			m.appended.Item = storage.Item{}
		default:
			all = append(all, storage.Appended{Queue: d.queue, Item: a.keep(*item)})
			m.appended = &all[len(all)-1]
			touched = append(touched, m)
		}
	}
	if err := a.flush(); err != nil {
		return nil, err
	}
	return all, t.storeMailboxes(touched)
}

func (t *tx) loadMailboxes(deliveries []delivery) (map[storage.QueueID]*mailbox, error) {
	mailboxes := make(map[storage.QueueID]*mailbox, len(deliveries))
	states := make([]mailbox, 0, len(deliveries)) // one allocation for all
	err := chunks(len(deliveries), func(from, to int) error {
		args := make([]any, 0, to-from)
		for i := range deliveries[from:to] {
			args = append(args, deliveries[from+i].queue[:])
		}
		return t.each(func(rows *sql.Rows) error {
			var m mailbox
			var id sql.RawBytes
			if err := rows.Scan(&m.number, &id, &m.lastSeq, &m.items, &m.bytes, &m.overflowed, &m.oldestDay); err != nil {
				return err
			}
			queue := storage.QueueID(id)
			if mailboxes[queue] == nil {
				states = append(states, m)
				mailboxes[queue] = &states[len(states)-1]
			}
			return nil
		}, `SELECT number, id, last_seq, items, bytes, overflowed, oldest_day FROM queues WHERE id IN (`+placeholders("?", to-from)+`)`, args...)
	})
	if err != nil {
		return nil, fmt.Errorf("load queues: %w", err)
	}
	return mailboxes, nil
}

// storeMailboxes writes the state of queues after appending.
func (t *tx) storeMailboxes(touched []*mailbox) error {
	err := chunks(len(touched), func(from, to int) error {
		args := make([]any, 0, 5*(to-from))
		for _, m := range touched[from:to] {
			args = append(args, m.number, int64(m.lastSeq), m.items, m.bytes, m.overflowed)
		}
		_, err := t.exec(`WITH new (number, last_seq, items, bytes, overflowed) AS (VALUES `+placeholders("(?,?,?,?,?)", to-from)+`)
			UPDATE queues SET last_seq = new.last_seq, items = new.items, bytes = new.bytes, overflowed = new.overflowed
			FROM new WHERE queues.number = new.number`, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf("store queues: %w", err)
	}
	// apart from the rest, because it is indexed and seldom changes
	for _, m := range touched {
		if !m.aged {
			continue
		}
		if _, err := t.exec(`UPDATE queues SET oldest_day = ? WHERE number = ?`, m.oldestDay, m.number); err != nil {
			return fmt.Errorf("store age of queue: %w", err)
		}
	}
	return nil
}

// appender collects rows for queue_items and inserts them many at a time.
type appender struct {
	tx     *tx
	day    int64
	limits storage.Limits
	args   []any
	rows   int
	bytes  int // of rows
	kept   int // bytes of the items that are handed out
}

// flushBytes bounds what an appender holds in memory, but for the last item,
// and again what it hands out.
const flushBytes = 1 << 20

// keep is the item where it may stay in memory, otherwise none.
func (a *appender) keep(item storage.Item) storage.Item {
	if a.kept+len(item.Sealed) > flushBytes {
		return storage.Item{}
	}
	a.kept += len(item.Sealed)
	return item
}

// append gives an item to a queue and returns what the queue got, or nil.
func (a *appender) append(m *mailbox, d delivery, channelSeq uint64) (*storage.Item, error) {
	if m.lastSeq >= maxSeq {
		return nil, nil
	}
	if m.items >= a.limits.QueueItems {
		return a.overflow(m)
	}
	sealed, err := d.seal(d.queue, m.lastSeq+1, channelSeq)
	if err != nil {
		return nil, fmt.Errorf("seal queue item: %w", err)
	}
	if m.bytes+int64(len(sealed)) > a.limits.QueueBytes {
		return a.overflow(m)
	}
	m.overflowed = false
	m.bytes += int64(len(sealed))
	return a.add(m, storage.Item{Sealed: blob(sealed)})
}

// overflow marks the end of a full queue, once.
func (a *appender) overflow(m *mailbox) (*storage.Item, error) {
	if m.overflowed {
		return nil, nil
	}
	m.overflowed = true
	return a.add(m, storage.Item{Overflow: true})
}

func (a *appender) add(m *mailbox, item storage.Item) (*storage.Item, error) {
	if today := (sql.NullInt64{Int64: a.day, Valid: true}); m.items == 0 && m.oldestDay != today {
		m.oldestDay, m.aged = today, true
	}
	m.lastSeq++
	m.items++
	item.Seq, item.ReceivedAt = m.lastSeq, time.Unix(a.day, 0)
	var value any
	if !item.Overflow {
		value = item.Sealed
	}
	a.args = append(a.args, position(m.number, m.lastSeq), a.day, value)
	a.rows++
	a.bytes += len(item.Sealed)
	if a.rows < chunkSizes[0] && a.bytes < flushBytes {
		return &item, nil
	}
	return &item, a.flush()
}

// flush inserts the rows that were collected.
func (a *appender) flush() error {
	err := chunks(a.rows, func(from, to int) error {
		_, err := a.tx.exec(`INSERT INTO queue_items (position, day, sealed) VALUES `+placeholders("(?,?,?)", to-from), a.args[3*from:3*to]...)
		return err
	})
	if err != nil {
		return fmt.Errorf("append queue items: %w", err)
	}
	clear(a.args)
	a.args, a.rows, a.bytes = a.args[:0], 0, 0
	return nil
}
