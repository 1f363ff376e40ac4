package wire

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Role is what kind of caller a connection has proved to be. What an account
// may do besides is not fixed to its connection: see [ServeOptions.Operator].
type Role uint8

// The roles. RoleServer is another server's and has no account.
const (
	RoleUser Role = iota
	RoleServer
)

// Principal is who a connection has proved to be.
type Principal struct {
	Account []byte // account id; empty for another server
	Device  []byte // device id; empty after a password login without a device
	Role    Role
}

// Peer is a client's connection as the server's handlers see it. All methods
// are safe for concurrent use.
type Peer struct {
	conn   *quic.Conn
	opts   *ServeOptions
	prefix netip.Prefix // of the client, for what is shared out

	mu        sync.Mutex
	principal *Principal // replaced, never changed
	values    map[any]any
	inFlight  int
	farewell  bool // Close was called: no new calls, no new pushes
	ended     bool // no new goroutines
	idle      chan struct{}
	tasks     sync.WaitGroup

	malformed     atomic.Int32
	requestMemory *semaphore.Weighted // bytes of large requests
	pushes        pushQueue
}

func newPeer(conn *quic.Conn, opts *ServeOptions) *Peer {
	p := &Peer{conn: conn, opts: opts, prefix: clientPrefix(conn.RemoteAddr()), idle: make(chan struct{})}
	p.requestMemory = semaphore.NewWeighted(int64(opts.RequestMemory))
	p.pushes.init(p)
	return p
}

// RemoteAddr is the client's address. It is for rate limits, never for logs.
func (p *Peer) RemoteAddr() netip.Addr {
	return remoteIP(p.conn.RemoteAddr())
}

func remoteIP(a net.Addr) netip.Addr {
	if u, ok := a.(*net.UDPAddr); ok {
		return u.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// Exporter returns the 32 bytes of the TLS exporter that device
// authentication signs. The client's Exporter returns the same.
func (p *Peer) Exporter() ([]byte, error) {
	return exporter(p.conn.ConnectionState().TLS)
}

// Authenticate records who the connection has proved to be. The device and the
// role may change later; another account is refused with
// ERROR_CODE_WRONG_CONNECTION.
func (p *Peer) Authenticate(who Principal) error {
	who.Account, who.Device = bytes.Clone(who.Account), bytes.Clone(who.Device)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.principal != nil && !bytes.Equal(p.principal.Account, who.Account) {
		return NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection belongs to another account.")
	}
	p.principal = &who
	return nil
}

// Principal returns who the connection has proved to be, and whether it has.
// The slices are shared: read only.
func (p *Peer) Principal() (Principal, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.principal == nil {
		return Principal{}, false
	}
	return *p.principal, true
}

// SetValue keeps a value with the connection; nil deletes it. As with
// contexts, the key should be of a type of the caller's own.
func (p *Peer) SetValue(key, value any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if value == nil {
		delete(p.values, key)
		return
	}
	if p.values == nil {
		p.values = map[any]any{}
	}
	p.values[key] = value
}

// Value returns what SetValue kept, or nil.
func (p *Peer) Value(key any) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.values[key]
}

// TakeValue returns what SetValue kept and deletes it, in one step: of two
// concurrent callers one gets it.
func (p *Peer) TakeValue(key any) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.values[key]
	delete(p.values, key)
	return v
}

// Push sends msg to the client, after every earlier Push that returned. It
// returns once the frame is in the connection's buffer, which is bounded by
// [ServeOptions.PushBuffer]; where that is full it waits until there is room.
// A client that reads nothing for [ServeOptions.PushStall] is dropped.
//
// Errors: ErrSlowPeer where there was no room until the client was dropped or
// ctx ended (which it wraps too); ErrClosed where the connection is gone or
// saying goodbye; ErrTooLarge above MaxPush. After an error nothing was sent.
func (p *Peer) Push(ctx context.Context, event qpcv1.EventType, msg proto.Message) error {
	frame, err := encodePush(event, msg)
	if err != nil {
		return err
	}
	if err := p.pushes.add(ctx, frame); err != nil {
		return err
	}
	if observe := p.opts.Observer.Push; observe != nil {
		observe(event, len(frame))
	}
	return nil
}

// Context ends when the connection is gone.
func (p *Peer) Context() context.Context { return p.conn.Context() }

// Done is closed when the connection is gone.
func (p *Peer) Done() <-chan struct{} { return p.conn.Context().Done() }

// Close says goodbye: the client is told the reason, calls under way may
// finish within [ServeOptions.DrainTimeout], new ones are answered with
// ERROR_CODE_UNAVAILABLE, and then the connection is closed. Close does not
// wait for it; Done does. Only the first Close counts.
func (p *Peer) Close(reason qpcv1.Goodbye_Reason) {
	p.mu.Lock()
	first := !p.farewell
	p.farewell = true
	if first && p.inFlight == 0 {
		close(p.idle)
	}
	p.mu.Unlock()
	if !first {
		return
	}
	frame, err := encodePush(qpcv1.EventType_EVENT_TYPE_GOODBYE, &qpcv1.Goodbye{Reason: reason})
	if err == nil {
		p.pushes.addLast(frame)
	}
	p.spawn(func() { p.leave(reason) })
}

// leave waits for what the goodbye promises and closes the connection.
func (p *Peer) leave(reason qpcv1.Goodbye_Reason) {
	drain := time.NewTimer(p.opts.DrainTimeout)
	defer drain.Stop()
	select {
	case <-p.idle:
	case <-drain.C:
	case <-p.Done():
	}
	// The client closes when it has its last response and the goodbye; closing
	// here at once could overtake both.
	linger := time.NewTimer(p.opts.Linger)
	defer linger.Stop()
	select {
	case <-linger.C:
	case <-p.Done():
	}
	p.closeNow(CloseGoodbye+CloseCode(reason), "goodbye")
}

func (p *Peer) closeNow(code CloseCode, why string) {
	_ = p.conn.CloseWithError(quic.ApplicationErrorCode(code), why)
}

// beginCall counts a call in, unless the connection is saying goodbye.
func (p *Peer) beginCall() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.farewell {
		return false
	}
	p.inFlight++
	return true
}

func (p *Peer) endCall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inFlight--
	if p.farewell && p.inFlight == 0 {
		close(p.idle)
	}
}

// spawn runs f in a goroutine that the connection's end waits for. After the
// end it runs nothing.
func (p *Peer) spawn(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	p.tasks.Go(f)
	return true
}

// end lets no new goroutine start and waits for those that run.
func (p *Peer) end() {
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.tasks.Wait()
}
