package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Header lengths in bytes.
const (
	requestHeader  = 2 + 4 + 4
	responseHeader = 1 + 4 + 4
	pushHeader     = 2 + 4
)

// The largest payloads in bytes that flow from the server to the client: room
// for the largest commit and what surrounds it.
const (
	MaxResponse = MaxRequest + 1<<20
	MaxPush     = MaxRequest + 1<<20
)

// Request is the frame method_id u16 · request_id u32 · payload_len u32 · payload.
type Request struct {
	Method  uint16
	ID      uint32
	Payload []byte
}

// Status tells a response's payload apart.
type Status uint8

// The two statuses.
const (
	StatusOK    Status = 0 // the payload is the method's response
	StatusError Status = 1 // the payload is a qpc.v1.Error
)

// Response is the frame status u8 · request_id u32 · payload_len u32 · payload.
type Response struct {
	Status  Status
	ID      uint32
	Payload []byte
}

// Push is the frame event_type u16 · payload_len u32 · payload.
type Push struct {
	Event   qpcv1.EventType
	Payload []byte
}

// AppendRequest appends r's frame to b.
func AppendRequest(b []byte, r Request) []byte {
	b = appendRequestHeader(b, r.Method, r.ID, len(r.Payload))
	return append(b, r.Payload...)
}

// AppendResponse appends r's frame to b.
func AppendResponse(b []byte, r Response) []byte {
	b = appendResponseHeader(b, r.Status, r.ID, len(r.Payload))
	return append(b, r.Payload...)
}

// AppendPush appends p's frame to b. The event must fit 16 bits.
func AppendPush(b []byte, p Push) []byte {
	b = appendPushHeader(b, p.Event, len(p.Payload))
	return append(b, p.Payload...)
}

func appendRequestHeader(b []byte, method uint16, id uint32, n int) []byte {
	b = binary.BigEndian.AppendUint16(b, method)
	b = binary.BigEndian.AppendUint32(b, id)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendResponseHeader(b []byte, s Status, id uint32, n int) []byte {
	b = append(b, byte(s))
	b = binary.BigEndian.AppendUint32(b, id)
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func appendPushHeader(b []byte, event qpcv1.EventType, n int) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(event))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// ReadRequest reads the one request of a stream, to the stream's end.
//
// Once it has the header it asks admit, which sees the declared payload length
// in bytes and refuses by an error that ReadRequest passes on; nothing is
// allocated for a payload before. A returned Request has its Method and ID
// set as soon as the header was read, whatever failed later.
// Errors: ErrTruncated, ErrTrailing, admit's, and the reader's own.
func ReadRequest(r io.Reader, admit func(method uint16, length int) error) (Request, error) {
	return readRequest(r, admit, nil)
}

// readRequest is ReadRequest that asks grow before its buffer grows from some
// bytes to more.
func readRequest(r io.Reader, admit func(method uint16, length int) error, grow func(from, to int) error) (Request, error) {
	var h [requestHeader]byte
	if err := readFull(r, h[:]); err != nil {
		return Request{}, err
	}
	req := Request{Method: binary.BigEndian.Uint16(h[:]), ID: binary.BigEndian.Uint32(h[2:])}
	n := int(binary.BigEndian.Uint32(h[6:]))
	if err := admit(req.Method, n); err != nil {
		return req, err
	}
	payload, err := readPayload(r, n, grow)
	if err != nil {
		return req, err
	}
	if err := readEnd(r); err != nil {
		return req, err
	}
	req.Payload = payload
	return req, nil
}

// ReadResponse reads the one response of a stream, to the stream's end. limit
// is the largest payload in bytes.
// Errors: ErrTruncated, ErrTooLarge, ErrTrailing, ErrUnknownStatus, and the
// reader's own.
func ReadResponse(r io.Reader, limit int) (Response, error) {
	var h [responseHeader]byte
	if err := readFull(r, h[:]); err != nil {
		return Response{}, err
	}
	resp := Response{Status: Status(h[0]), ID: binary.BigEndian.Uint32(h[1:])}
	n := int(binary.BigEndian.Uint32(h[5:]))
	if resp.Status > StatusError {
		return Response{}, fmt.Errorf("%w %d", ErrUnknownStatus, resp.Status)
	}
	if n > limit {
		return Response{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, limit)
	}
	var err error
	if resp.Payload, err = readPayload(r, n, nil); err != nil {
		return Response{}, err
	}
	if err := readEnd(r); err != nil {
		return Response{}, err
	}
	return resp, nil
}

// ReadPush reads the next push of a stream. limit is the largest payload in
// bytes. It returns io.EOF where the stream ends between two frames, and
// ErrTruncated, ErrTooLarge or the reader's own error.
func ReadPush(r io.Reader, limit int) (Push, error) {
	var h [pushHeader]byte
	if _, err := io.ReadFull(r, h[:1]); err != nil {
		return Push{}, err
	}
	if err := readFull(r, h[1:]); err != nil {
		return Push{}, err
	}
	n := int(binary.BigEndian.Uint32(h[2:]))
	if n > limit {
		return Push{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, limit)
	}
	payload, err := readPayload(r, n, nil)
	if err != nil {
		return Push{}, err
	}
	return Push{Event: qpcv1.EventType(binary.BigEndian.Uint16(h[:])), Payload: payload}, nil
}

// firstChunk is what a declared length alone makes us allocate, and maxGrowth
// by how much more the buffer of a request grows at once.
const (
	firstChunk = 4 << 10
	maxGrowth  = 512 << 10
)

// readPayload reads n bytes. Its buffer doubles as bytes arrive, so that a
// header cannot make it allocate more than twice what was really sent; where
// grow is set, it is asked before, in steps of at most maxGrowth bytes, and its
// error ends the reading.
func readPayload(r io.Reader, n int, grow func(from, to int) error) ([]byte, error) {
	b := make([]byte, min(n, firstChunk))
	read := 0
	for {
		if err := readSteps(r, b, read, grow); err != nil {
			return nil, err
		}
		read = len(b)
		if read == n {
			return b, nil
		}
		grown := make([]byte, min(n, 2*read))
		copy(grown, b)
		b = grown
	}
}

// readSteps fills b from read on.
func readSteps(r io.Reader, b []byte, read int, grow func(from, to int) error) error {
	for read < len(b) {
		to := len(b)
		if grow != nil && read > 0 {
			to = min(to, read+maxGrowth)
			if err := grow(read, to); err != nil {
				return err
			}
		}
		if err := readFull(r, b[read:to]); err != nil {
			return err
		}
		read = to
	}
	return nil
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}

func readEnd(r io.Reader) error {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	switch {
	case err == nil:
		return ErrTrailing
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}
