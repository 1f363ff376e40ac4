package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
)

const (
	healthID  = 0x0E01
	resolveID = 0x0501
)

// send writes raw bytes as a stream of their own and returns the response.
func send(t *testing.T, c *Conn, raw []byte) (Response, error) {
	t.Helper()
	stream, err := c.quic.OpenStreamSync(testContext(t))
	if err != nil {
		return Response{}, err
	}
	defer stream.CancelRead(0)
	if _, err := stream.Write(raw); err != nil && !remoteReset(err) {
		return Response{}, err
	}
	_ = stream.Close()
	_ = stream.SetReadDeadline(time.Now().Add(patience))
	return ReadResponse(stream, MaxResponse)
}

func errorCode(t *testing.T, r Response) qpcv1.ErrorCode {
	t.Helper()
	var e qpcv1.Error
	if err := proto.Unmarshal(r.Payload, &e); err != nil || r.Status != StatusError {
		t.Fatalf("status %d, %v", r.Status, err)
	}
	return e.GetCode()
}

// badRequests are frames that no client should send.
func badRequests() map[string]struct {
	raw  []byte
	id   uint32
	code qpcv1.ErrorCode
} {
	type bad = struct {
		raw  []byte
		id   uint32
		code qpcv1.ErrorCode
	}
	const (
		malformed = qpcv1.ErrorCode_ERROR_CODE_MALFORMED
		unknown   = qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD
		tooLarge  = qpcv1.ErrorCode_ERROR_CODE_TOO_LARGE
	)
	frame := func(method uint16, payload []byte) []byte {
		return AppendRequest(nil, Request{Method: method, ID: 77, Payload: payload})
	}
	huge := frame(resolveID, nil)
	binary.BigEndian.PutUint32(huge[6:], 0xffffffff)
	text := []byte{0x0a, 2, 0xff, 0xfe} // a string that is not UTF-8
	return map[string]bad{
		"nothing":               {nil, 0, malformed},
		"half a header":         {frame(healthID, nil)[:5], 0, malformed},
		"half a payload":        {frame(resolveID, []byte{0x0a, 1, 'a'})[:requestHeader+2], 77, malformed},
		"trailing bytes":        {append(frame(healthID, nil), 0), 77, malformed},
		"two frames":            {append(frame(healthID, nil), frame(healthID, nil)...), 77, malformed},
		"unknown method":        {frame(0xfffe, []byte("x")), 77, unknown},
		"method zero":           {frame(0, nil), 77, unknown},
		"above max_payload":     {frame(healthID, make([]byte, 65)), 77, tooLarge},
		"far above max_payload": {frame(resolveID, make([]byte, 8<<20)), 77, tooLarge},
		"a length of 4 GiB":     {huge, 77, tooLarge},
		"not protobuf":          {frame(resolveID, []byte{0xff, 0xff, 0xff}), 77, malformed},
		"not UTF-8":             {frame(resolveID, text), 77, malformed},
	}
}

func TestMalformedRequestsAreAnswered(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
	for name, bad := range badRequests() {
		r, err := send(t, c, bad.raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := errorCode(t, r); got != bad.code || r.ID != bad.id {
			t.Errorf("%s: %v for request %d", name, got, r.ID)
		}
		mustHealth(t, c)
	}
}

func TestUnknownFieldsAreTolerated(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
	r, err := send(t, c, AppendRequest(nil, Request{Method: resolveID, ID: 5, Payload: []byte{0x0a, 1, 'a', 0xfa, 0x7f, 1, 'x'}}))
	var resp qpcv1.ResolveUserResponse
	if err != nil || r.Status != StatusOK || proto.Unmarshal(r.Payload, &resp) != nil || string(resp.GetAccountId()) != "a" {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestGarbageDropsTheConnection(t *testing.T) {
	for name, bad := range badRequests() {
		t.Run(name, func(t *testing.T) {
			c := serve(t, healthRouter(), ServeOptions{}).dial(t, DialOptions{})
			for range maxMalformed {
				if _, err := send(t, c, bad.raw); err != nil {
					t.Fatal(err)
				}
			}
			mustHealth(t, c)
			if _, err := send(t, c, bad.raw); err == nil {
				t.Error("answered")
			}
			receive(t, c.Done(), "the connection's end")
			if closed, ok := errors.AsType[*ClosedError](c.Err()); !ok || closed.Code != CloseMalformed || !closed.Remote {
				t.Errorf("%v", c.Err())
			}
		})
	}
}

// What a well-behaved client does must never count as garbage.
func TestRefusalsAreNotGarbage(t *testing.T) {
	r := healthRouter()
	Handle(r, func(context.Context, *Peer, *qpcv1.FetchRequest) (*qpcv1.FetchResponse, error) {
		return &qpcv1.FetchResponse{}, nil
	})
	c := serve(t, r, ServeOptions{}).dial(t, DialOptions{})
	for range 2 * maxMalformed {
		if err := c.Call(testContext(t), &qpcv1.FetchRequest{}, &qpcv1.FetchResponse{}); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION {
			t.Fatal(err)
		}
		if err := c.Call(testContext(t), &qpcv1.InfoRequest{}, &qpcv1.InfoResponse{}); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_METHOD {
			t.Fatal(err)
		}
		stream, err := c.quic.OpenStreamSync(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = stream.Write([]byte{1})
		stream.CancelWrite(0)
		stream.CancelRead(0)
	}
	mustHealth(t, c)
}

func TestSilentStreamsTimeOut(t *testing.T) {
	c := serve(t, healthRouter(), ServeOptions{ReadTimeout: 50 * time.Millisecond}).dial(t, DialOptions{})
	for _, part := range [][]byte{{0}, AppendRequest(nil, Request{Method: resolveID, ID: 1, Payload: []byte("x")})[:requestHeader]} {
		stream, err := c.quic.OpenStreamSync(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write(part); err != nil { // and never more
			t.Fatal(err)
		}
		_ = stream.SetReadDeadline(time.Now().Add(patience))
		r, err := ReadResponse(stream, MaxResponse)
		if err != nil {
			t.Fatal(err)
		}
		if got := errorCode(t, r); got != qpcv1.ErrorCode_ERROR_CODE_MALFORMED {
			t.Error(got)
		}
		stream.CancelWrite(0)
	}
	mustHealth(t, c)
}

// badServer answers the n-th request with the n-th of its answers.
func badServer(t *testing.T, answers ...func(Request) []byte) Link {
	t.Helper()
	ln, link := listenRaw(t, ServerTLS(certificate()))
	go func() {
		conn, err := ln.Accept(context.Background())
		if err != nil {
			return
		}
		for _, answer := range answers {
			stream, err := conn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			req, err := ReadRequest(stream, admitAll)
			if err != nil {
				return
			}
			if b := answer(req); b != nil {
				_, _ = stream.Write(b)
				_ = stream.Close()
			} else {
				stream.CancelWrite(9)
			}
		}
		<-conn.Context().Done()
	}()
	return link
}

func TestMalformedResponses(t *testing.T) {
	respond := func(r Response) func(Request) []byte {
		return func(req Request) []byte {
			return AppendResponse(nil, Response{Status: r.Status, ID: req.ID + r.ID, Payload: r.Payload})
		}
	}
	ok := respond(Response{})
	cut := func(n int) func(Request) []byte {
		return func(req Request) []byte { return respond(Response{Payload: []byte("payload")})(req)[:n] }
	}
	cases := []struct {
		name   string
		answer func(Request) []byte
		want   error
	}{
		{"another request's id", respond(Response{ID: 1}), ErrWrongRequest},
		{"unknown status", respond(Response{Status: 2}), ErrUnknownStatus},
		{"nothing", cut(0), ErrTruncated},
		{"half a header", cut(4), ErrTruncated},
		{"half a payload", cut(responseHeader + 3), ErrTruncated},
		{"trailing bytes", func(r Request) []byte { return append(ok(r), 0) }, ErrTrailing},
		{"not protobuf", respond(Response{Payload: []byte{0xff}}), ErrMalformed},
		{"not an error", respond(Response{Status: StatusError, Payload: []byte{0xff}}), ErrMalformed},
		{"a reset", func(Request) []byte { return nil }, ErrTruncated},
		{"too large", func(r Request) []byte {
			return append(ok(r)[:responseHeader-4], 0xff, 0xff, 0xff, 0xff)
		}, ErrTooLarge},
	}
	var answers []func(Request) []byte
	for _, c := range cases {
		answers = append(answers, c.answer, ok)
	}
	c, err := Dial(testContext(t), badServer(t, answers...), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range cases {
		if err := callHealth(t, c); !errors.Is(err, tc.want) || errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", tc.name, err)
		}
		mustHealth(t, c)
	}
}

func TestErrorWithoutCodeIsInternal(t *testing.T) {
	answer := func(r Request) []byte { return AppendResponse(nil, Response{Status: StatusError, ID: r.ID}) }
	c, err := Dial(testContext(t), badServer(t, answer), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := callHealth(t, c); CodeOf(err) != qpcv1.ErrorCode_ERROR_CODE_INTERNAL {
		t.Error(err)
	}
}

func TestMalformedPushClosesTheConnection(t *testing.T) {
	for name, raw := range map[string][]byte{
		"truncated": {0, 1, 0},
		"too large": {0, 1, 0xff, 0xff, 0xff, 0xff},
		"an end":    {},
	} {
		t.Run(name, func(t *testing.T) {
			ln, link := listenRaw(t, ServerTLS(certificate()))
			c, err := Dial(testContext(t), link, DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			conn, err := ln.Accept(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			stream, err := conn.OpenUniStream()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(stream, bytes.NewReader(raw))
			_ = stream.Close()
			receive(t, c.Done(), "the connection's end")
			if closed, ok := errors.AsType[*ClosedError](c.Err()); !ok || closed.Code != CloseMalformed || closed.Remote {
				t.Errorf("%v", c.Err())
			}
		})
	}
}
