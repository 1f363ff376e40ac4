// Package bus tells those who wait for a queue that something was appended, on
// whichever node they wait, and other nodes that a session ended.
//
// What it tells is a hint. Wake-ups come in any order and may be lost between
// nodes; a lost one is found in the store. A subscriber therefore subscribes
// first, then reads the store until nothing is left, and only then waits; and
// it reads again whenever the bus says that it may have missed something.
//
// A wake-up is a call, so that a connection that waits for its queue costs no
// goroutine. Within a node it brings the item, which spares a subscriber that
// has everything before it to read the store. No item leaves the process.
package bus

import (
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Bus connects wakers and subscribers. It is safe for concurrent use, and no
// method waits for another node.
type Bus interface {
	// Wake wakes the subscribers of each queue. It is called after what they
	// should see is durable, and keeps nothing of what it is given.
	Wake(appended ...storage.Appended)

	// Subscribe has wake called whenever something came into a queue, possibly
	// by several goroutines at once. It must return at once and must not use
	// the bus. An item without contents and without an overflow mark says only
	// up to which Seq there is something.
	//
	// The caller must call cancel when done; calling it again does nothing.
	// When cancel has returned, wake is not running and is not called any more.
	Subscribe(queue storage.QueueID, wake func(storage.Item)) (cancel func())

	// Relay tells the other nodes that a session ended here.
	session.Relay

	// Health is nil while what is told reaches the other nodes, and else says
	// why not, for an operator.
	Health() error

	// Close ends the bus. Nobody may use it any more.
	Close() error
}

// Listener hears from a bus between nodes what concerns the node as a whole.
// Its methods return at once.
type Listener interface {
	// Ended: another node has ended a session.
	Ended(session.Ending)
	// Missed: something may have been told that did not arrive. What the
	// listener looks after must be read anew from the store.
	Missed()
}
