package push

import (
	"testing"

	"google.golang.org/protobuf/proto"

	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// Whatever a device sends, it is refused, or can be stored, read again and
// used.
func FuzzRegistration(f *testing.F) {
	key := unbase64(f, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
	for _, endpoint := range []string{"https://push.example.org/x", "http://127.0.0.1:9/", "https://[::1]/", "://", "https://a b/"} {
		f.Add(endpoint, key, make([]byte, 16))
	}
	v, err := newVault([32]byte{1})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, endpoint string, key, auth []byte) {
		req := &qpcv1.RegisterPushRequest{Endpoint: endpoint, P256Dh: key, Auth: auth}
		r, err := parseRegistration(req, loopback)
		if err != nil {
			return
		}
		sealed, err := v.seal(storage.QueueID{1}, req)
		if err != nil {
			return // such as one that is no UTF-8
		}
		again, err := v.open(storage.QueueID{1}, sealed)
		if err != nil || !proto.Equal(again, req) {
			t.Errorf("%v, %v", again, err)
		}
		if _, err := emptyMessage(r); err != nil {
			t.Error(err)
		}
		if r.endpoint.Scheme != "https" && r.endpoint.Scheme != "http" {
			t.Errorf("scheme %q", r.endpoint.Scheme)
		}
	})
}
