package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/jackc/pgx/v5"

	"quicprochat/server/storage"
)

// Post appends an item to every queue of a channel.
func (s *Store) Post(ctx context.Context, p storage.Post) (storage.Posted, error) {
	return s.do(ctx, callOf(p))
}

// channel is a channel's row while it is locked, with its addresses.
type channel struct {
	id        storage.ChannelID
	number    int64
	epoch     uint64
	openFrom  uint64 // the epoch that the last change of addresses began
	lastSeq   uint64
	activeDay uint64
	addresses [][]byte
	// seqs are those of the items that are asked for and were posted before.
	seqs map[storage.ItemID]uint64
}

// accepts says whether a post of an epoch may still come in.
func (c *channel) accepts(epoch uint64) bool {
	return epoch <= c.epoch && c.epoch-epoch <= storage.PastEpochs && epoch >= c.openFrom
}

// batch is posts, or one commit, in one transaction.
type batch struct {
	calls    []*call
	limits   storage.Limits
	tx       *tx
	channels map[storage.ChannelID]*channel
	// outcomes are those of the first calls, the others are left for another
	// transaction. They hold when it is committed.
	outcomes []outcome
	// failed are calls that were taken out of it because their functions failed.
	failed []*call
	// changed are the channels that got something, in that order, and newItems
	// what they got.
	changed  []*channel
	newItems []newItem
}

type outcome struct {
	posted   storage.Posted
	err      error
	panicked any
}

// newItem is a row of channel_items.
type newItem struct {
	channel int64
	item    storage.ItemID
	seq     uint64
	day     uint64
}

// run is one try.
func (b *batch) run(t *tx) error {
	b.tx = t
	b.outcomes, b.changed, b.newItems = nil, nil, nil
	if err := b.loadChannels(); err != nil {
		return err
	}
	accepted, err := b.judge()
	if err != nil || len(accepted) == 0 {
		return err
	}
	for _, p := range accepted { // before the queues are locked, as DeliverSealed does
		if p.commit == nil {
			continue
		}
		err := t.spendTokens(p.commit.Tokens)
		if errors.Is(err, storage.ErrTokenSpent) {
			b.outcomes[p.index].err = err
			t.rollback()
			return b.without(p.index)
		}
		if err != nil {
			return err
		}
	}
	d := &dispatch{tx: t, limits: b.limits}
	if err := d.loadMailboxes(deliveriesOf(accepted)); err != nil {
		return err
	}
	for _, p := range accepted {
		if err := b.post(d, p); err != nil {
			return err
		}
		if b.outcomes[p.index].err != nil || b.outcomes[p.index].panicked != nil {
			// It has left rows behind, so what was done goes, and the others
			// are carried out without it.
			t.rollback()
			return b.without(p.index)
		}
	}
	return b.commit(d, accepted)
}

// without runs again without a call that failed.
func (b *batch) without(failed int) error {
	o := b.outcomes[failed]
	calls := slices.Delete(slices.Clone(b.calls), failed, failed+1)
	rest := &batch{calls: calls, limits: b.limits, failed: append(b.failed, b.calls[failed])}
	if len(calls) > 0 {
		if err := rest.run(b.tx); err != nil {
			return err
		}
	}
	b.calls = append([]*call{b.calls[failed]}, rest.calls...)
	b.outcomes = append([]outcome{o}, rest.outcomes...)
	return nil
}

// finish hands the outcomes out and returns the calls that are left.
func (b *batch) finish() (left []*call) {
	for i, o := range b.outcomes {
		b.calls[i].panicked = o.panicked
		b.calls[i].finish(o.posted, o.err)
	}
	return b.calls[len(b.outcomes):]
}

// loadChannels begins the transaction, locks the channels and reads what is
// needed of them.
func (b *batch) loadChannels() error {
	b.channels = make(map[storage.ChannelID]*channel, len(b.calls))
	byNumber := make(map[int64]*channel, len(b.calls))
	channels, items := make([][]byte, len(b.calls)), make([][]byte, len(b.calls))
	for i, c := range b.calls {
		channels[i], items[i] = c.channel[:], c.item[:]
	}
	distinctIDs := distinct(channels)
	q := begin()
	q.Queue(`SELECT id, number, epoch, open_from, last_seq, active_day FROM channels
		WHERE number = ANY(ARRAY(SELECT number FROM channels WHERE id = ANY($1))) ORDER BY number FOR NO KEY UPDATE`, distinctIDs).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func(rows pgx.Rows) error {
				c := &channel{seqs: make(map[storage.ItemID]uint64)}
				if err := rows.Scan((*id16)(&c.id), &c.number, &c.epoch, &c.openFrom, &c.lastSeq, &c.activeDay); err != nil {
					return err
				}
				b.channels[c.id], byNumber[c.number] = c, c
				return nil
			})
		})
	q.Queue(`SELECT f.channel, f.item, f.seq FROM unnest($1::bytea[], $2::bytea[]) AS w (id, item) CROSS JOIN LATERAL
		(SELECT channel, item, seq FROM channel_items WHERE channel = (SELECT number FROM channels WHERE id = w.id) AND item = w.item LIMIT 1) AS f`, channels, items).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func(rows pgx.Rows) error {
				var number int64
				var item storage.ItemID
				var seq uint64
				err := rows.Scan(&number, (*id16)(&item), &seq)
				if c := byNumber[number]; c != nil {
					c.seqs[item] = seq
				}
				return err
			})
		})
	q.Queue(`SELECT channel, address FROM channel_addresses WHERE channel = ANY(ARRAY(SELECT number FROM channels WHERE id = ANY($1)))`, distinctIDs).
		Query(func(rows pgx.Rows) error {
			return eachRow(rows, func(rows pgx.Rows) error {
				var number int64
				var address []byte
				err := rows.Scan(&number, &address)
				if c := byNumber[number]; c != nil {
					c.addresses = append(c.addresses, address)
				}
				return err
			})
		})
	if err := b.tx.run(q); err != nil {
		return fmt.Errorf("load channel: %w", err)
	}
	return nil
}

// accepted is a call that changes something.
type accepted struct {
	*call
	index      int
	channel    *channel
	deliveries []delivery
}

// judge settles the calls that change nothing and returns the others, up to
// the bound on deliveries.
func (b *batch) judge() ([]accepted, error) {
	var all []accepted
	total := 0
	type place struct {
		channel storage.ChannelID
		item    storage.ItemID
	}
	taken := make(map[place]bool)
	for i, c := range b.calls {
		ch := b.channels[c.channel]
		at := place{c.channel, c.item}
		if b.behindFailure(c) {
			b.outcomes = append(b.outcomes, outcome{err: storage.ErrNotTried})
			continue
		}
		if ch == nil {
			b.outcomes = append(b.outcomes, outcome{err: storage.ErrUnknownChannel})
			continue
		}
		if seq := ch.seqs[c.item]; seq != 0 {
			b.outcomes = append(b.outcomes, outcome{posted: c.repeated(seq)})
			continue
		}
		if taken[at] {
			break // a repetition of one before it: the next transaction knows its seq
		}
		err, fatal := b.refuse(c, ch)
		if fatal != nil {
			return nil, fatal
		}
		if err != nil {
			b.outcomes = append(b.outcomes, outcome{err: err})
			continue
		}
		if total += len(ch.addresses); len(all) > 0 && total > maxDeliveries {
			break
		}
		taken[at] = true
		a := accepted{call: c, index: i, channel: ch}
		b.outcomes = append(b.outcomes, outcome{})
		if o := &b.outcomes[i]; !o.protect(func() error { a.deliveries = a.recipients(); return nil }) {
			b.tx.rollback()
			return nil, b.without(i)
		}
		all = append(all, a)
	}
	return all, nil
}

// behindFailure tells whether the call that must come before this one has
// failed: earlier, or in this batch.
func (b *batch) behindFailure(c *call) bool {
	if c.before == nil {
		return false
	}
	if i := slices.Index(b.calls[:len(b.outcomes)], c.before); i >= 0 {
		return b.outcomes[i].err != nil || b.outcomes[i].panicked != nil
	}
	return slices.Contains(b.failed, c.before) || c.before.err != nil || c.before.panicked != nil || c.before.state.Load() == callAbandoned
}

// deliveriesOf collects what is to be delivered.
func deliveriesOf(all []accepted) [][]delivery {
	lists := make([][]delivery, len(all))
	for i, a := range all {
		lists[i] = a.deliveries
	}
	return lists
}

// protect runs functions of a caller, keeps their error or panic, and tells
// whether they succeeded.
func (o *outcome) protect(f func() error) (ok bool) {
	defer func() {
		o.panicked = recover()
		ok = o.err == nil && o.panicked == nil
	}()
	o.err = f()
	return
}

// refuse tells why a call is not accepted. fatal is a failure to find out.
func (b *batch) refuse(c *call, ch *channel) (err, fatal error) {
	switch {
	case c.commit == nil && ch.accepts(c.epoch):
		return nil, nil
	case c.commit == nil || c.epoch != ch.epoch:
		return b.tx.stale(ch.number, ch.epoch, c.epoch)
	}
	return c.checkCommit(ch, b.limits.ChannelAddresses), nil
}

// stale makes the error for a request with an epoch that is not accepted.
func (t *tx) stale(channel int64, current, epoch uint64) (stale, fatal error) {
	e := &storage.StaleError{Current: current}
	var winner id16
	err := t.get(into(&winner), `SELECT item FROM channel_winners WHERE channel = $1 AND epoch = $2`, channel, int64(min(epoch, math.MaxInt64)))
	switch {
	case err == nil:
		e.Winner = (*storage.ItemID)(&winner)
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, fmt.Errorf("look for winner: %w", err)
	}
	return e, nil
}

// repeated answers an item that was posted before: by a caller that repeats
// it, or by a try of this call whose commit was not answered.
func (c *call) repeated(seq uint64) storage.Posted {
	if c.lost == nil || c.lost.ChannelSeq != seq {
		return storage.Posted{ChannelSeq: seq, Duplicate: true}
	}
	posted := storage.Posted{ChannelSeq: seq}
	for _, a := range c.lost.Appended {
		posted.Appended = append(posted.Appended, storage.Appended{Queue: a.Queue})
	}
	return posted
}

// recipients makes one delivery for each queue of a channel, also where it has
// several addresses of one queue, and those of welcomes.
func (a *accepted) recipients() []delivery {
	deliveries := make([]delivery, 0, len(a.channel.addresses))
	seen := make(map[storage.QueueID]struct{}, len(a.channel.addresses))
	for _, address := range a.channel.addresses {
		queue, ok := a.resolve(address)
		if !ok {
			continue
		}
		if _, ok := seen[queue]; !ok {
			seen[queue] = struct{}{}
			deliveries = append(deliveries, delivery{queue: queue, seal: a.seal})
		}
	}
	if a.commit != nil {
		for _, w := range a.commit.Welcomes {
			deliveries = append(deliveries, delivery{queue: w.Queue, seal: w.Seal})
		}
	}
	return deliveries
}

// post gives an item its place in the channel and delivers it. An error of
// the caller's functions goes into its outcome.
func (b *batch) post(d *dispatch, a accepted) error {
	o := &b.outcomes[a.index]
	day := storage.DayOf(a.now)
	seq := a.channel.lastSeq + 1
	var failed error
	ok := o.protect(func() error {
		appended, err := d.deliver(a.deliveries, seq, a.now)
		if s, broken := errors.AsType[*sealError](err); broken {
			return s
		}
		failed = err
		o.posted = storage.Posted{ChannelSeq: seq, Appended: appended}
		return nil
	})
	if !ok || failed != nil {
		return failed
	}
	if !slices.Contains(b.changed, a.channel) {
		b.changed = append(b.changed, a.channel)
	}
	a.channel.lastSeq = seq
	a.channel.activeDay = max(a.channel.activeDay, day)
	b.newItems = append(b.newItems, newItem{a.channel.number, a.item, seq, day})
	return nil
}

// commit writes everything and ends the transaction.
func (b *batch) commit(d *dispatch, accepted []accepted) error {
	q := &pgx.Batch{}
	d.store(q)
	b.storeChannels(q)
	for _, a := range accepted {
		if a.commit != nil {
			a.nextEpoch(q)
		}
	}
	err := b.tx.commit(q)
	if _, uncertain := errors.AsType[*uncertainError](err); uncertain {
		for _, a := range accepted {
			a.lost = &storage.Posted{ChannelSeq: b.outcomes[a.index].posted.ChannelSeq, Appended: b.outcomes[a.index].posted.Appended}
		}
	}
	if err != nil {
		return fmt.Errorf("store items: %w", err)
	}
	return nil
}

func (b *batch) storeChannels(q *pgx.Batch) {
	numbers, seqs, days := columns3(len(b.changed), func(i int) (int64, int64, int64) {
		c := b.changed[i]
		return c.number, int64(c.lastSeq), int64(c.activeDay)
	})
	q.Queue(`UPDATE channels AS c SET last_seq = n.last_seq, active_day = n.active_day
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (number, last_seq, active_day)
		WHERE c.number = n.number AND c.number = ANY($1)`, numbers, seqs, days)
	items := make([][]byte, len(b.newItems))
	numbers, seqs, days = columns3(len(b.newItems), func(i int) (int64, int64, int64) {
		n := &b.newItems[i]
		items[i] = n.item[:]
		return n.channel, int64(n.seq), int64(n.day)
	})
	q.Queue(`INSERT INTO channel_items (channel, item, seq, day) SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[])`,
		numbers, items, seqs, days)
}

// columns3 turns rows into arrays for unnest.
func columns3(n int, row func(int) (int64, int64, int64)) (a, b, c []int64) {
	a, b, c = make([]int64, n), make([]int64, n), make([]int64, n)
	for i := range n {
		a[i], b[i], c[i] = row(i)
	}
	return a, b, c
}
