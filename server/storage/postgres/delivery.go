package postgres

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// delivery is one item for one queue.
type delivery struct {
	queue storage.QueueID
	seal  storage.SealFunc
}

// sealError: a caller's SealFunc failed.
type sealError struct{ err error }

func (e *sealError) Error() string { return "seal queue item: " + e.err.Error() }
func (e *sealError) Unwrap() error { return e.err }

// mailbox is the state of a queue while its row is locked.
type mailbox struct {
	number     int64
	lastSeq    uint64
	items      int
	bytes      int64
	overflowed bool
	oldestDay  *int64
	touched    bool
}

// flushBytes bounds what a dispatch holds in memory, but for the last item,
// and again what one call hands out; flushRows bounds the rows of a statement.
const (
	flushBytes = 1 << 20
	flushRows  = 2000
)

// dispatch appends items to queues.
type dispatch struct {
	tx        *tx
	limits    storage.Limits
	mailboxes map[storage.QueueID]*mailbox
	touched   []*mailbox

	// rows for queue_items that are not written yet, and their bytes
	queues, seqs, days []int64
	sealed             [][]byte
	bytes              int
}

// loadMailboxes locks the queues of all deliveries.
func (d *dispatch) loadMailboxes(lists [][]delivery) error {
	d.mailboxes = make(map[storage.QueueID]*mailbox)
	var ids [][]byte
	for _, list := range lists {
		for i := range list {
			queue := &list[i].queue
			if _, ok := d.mailboxes[*queue]; !ok {
				d.mailboxes[*queue] = nil
				ids = append(ids, queue[:])
			}
		}
	}
	if len(ids) == 0 {
		return nil
	}
	states := make([]mailbox, 0, len(ids)) // one allocation for all
	err := d.tx.each(func(rows pgx.Rows) error {
		var m mailbox
		var id storage.QueueID
		if err := rows.Scan((*id16)(&id), &m.number, &m.lastSeq, &m.items, &m.bytes, &m.overflowed, &m.oldestDay); err != nil {
			return err
		}
		states = append(states, m)
		d.mailboxes[id] = &states[len(states)-1]
		return nil
	}, `SELECT id, number, last_seq, items, bytes, overflowed, oldest_day FROM queues
		WHERE number = ANY(ARRAY(SELECT number FROM queues WHERE id = ANY($1))) ORDER BY number FOR NO KEY UPDATE`, ids)
	if err != nil {
		return fmt.Errorf("load queues: %w", err)
	}
	return nil
}

// deliver appends items to queues, in order, and returns what each got. Queues
// that do not exist are passed over. A queue that is full gets an overflow
// mark in place of the first item that it loses.
func (d *dispatch) deliver(deliveries []delivery, channelSeq uint64, now time.Time) ([]storage.Appended, error) {
	all := make([]storage.Appended, 0, len(deliveries))
	places := make(map[*mailbox]int, len(deliveries))
	kept := 0
	for _, one := range deliveries {
		m := d.mailboxes[one.queue]
		if m == nil {
			continue
		}
		item, err := d.append(m, one, channelSeq, int64(storage.DayOf(now)))
		if err != nil {
			return nil, err
		}
		if item.Seq == 0 {
			continue
		}
		if i, twice := places[m]; twice {
			all[i].Item = storage.Item{}
			continue
		}
		if kept += len(item.Sealed); kept > flushBytes {
			item = storage.Item{}
		}
		places[m] = len(all)
		all = append(all, storage.Appended{Queue: one.queue, Item: item})
	}
	return all, nil
}

// append gives an item to a queue and returns what the queue got; seq 0:
// nothing.
func (d *dispatch) append(m *mailbox, one delivery, channelSeq uint64, day int64) (storage.Item, error) {
	if m.items >= d.limits.QueueItems {
		return d.overflow(m, day)
	}
	sealed, err := one.seal(one.queue, m.lastSeq+1, channelSeq)
	if err != nil {
		return storage.Item{}, &sealError{err}
	}
	if m.bytes+int64(len(sealed)) > d.limits.QueueBytes {
		return d.overflow(m, day)
	}
	m.overflowed = false
	m.bytes += int64(len(sealed))
	return d.add(m, storage.Item{Sealed: blob(sealed)}, day)
}

// overflow marks the end of a full queue, once.
func (d *dispatch) overflow(m *mailbox, day int64) (storage.Item, error) {
	if m.overflowed {
		return storage.Item{}, nil
	}
	m.overflowed = true
	return d.add(m, storage.Item{Overflow: true}, day)
}

func (d *dispatch) add(m *mailbox, item storage.Item, day int64) (storage.Item, error) {
	if m.items == 0 {
		m.oldestDay = &day
	}
	if !m.touched {
		m.touched = true
		d.touched = append(d.touched, m)
	}
	m.lastSeq++
	m.items++
	item.Seq, item.ReceivedAt = m.lastSeq, time.Unix(day, 0)
	d.queues = append(d.queues, m.number)
	d.seqs = append(d.seqs, int64(m.lastSeq))
	d.days = append(d.days, day)
	d.sealed = append(d.sealed, item.Sealed) // nil, and so NULL, for an overflow mark
	d.bytes += len(item.Sealed)
	if len(d.queues) < flushRows && d.bytes < flushBytes {
		return item, nil
	}
	var q pgx.Batch
	d.flush(&q)
	if err := d.tx.run(&q); err != nil {
		return storage.Item{}, fmt.Errorf("append queue items: %w", err)
	}
	return item, nil
}

// flush queues the statement for the rows that were collected.
func (d *dispatch) flush(q *pgx.Batch) {
	if len(d.queues) == 0 {
		return
	}
	q.Queue(`INSERT INTO queue_items (queue, seq, day, sealed) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])`,
		d.queues, d.seqs, d.days, d.sealed)
	d.queues, d.seqs, d.days, d.sealed, d.bytes = nil, nil, nil, nil, 0
}

// store queues the statements for all that is not written yet.
func (d *dispatch) store(q *pgx.Batch) {
	d.flush(q)
	n := len(d.touched)
	if n == 0 {
		return
	}
	numbers, seqs, items := make([]int64, n), make([]int64, n), make([]int64, n)
	bytes, overflowed, oldest := make([]int64, n), make([]bool, n), make([]*int64, n)
	for i, m := range d.touched {
		numbers[i], seqs[i], items[i] = m.number, int64(m.lastSeq), int64(m.items)
		bytes[i], overflowed[i], oldest[i] = m.bytes, m.overflowed, m.oldestDay
	}
	q.Queue(`UPDATE queues AS q SET last_seq = n.last_seq, items = n.items, bytes = n.bytes, overflowed = n.overflowed, oldest_day = n.oldest_day
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[]) AS n (number, last_seq, items, bytes, overflowed, oldest_day)
		WHERE q.number = n.number AND q.number = ANY($1)`, numbers, seqs, items, bytes, overflowed, oldest)
}
