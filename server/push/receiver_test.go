package push

import (
	"crypto/ecdh"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// receiver is a push service and the device behind it.
type receiver struct {
	t      *testing.T
	server *httptest.Server
	key    *ecdh.PrivateKey
	auth   []byte

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request)
	came   []*http.Request
	bodies [][]byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, key: key, auth: []byte("0123456789abcdef")}
	r.server = httptest.NewTLSServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	r.came, r.bodies = append(r.came, req), append(r.bodies, body)
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, req)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

func (r *receiver) status(code int, headers ...string) {
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(code)
	})
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.came)
}

func (r *receiver) request(path string) *qpcv1.RegisterPushRequest {
	return &qpcv1.RegisterPushRequest{Endpoint: r.server.URL + path, P256Dh: r.key.PublicKey().Bytes(), Auth: r.auth}
}
