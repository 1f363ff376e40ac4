package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Conn is a client's connection to a server. It does not reconnect: when Done
// is closed the caller dials again. All methods are safe for concurrent use.
type Conn struct {
	quic      *quic.Conn
	transport *quic.Transport
	socket    *net.UDPConn
	onPush    func(event qpcv1.EventType, payload []byte)
	lastID    atomic.Uint32
	done      chan struct{}

	mu       sync.Mutex
	inFlight int
	goodbye  *ClosedError // set by the server's announcement
	err      *ClosedError // set once before done is closed
}

func newConn(q *quic.Conn, tr *quic.Transport, socket *net.UDPConn, opts DialOptions) *Conn {
	c := &Conn{quic: q, transport: tr, socket: socket, onPush: opts.OnPush, done: make(chan struct{})}
	context.AfterFunc(q.Context(), c.cleanUp)
	go c.receivePushes()
	return c
}

// cleanUp runs once, when the QUIC connection has ended for whatever reason.
func (c *Conn) cleanUp() {
	_ = c.transport.Close()
	_ = c.socket.Close()
	err := c.lost(context.Cause(c.quic.Context()))
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.done)
}

// lost names the reason of a transport's end: the server's goodbye, where it
// said one.
func (c *Conn) lost(cause error) *ClosedError {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goodbye != nil {
		return c.goodbye
	}
	return closedBy(cause)
}

// Call sends req and waits for the response, which it decodes into resp. The
// method follows from req's type. It costs one round trip. Where ctx ends
// first, the stream is reset and the server's handler is told; the call may
// have had its effect. The caller owes ctx a deadline: a server that answers
// pings but not calls is otherwise waited for without end.
//
// Errors: *[Error] where the server answered with one; [ErrClosed] where the
// connection is gone or closing, so that it is unknown whether the call had its
// effect; ctx's; [ErrTooLarge] before anything is sent; a frame's error where
// the response is malformed.
func (c *Conn) Call(ctx context.Context, req, resp proto.Message) error {
	m, ok := methods().byRequest[req.ProtoReflect().Descriptor().FullName()]
	if !ok {
		return fmt.Errorf("%w: %s is no request", ErrUnknownMethod, req.ProtoReflect().Descriptor().FullName())
	}
	if got := resp.ProtoReflect().Descriptor().FullName(); got != m.Response.Descriptor().FullName() {
		return fmt.Errorf("wire: the response of %s is not %s", m.Name, got)
	}
	id := c.lastID.Add(1)
	frame, err := encodeRequest(m, id, req)
	if err != nil {
		return fmt.Errorf("wire: %s: %w", m.Name, err)
	}
	if err := c.beginCall(); err != nil {
		return err
	}
	defer c.endCall()
	answer, err := c.exchange(ctx, frame, id)
	if err != nil {
		return c.callError(ctx, m, err)
	}
	return decodeResponse(m, answer, resp)
}

func encodeRequest(m *Method, id uint32, req proto.Message) ([]byte, error) {
	n := proto.Size(req)
	if n > m.MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, m.MaxPayload)
	}
	b := appendRequestHeader(make([]byte, 0, requestHeader+n), m.ID, id, n)
	return proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, req)
}

func decodeResponse(m *Method, r Response, resp proto.Message) error {
	if r.Status == StatusOK {
		if err := proto.Unmarshal(r.Payload, resp); err != nil {
			return fmt.Errorf("wire: response of %s: %w", m.Name, ErrMalformed)
		}
		return nil
	}
	var e qpcv1.Error
	if err := proto.Unmarshal(r.Payload, &e); err != nil {
		return fmt.Errorf("wire: error of %s: %w", m.Name, ErrMalformed)
	}
	return ErrorFromProto(&e)
}

// exchange runs one request and its response over a stream of their own.
func (c *Conn) exchange(ctx context.Context, frame []byte, id uint32) (Response, error) {
	stream, err := c.quic.OpenStreamSync(ctx)
	if err != nil {
		return Response{}, err
	}
	reset := func() {
		stream.CancelRead(streamCancelled)
		stream.CancelWrite(streamCancelled)
	}
	defer context.AfterFunc(ctx, reset)()
	// A server that refuses a large request stops reading it and answers why:
	// then the write fails, and the response is there to be read.
	if _, err := stream.Write(frame); err == nil {
		_ = stream.Close()
	} else if !remoteReset(err) {
		reset()
		return Response{}, err
	}
	r, err := ReadResponse(stream, MaxResponse)
	if err == nil && r.ID != id {
		err = ErrWrongRequest
	}
	if err != nil {
		reset()
	}
	return r, err
}

func remoteReset(err error) bool {
	s, ok := errors.AsType[*quic.StreamError](err)
	return ok && s.Remote
}

func (c *Conn) callError(ctx context.Context, m *Method, err error) error {
	switch {
	case errors.Is(err, net.ErrClosed):
		return c.lost(err)
	case ctx.Err() != nil:
		return fmt.Errorf("wire: %s: %w", m.Name, ctx.Err())
	case remoteReset(err):
		return fmt.Errorf("wire: %s: %w: the server reset the stream", m.Name, ErrTruncated)
	}
	return fmt.Errorf("wire: %s: %w", m.Name, err)
}

func (c *Conn) beginCall() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goodbye != nil {
		return c.goodbye
	}
	c.inFlight++
	return nil
}

func (c *Conn) endCall() {
	c.mu.Lock()
	c.inFlight--
	leave := c.goodbye != nil && c.inFlight == 0
	c.mu.Unlock()
	if leave {
		c.closeWith(CloseNormal, "")
	}
}

// receivePushes reads the one push stream, which the server opens with its
// first push.
func (c *Conn) receivePushes() {
	stream, err := c.quic.AcceptUniStream(context.Background())
	if err != nil {
		return
	}
	r := bufio.NewReaderSize(stream, 16<<10)
	for {
		push, err := ReadPush(r, MaxPush)
		if err != nil {
			c.endPushes(err)
			return
		}
		if c.onPush != nil {
			c.onPush(push.Event, push.Payload)
		}
		if push.Event == qpcv1.EventType_EVENT_TYPE_GOODBYE {
			c.takeGoodbye(push.Payload)
		}
	}
}

// endPushes closes a connection whose pushes cannot be read any more: holes
// in them must not go unnoticed. A goodbye ends them properly.
func (c *Conn) endPushes(err error) {
	c.mu.Lock()
	expected := c.goodbye != nil && err == io.EOF
	c.mu.Unlock()
	if !expected {
		c.closeWith(CloseMalformed, "malformed push")
	}
}

// takeGoodbye lets calls under way finish, refuses new ones and then closes.
func (c *Conn) takeGoodbye(payload []byte) {
	var g qpcv1.Goodbye
	_ = proto.Unmarshal(payload, &g) // an unreadable goodbye is one without a reason
	c.mu.Lock()
	if c.goodbye == nil {
		code := CloseGoodbye + CloseCode(g.GetReason()&0xff)
		c.goodbye = &ClosedError{Code: code, Goodbye: g.GetReason(), Remote: true}
	}
	leave := c.inFlight == 0
	c.mu.Unlock()
	if leave {
		c.closeWith(CloseNormal, "")
	}
}

// Exporter returns the 32 bytes of the TLS exporter that device
// authentication signs: they are of this connection alone, and the server's
// are the same.
func (c *Conn) Exporter() ([]byte, error) {
	return exporter(c.quic.ConnectionState().TLS)
}

// Done is closed when the connection is gone and everything of it released.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil until Done is closed, then a *[ClosedError].
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.err
}

// Close ends the connection at once; calls under way return ErrClosed. A push
// that is being handled may still be after Close has returned. The error is
// always nil.
func (c *Conn) Close() error {
	c.closeWith(CloseNormal, "")
	<-c.done
	return nil
}

func (c *Conn) closeWith(code CloseCode, why string) {
	_ = c.quic.CloseWithError(quic.ApplicationErrorCode(code), why)
}
