package wire

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func encodePush(event qpcv1.EventType, msg proto.Message) ([]byte, error) {
	n := proto.Size(msg)
	if n > MaxPush {
		return nil, fmt.Errorf("%w: push of %d bytes", ErrTooLarge, n)
	}
	b := appendPushHeader(make([]byte, 0, pushHeader+n), event, n)
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, msg)
	if err != nil {
		return nil, fmt.Errorf("wire: encode push: %w", err)
	}
	return b, nil
}

// pushQueue is the bounded buffer in front of a connection's one push stream.
// A goroutine runs only while there is something to write, so that an idle
// subscriber costs none.
type pushQueue struct {
	peer   *Peer
	stream *quic.SendStream // the flushing goroutine's alone

	mu       sync.Mutex
	waiting  []byte        // frames that are not with QUIC yet
	spare    []byte        // an empty buffer to swap with waiting
	writing  int           // bytes that a write under way holds
	flushing bool          // a goroutine runs flush
	last     bool          // the goodbye is in: no more frames
	err      error         // the stream failed
	room     chan struct{} // closed and replaced after each write
}

func (q *pushQueue) init(p *Peer) {
	q.peer = p
	q.room = make(chan struct{})
}

func (q *pushQueue) add(ctx context.Context, frame []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.err != nil {
			return q.err
		}
		if q.peer.conn.Context().Err() != nil {
			return closedError(q.peer.conn)
		}
		if q.last {
			return &ClosedError{Code: CloseGoodbye}
		}
		held := len(q.waiting) + q.writing
		if held == 0 || held+len(frame) <= q.peer.opts.PushBuffer {
			return q.append(frame)
		}
		if err := q.waitForRoom(ctx); err != nil {
			return err
		}
	}
}

// waitForRoom releases the lock until a write has ended.
func (q *pushQueue) waitForRoom(ctx context.Context) error {
	room := q.room
	q.mu.Unlock()
	defer q.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrSlowPeer, context.Cause(ctx))
	case <-q.peer.Done():
		return closedError(q.peer.conn)
	}
}

func (q *pushQueue) append(frame []byte) error {
	q.waiting = append(q.waiting, frame...)
	if q.flushing {
		return nil
	}
	q.flushing = true
	if !q.peer.spawn(q.flush) {
		q.err = closedError(q.peer.conn)
		return q.err
	}
	return nil
}

// addLast adds the goodbye whatever is waiting, and lets nothing follow.
func (q *pushQueue) addLast(frame []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.last || q.err != nil {
		return
	}
	q.last = true
	_ = q.append(frame)
}

// maxSpare bounds the buffer that an idle connection keeps.
const maxSpare = 16 << 10

// flush writes until nothing is waiting.
func (q *pushQueue) flush() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) > 0 && q.err == nil {
		batch := q.waiting
		q.waiting, q.spare, q.writing = q.spare[:0], nil, len(batch)
		last := q.last // seen before the write: then the goodbye is in this batch
		q.mu.Unlock()
		err := q.write(batch, last)
		q.mu.Lock()
		q.writing, q.err = 0, err
		if cap(batch) <= maxSpare {
			q.spare = batch[:0]
		}
		close(q.room)
		q.room = make(chan struct{})
	}
	q.flushing = false
}

func (q *pushQueue) write(b []byte, last bool) error {
	stall := q.peer.opts.PushStall
	if q.stream == nil {
		ctx, cancel := context.WithTimeout(q.peer.conn.Context(), stall)
		defer cancel()
		s, err := q.peer.conn.OpenUniStreamSync(ctx)
		if err != nil {
			return q.fail(err)
		}
		q.stream = s
	}
	for len(b) > 0 {
		_ = q.stream.SetWriteDeadline(time.Now().Add(stall))
		n, err := q.stream.Write(b)
		b = b[n:]
		if err != nil && (n == 0 || !errors.Is(err, os.ErrDeadlineExceeded)) {
			return q.fail(err)
		}
	}
	if last {
		return q.stream.Close()
	}
	return nil
}

// fail drops a connection that takes no pushes.
func (q *pushQueue) fail(err error) error {
	if q.peer.conn.Context().Err() != nil {
		return closedError(q.peer.conn)
	}
	q.peer.closeNow(CloseSlow, "pushes are not read")
	return fmt.Errorf("%w: %w", ErrSlowPeer, err)
}
