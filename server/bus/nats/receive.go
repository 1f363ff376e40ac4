package nats

import (
	"time"

	"quicprochat/server/session"
	"quicprochat/server/storage"
)

const (
	// forgetAfter is how long a node may be silent before it counts as new.
	forgetAfter = 10 * time.Minute
	// maxAge is how old a message may be whose endings are followed: nobody
	// ends sessions with one that was recorded. What is left out is found in
	// the store.
	maxAge = 2 * time.Minute
)

// receive takes in a message. It runs in one goroutine.
func (b *Bus) receive(message []byte, now time.Time) {
	sender, counter, err := split(message)
	if err != nil {
		return // somebody else's: only those with the key count
	}
	if sender == b.out.sender {
		b.echo.Store(int64(time.Since(b.begun)))
		return
	}
	from, known := b.senders[sender]
	if !known {
		aead, err := aeadOf(b.key, sender)
		if err != nil {
			return
		}
		from = &opener{aead: aead}
	}
	if counter <= from.last {
		return // late, or somebody repeats it
	}
	records, sealed, err := from.open(message, counter)
	if err != nil {
		return
	}
	fresh := now.Sub(sealed).Abs() <= maxAge
	end := func(e session.Ending) {
		if fresh {
			b.listener.Ended(e)
		}
	}
	wake := func(queue storage.QueueID, seq uint64) {
		b.local.Wake(storage.Appended{Queue: queue, Item: storage.Item{Seq: seq}})
	}
	if parse(records, wake, end) != nil {
		return
	}
	if counter != from.last+1 {
		b.listener.Missed()
	}
	from.last, from.heard = counter, now
	if !known {
		b.forget(now)
		b.senders[sender] = from
	}
}

// forget drops nodes that have been silent for long. Only who has the key comes
// to be known.
func (b *Bus) forget(now time.Time) {
	for id, o := range b.senders {
		if now.Sub(o.heard) > forgetAfter {
			delete(b.senders, id)
		}
	}
}
