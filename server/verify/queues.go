package verify

import (
	"context"
	"database/sql"
	"slices"

	"quicprochat/server/check"
	"quicprochat/server/storage"
)

// queueState is a queue's row, and what its items say it should be.
type queueState struct {
	number, lastSeq, items, bytes int64
	overflowed                    bool
	oldestDay                     sql.NullInt64

	found, foundBytes int64
	next              int64 // the seq that the next item must have
	gap, older        bool
	lastIsMark        bool
}

// queueFaults counts queues and items by what is wrong with them.
type queueFaults struct {
	queues, items                     int64
	counts, bytes, gaps, marks, older int64
	sealed                            int64
}

// queues walks all queues with their items, in one order.
func (j *job) queues(ctx context.Context) error {
	stray, err := j.count(ctx, `SELECT count(*) FROM queue_items WHERE position >> 32 NOT IN (SELECT number FROM queues)`)
	if err != nil {
		return err
	}
	if stray > 0 {
		if err := j.say(check.Wrong, "%d × an item of a queue that is not there", stray); err != nil {
			return err
		}
	}
	var faults queueFaults
	var q *queueState
	err = j.each(ctx, func(rows *sql.Rows) error {
		var row queueState
		var id, sealed []byte
		var position, day sql.NullInt64
		if err := rows.Scan(&row.number, &id, &row.lastSeq, &row.items, &row.bytes, &row.overflowed, &row.oldestDay, &position, &day, &sealed); err != nil {
			return err
		}
		if q == nil || q.number != row.number {
			faults.add(q)
			q = &row
			q.next = q.lastSeq - q.items + 1
		}
		if position.Valid {
			faults.items++
			seq := position.Int64 & (1<<32 - 1)
			q.item(seq, day.Int64, sealed)
			if sealed != nil && !j.opens(id, uint64(seq), sealed) {
				faults.sealed++
			}
		}
		return ctx.Err()
	}, `SELECT q.number, q.id, q.last_seq, q.items, q.bytes, q.overflowed, q.oldest_day, i.position, i.day, i.sealed
		FROM queues q LEFT JOIN queue_items i ON i.position BETWEEN q.number << 32 AND (q.number << 32 | 4294967295) ORDER BY q.number, i.position`)
	if err != nil {
		return err
	}
	faults.add(q)
	return j.sayFaults(faults)
}

func (q *queueState) item(seq, day int64, sealed []byte) {
	q.gap = q.gap || seq != q.next
	q.next = seq + 1
	q.older = q.older || !q.oldestDay.Valid || day < q.oldestDay.Int64
	q.found++
	q.foundBytes += int64(len(sealed))
	q.lastIsMark = sealed == nil
}

func (f *queueFaults) add(q *queueState) {
	if q == nil {
		return
	}
	f.queues++
	for fault, there := range map[*int64]bool{
		&f.counts: q.found != q.items,
		&f.bytes:  q.foundBytes != q.bytes,
		&f.gaps:   q.gap && q.found == q.items,
		&f.marks:  q.overflowed != q.lastIsMark,
		&f.older:  q.older,
	} {
		if there {
			*fault++
		}
	}
}

func (j *job) opens(id []byte, seq uint64, sealed []byte) bool {
	if len(id) != len(storage.QueueID{}) {
		return false
	}
	_, err := j.Sealer.OpenItem(storage.QueueID(id), seq, sealed)
	return err == nil
}

func (j *job) sayFaults(f queueFaults) error {
	whole := true
	for _, fault := range []struct {
		n    int64
		text string
	}{
		{f.counts, "a queue that counts its items wrongly"},
		{f.bytes, "a queue that counts its bytes wrongly"},
		{f.gaps, "a queue whose positions have a gap"},
		{f.marks, "a queue that is wrong about whether items were lost"},
		{f.older, "a queue with an item older than it says"},
		{f.sealed, "an item that does not open under the key files: it was damaged, or the keys are not this database's"},
	} {
		if fault.n == 0 {
			continue
		}
		whole = false
		if err := j.say(check.Wrong, "%d × %s", fault.n, fault.text); err != nil {
			return err
		}
	}
	if !whole {
		return nil
	}
	return j.say(check.OK, "%d queues with %d items are in order, and every item opens under the key files", f.queues, f.items)
}

// posted looks for a position that two items of a channel have. It keeps the
// positions of one channel in memory.
func (j *job) posted(ctx context.Context) error {
	var channel, doubles int64
	var seqs []int64
	count := func() {
		slices.Sort(seqs)
		doubles += int64(len(seqs) - len(slices.Compact(seqs)))
		seqs = seqs[:0]
	}
	err := j.each(ctx, func(rows *sql.Rows) error {
		var of, seq int64
		if err := rows.Scan(&of, &seq); err != nil {
			return err
		}
		if of != channel {
			count()
			channel = of
		}
		seqs = append(seqs, seq)
		return nil
	}, `SELECT channel, seq FROM channel_items ORDER BY channel, item`)
	if err != nil {
		return err
	}
	count()
	if doubles > 0 {
		return j.say(check.Wrong, "%d × a position in a channel that two items have", doubles)
	}
	return nil
}

// addresses looks whether addresses open under the address key. Some need not:
// members of a group can put anything there.
func (j *job) addresses(ctx context.Context) error {
	opened, closed := 0, 0
	err := j.each(ctx, func(rows *sql.Rows) error {
		var address []byte
		if err := rows.Scan(&address); err != nil {
			return err
		}
		if _, err := j.Sealer.OpenAddress(address); err == nil {
			opened++
		} else {
			closed++
		}
		return ctx.Err()
	}, `SELECT address FROM channel_addresses`)
	switch {
	case err != nil:
		return err
	case closed > 0 && opened == 0:
		return j.say(check.Wrong, "no queue address opens under the address key: it is not this database's")
	case closed > 0:
		return j.say(check.Warning, "%d of %d queue addresses do not open under the address key; nothing goes to them", closed, opened+closed)
	}
	return j.say(check.OK, "%d queue addresses open under the address key", opened)
}
