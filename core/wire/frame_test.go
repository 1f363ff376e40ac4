package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	qpcv1 "quicprochat/proto/qpc/v1"
)

func admitAll(uint16, int) error { return nil }

func TestFrameBytes(t *testing.T) {
	payload := []byte{0xaa, 0xbb}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"request", AppendRequest(nil, Request{Method: 0x0102, ID: 0x03040506, Payload: payload}), "0102030405060000" + "0002aabb"},
		{"response", AppendResponse(nil, Response{Status: StatusError, ID: 0x03040506, Payload: payload}), "010304050600000002aabb"},
		{"push", AppendPush(nil, Push{Event: 0x0102, Payload: payload}), "010200000002aabb"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOf(rapid.Byte()).Draw(t, "payload")
		if rapid.Bool().Draw(t, "large") {
			payload = bytes.Repeat([]byte{7}, rapid.IntRange(firstChunk-2, 3*firstChunk).Draw(t, "size"))
		}
		id := rapid.Uint32().Draw(t, "id")
		req := Request{Method: rapid.Uint16().Draw(t, "method"), ID: id, Payload: payload}
		gotReq, err := ReadRequest(iotest.HalfReader(bytes.NewReader(AppendRequest(nil, req))), admitAll)
		if err != nil || gotReq.Method != req.Method || gotReq.ID != id || !bytes.Equal(gotReq.Payload, payload) {
			t.Fatalf("request: %v", err)
		}
		resp := Response{Status: Status(rapid.IntRange(0, 1).Draw(t, "status")), ID: id, Payload: payload}
		gotResp, err := ReadResponse(iotest.DataErrReader(bytes.NewReader(AppendResponse(nil, resp))), len(payload))
		if err != nil || gotResp.Status != resp.Status || gotResp.ID != id || !bytes.Equal(gotResp.Payload, payload) {
			t.Fatalf("response: %v", err)
		}
		push := Push{Event: qpcv1.EventType(rapid.Uint16().Draw(t, "event")), Payload: payload}
		stream := bytes.NewReader(AppendPush(AppendPush(nil, push), push))
		for range 2 {
			got, err := ReadPush(stream, len(payload))
			if err != nil || got.Event != push.Event || !bytes.Equal(got.Payload, payload) {
				t.Fatalf("push: %v", err)
			}
		}
		if _, err := ReadPush(stream, len(payload)); err != io.EOF {
			t.Fatalf("after the last push: %v", err)
		}
	})
}

// decoders reads any frame by its kind, so that tests can treat all alike.
var decoders = map[string]func(r io.Reader, limit int) error{
	"request": func(r io.Reader, limit int) error {
		_, err := ReadRequest(r, func(_ uint16, n int) error {
			if n > limit {
				return ErrTooLarge
			}
			return nil
		})
		return err
	},
	"response": func(r io.Reader, limit int) error { _, err := ReadResponse(r, limit); return err },
	"push":     func(r io.Reader, limit int) error { _, err := ReadPush(r, limit); return err },
}

func encoded(kind string, payload []byte) []byte {
	switch kind {
	case "request":
		return AppendRequest(nil, Request{Method: 1, ID: 2, Payload: payload})
	case "response":
		return AppendResponse(nil, Response{ID: 2, Payload: payload})
	}
	return AppendPush(nil, Push{Event: 1, Payload: payload})
}

func TestBadFrames(t *testing.T) {
	for kind, decode := range decoders {
		frame := encoded(kind, []byte("payload"))
		for n := range frame {
			want := ErrTruncated
			if n == 0 && kind == "push" {
				want = io.EOF
			}
			if err := decode(bytes.NewReader(frame[:n]), 100); !errors.Is(err, want) {
				t.Errorf("%s of %d bytes: %v", kind, n, err)
			}
		}
		if err := decode(bytes.NewReader(frame), 6); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s above its limit: %v", kind, err)
		}
		if err := decode(bytes.NewReader(append(frame, 0)), 100); kind != "push" && !errors.Is(err, ErrTrailing) {
			t.Errorf("%s with a trailing byte: %v", kind, err)
		}
		broken := errors.New("broken")
		r := io.MultiReader(bytes.NewReader(frame[:len(frame)-1]), iotest.ErrReader(broken))
		if err := decode(r, 100); !errors.Is(err, broken) {
			t.Errorf("%s from a failing reader: %v", kind, err)
		}
	}
	frame := AppendResponse(nil, Response{Status: 2, ID: 1})
	if _, err := ReadResponse(bytes.NewReader(frame), 0); !errors.Is(err, ErrUnknownStatus) {
		t.Errorf("unknown status: %v", err)
	}
}

// A header alone must not make a decoder allocate what it declares.
func TestDecodersAllocateWhatArrives(t *testing.T) {
	for kind, decode := range decoders {
		frame := encoded(kind, make([]byte, 16<<20))[:200<<10]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := decode(bytes.NewReader(frame), 16<<20); !errors.Is(err, ErrTruncated) {
			t.Errorf("%s: %v", kind, err)
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes allocated for 200 KiB of input", kind, n)
		}
	}
}

func TestRequestHeaderSurvivesErrors(t *testing.T) {
	frame := AppendRequest(nil, Request{Method: 7, ID: 9, Payload: []byte("abc")})
	for _, input := range [][]byte{frame[:requestHeader], frame[:requestHeader+1], append(frame, 1)} {
		if req, err := ReadRequest(bytes.NewReader(input), admitAll); err == nil || req.ID != 9 || req.Method != 7 || req.Payload != nil {
			t.Errorf("%x: %+v, %v", input, req, err)
		}
	}
}

func FuzzReadRequest(f *testing.F) { fuzzFrame(f, "request") }

func FuzzReadResponse(f *testing.F) { fuzzFrame(f, "response") }

func FuzzReadPush(f *testing.F) { fuzzFrame(f, "push") }

func fuzzFrame(f *testing.F, kind string) {
	f.Add(encoded(kind, nil))
	f.Add(encoded(kind, []byte("payload")))
	f.Add(encoded(kind, []byte("payload"))[:5])
	f.Add(append(encoded(kind, nil), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 20
		r := bytes.NewReader(b)
		var again []byte
		switch kind {
		case "request":
			if req, err := ReadRequest(r, admitAll); err == nil {
				again = AppendRequest(nil, req)
			}
		case "response":
			if resp, err := ReadResponse(r, limit); err == nil {
				again = AppendResponse(nil, resp)
			}
		case "push":
			if push, err := ReadPush(r, limit); err == nil {
				again = append(AppendPush(nil, push), b[len(b)-r.Len():]...)
			}
		}
		if again != nil && !bytes.Equal(again, b) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}
