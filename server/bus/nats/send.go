package nats

import (
	"errors"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// send has what is pending told soon. It does not block.
func (b *Bus) send() {
	select {
	case b.kick <- struct{}{}:
	default:
	}
}

// run tells what is pending until the bus is closed, says something every
// second, and logs when the bus stops working and works again.
func (b *Bus) run(o Options) {
	beat := time.NewTicker(orDefault(o.beat, beatInterval))
	defer beat.Stop()
	worked := true
	for {
		select {
		case <-b.stop:
			b.tell()
			_ = b.conn.FlushTimeout(time.Second) // what is not told is found in the store
			return
		case <-b.kick:
			b.tell()
		case <-beat.C:
			b.publish(nil)
			err := b.Health()
			if works := err == nil; works != worked {
				worked = works
				b.logHealth(err)
			}
		}
	}
}

func (b *Bus) logHealth(err error) {
	if err != nil {
		b.log.Warn("the bus is gone", "error", err)
		return
	}
	b.log.Info("the bus is back")
}

// tell sends everything that is pending.
func (b *Bus) tell() {
	b.mu.Lock()
	all := b.pending
	b.pending = batch{}
	b.mu.Unlock()
	for rest := all.records; len(rest) > 0; {
		var first []byte
		first, rest = cut(rest)
		b.publish(first)
	}
	if all.lost {
		b.out.skip()
	}
}

// publish sends a message, or leaves a gap in the count.
func (b *Bus) publish(records []byte) {
	if !b.conn.IsConnected() {
		b.out.skip()
		return
	}
	// An error leaves the count as it is now, so that others see the gap.
	if err := b.conn.Publish(b.subject, b.out.seal(records, time.Now())); err != nil {
		b.noteError(err)
	}
}

// connected is called by NATS when a connection was made: the subscription is
// made anew, and what came in between was missed.
func (b *Bus) connected(conn *nats.Conn) {
	if err := conn.FlushTimeout(5 * time.Second); err != nil {
		b.noteError(err)
	}
	b.listener.Missed()
}

// failed is called by NATS for what goes wrong beside any call.
func (b *Bus) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	b.noteError(err)
	if errors.Is(err, nats.ErrSlowConsumer) {
		b.listener.Missed()
	}
}

// noteError keeps what an operator may want to know while the bus does not
// work.
func (b *Bus) noteError(err error) {
	if err == nil {
		return
	}
	text := withoutAddress(err).Error()
	b.lastError.Store(&text)
}

// withoutAddress keeps of an error what says nothing about URLs, in which a
// password may be.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
