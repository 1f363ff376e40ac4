package storage

import (
	"log/slog"
	"time"
)

// QueueID names a queue: 16 random bytes. It shows itself in no log.
type QueueID [16]byte

func (QueueID) String() string         { return "[queue]" }
func (q QueueID) LogValue() slog.Value { return slog.StringValue(q.String()) }

// Item is one delivery in a queue.
type Item struct {
	// Seq is the position in the queue, from 1, without holes.
	Seq uint64
	// ReceivedAt is rounded down to the day. An exact time belongs into
	// Sealed: in the clear, it would tell which queues share a channel.
	ReceivedAt time.Time
	// Sealed is what SealFunc returned for this queue and seq. It is nil where
	// Overflow is set.
	Sealed []byte
	// Overflow marks the place where items were lost because the queue was
	// full.
	Overflow bool
}

// Waiting is what waits in a queue.
type Waiting struct {
	Items int
	// Bytes are those of the sealed items.
	Bytes int64
	// OldestDay is that of the first item, in seconds since 1970; 0 where
	// nothing waits.
	OldestDay uint64
	// LastSeq is the newest seq that was assigned, and Acked the newest that
	// was acknowledged or has expired.
	LastSeq, Acked uint64
}

// SealFunc makes the bytes of an item for one queue, usually sealed with the
// queue id and the seq as associated data. channelSeq is the item's position
// in its channel. The store keeps the result and does not change it.
//
// It is called inside a transaction, possibly more than once, at the latest
// before the operation returns. It must be quick and must not use the store.
// An error fails the operation.
type SealFunc func(queue QueueID, seq, channelSeq uint64) ([]byte, error)

// ResolveFunc opens a queue address; ok is false where it cannot be opened.
// The same conditions hold as for SealFunc. The store does not keep the
// result, and the address is valid during the call only.
type ResolveFunc func(address []byte) (queue QueueID, ok bool)
