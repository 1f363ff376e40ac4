package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/quic-go/quic-go"
	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// maxMalformed is how many malformed frames a connection may send before it is
// dropped.
const maxMalformed = 16

// minRate, in bytes per second, is what a large frame must at least flow at.
const minRate = 16 << 10

// exchange is the server's side of one stream: a request and its response.
type exchange struct {
	server   *server
	peer     *Peer
	stream   *quic.Stream
	route    *route
	counted  bool  // in the peer's calls under way
	reserved int64 // of the peer's request memory
	taken    int   // of the server's
	seen     Call  // for the observer
}

func (s *server) serveStream(p *Peer, stream *quic.Stream) {
	x := &exchange{server: s, peer: p, stream: stream}
	defer x.release()
	if !s.opts.Connections.beginRead(p.prefix) {
		x.seen.Code = qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED
		stream.CancelRead(streamRefused)
		stream.CancelWrite(streamRefused)
		return
	}
	_ = stream.SetReadDeadline(time.Now().Add(s.opts.ReadTimeout))
	req, err := readRequest(stream, x.admit, x.grow)
	s.opts.Connections.endRead(p.prefix)
	if err != nil {
		x.refuse(req.ID, err)
		stream.CancelRead(streamRefused)
		return
	}
	x.seen.Received = len(req.Payload)
	frame, err := x.run(req)
	x.releaseMemory() // before the reply, so that the caller's next call finds it
	if err != nil {
		x.refuse(req.ID, err)
		return
	}
	x.reply(frame)
}

func (x *exchange) releaseMemory() {
	x.peer.requestMemory.Release(x.reserved)
	x.server.memory.give(x.peer.prefix, x.taken)
	x.reserved, x.taken = 0, 0
}

func (x *exchange) release() {
	x.releaseMemory()
	if x.counted {
		x.peer.endCall()
	}
	x.stream.ReleaseStreamCredit()
	if observe := x.server.opts.Observer.Call; observe != nil {
		observe(x.seen)
	}
}

// admit decides by the header alone whether a request is read.
func (x *exchange) admit(method uint16, length int) error {
	m, known := methods().byID[method]
	if !known {
		return ErrUnknownMethod
	}
	x.seen.Method = m
	if x.route = x.server.router.routes[method]; x.route == nil {
		return NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD, "This server does not offer this call.")
	}
	if err := allow(m, x.peer); err != nil {
		return err
	}
	if length > m.MaxPayload {
		return ErrTooLarge
	}
	if x.counted = x.peer.beginCall(); !x.counted {
		return NewError(qpcv1.ErrorCode_ERROR_CODE_UNAVAILABLE, "The connection is closing.")
	}
	if intercept := x.server.opts.Intercept; intercept != nil {
		if err := intercept(x.stream.Context(), x.peer, *m); err != nil {
			return err
		}
	}
	if m.Access == qpcv1.Access_ACCESS_ADMIN {
		if err := x.authorize(); err != nil {
			return err
		}
	}
	if length > largeRequest {
		return x.admitLarge(length)
	}
	return nil
}

// authorize asks whether the caller is an operator at this time.
func (x *exchange) authorize() error {
	operator := x.server.opts.Operator
	who, known := x.peer.Principal()
	if operator == nil || !known {
		return errWrongConnection
	}
	return operator(x.stream.Context(), who.Account)
}

// largeRequest is from how many bytes on a request counts in what its
// connection may have in memory.
const largeRequest = 64 << 10

var errTooMuchAtOnce = &Error{
	Code:       qpcv1.ErrorCode_ERROR_CODE_RATE_LIMITED,
	Message:    "Too many large calls at once. Try again in a moment.",
	RetryAfter: time.Second,
}

// admitLarge gives a large request its part of the connection's memory. It does
// not wait for it: a request that waits unread takes flow-control credit
// from those that are being read, and all could wait for each other.
func (x *exchange) admitLarge(length int) error {
	n := int64(min(length, x.server.opts.RequestMemory))
	if !x.peer.requestMemory.TryAcquire(n) {
		return errTooMuchAtOnce
	}
	x.reserved = n
	return nil
}

// grow takes memory for the next bytes of a request, and gives them the time
// that they need: who sends has it, and who stalls does not keep the memory.
func (x *exchange) grow(from, to int) error {
	if !x.server.memory.take(x.peer.prefix, to-from) {
		return errTooMuchAtOnce
	}
	x.taken += to - from
	_ = x.stream.SetReadDeadline(time.Now().Add(x.server.opts.ReadTimeout + transferTime(to-from)))
	return nil
}

func transferTime(n int) time.Duration {
	return time.Duration(n) * time.Second / minRate
}

// run calls the handler and returns the response's frame.
func (x *exchange) run(req Request) (frame []byte, err error) {
	began := time.Now()
	defer func() {
		x.seen.Took = time.Since(began)
		if v := recover(); v != nil {
			err = panicError{value: v, stack: debug.Stack()}
		}
	}()
	out := appendResponseHeader(make([]byte, 0, 256), StatusOK, req.ID, 0)
	out, err = x.route.call(x.stream.Context(), x.peer, req.Payload, out)
	if err != nil {
		return nil, err
	}
	n := len(out) - responseHeader
	x.seen.Sent = n
	if n > MaxResponse {
		return nil, fmt.Errorf("response of %d bytes", n)
	}
	binary.BigEndian.PutUint32(out[responseHeader-4:], uint32(n))
	return out, nil
}

// panicError is a handler's panic on its way to the log.
type panicError struct {
	value any
	stack []byte
}

// Error names the panic without what it may quote of a payload: of values
// that are not the runtime's own, the type only.
func (e panicError) Error() string {
	if r, ok := e.value.(runtime.Error); ok {
		return "panic: " + r.Error()
	}
	return fmt.Sprintf("panic: %T", e.value)
}

// refuse answers with an error and counts what was malformed.
func (x *exchange) refuse(id uint32, err error) {
	_, reset := errors.AsType[*quic.StreamError](err)
	if reset || x.stream.Context().Err() != nil {
		x.abort() // the caller is gone, or has given up
		return
	}
	answer, malformed := x.classify(err)
	x.seen.Code, x.seen.Sent = answer.Code, 0
	if malformed && x.peer.malformed.Add(1) > maxMalformed {
		x.server.opts.Logger.Info("connection dropped: too many malformed frames")
		x.peer.closeNow(CloseMalformed, "too many malformed frames")
		return
	}
	payload, err := proto.Marshal(answer.Proto())
	if err != nil { // text that is not UTF-8
		payload, _ = proto.Marshal(&qpcv1.Error{Code: answer.Code})
	}
	x.reply(AppendResponse(nil, Response{Status: StatusError, ID: id, Payload: payload}))
}

// classify turns what went wrong into what the caller is told, and says
// whether the frame was malformed.
func (x *exchange) classify(err error) (answer *Error, malformed bool) {
	if e, ok := errors.AsType[*Error](err); ok {
		return e, false
	}
	switch {
	case errors.Is(err, ErrUnknownMethod):
		return NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD, "There is no such call."), true
	case errors.Is(err, ErrTooLarge):
		return NewError(qpcv1.ErrorCode_ERROR_CODE_TOO_LARGE, "The call is too large."), true
	case errors.Is(err, ErrTruncated), errors.Is(err, ErrTrailing), errors.Is(err, ErrMalformed),
		errors.Is(err, os.ErrDeadlineExceeded):
		return NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The call could not be read."), true
	}
	if explain := x.server.opts.Explain; explain != nil {
		if e := explain(*x.route.method, err); e != nil {
			return e, false
		}
	}
	x.logFailure(err)
	return NewError(qpcv1.ErrorCode_ERROR_CODE_INTERNAL, "The server failed. Try again later."), false
}

func (x *exchange) logFailure(err error) {
	attrs := []any{slog.String("method", string(x.route.method.Name)), slog.String("error", err.Error())}
	if p, ok := errors.AsType[panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	x.server.opts.Logger.Error("call failed", attrs...)
}

// reply writes the response and ends the stream.
func (x *exchange) reply(frame []byte) {
	limit := x.server.opts.WriteTimeout + transferTime(len(frame))
	_ = x.stream.SetWriteDeadline(time.Now().Add(limit))
	if _, err := x.stream.Write(frame); err != nil {
		x.abort()
		return
	}
	_ = x.stream.Close()
}

func (x *exchange) abort() {
	x.seen.Ended = true
	x.stream.CancelWrite(streamCancelled)
}
