package wire

import (
	"net"
	"sync"
	"testing"
)

// relay passes packets between one client and a server that can be exchanged
// under it.
type relay struct {
	front, back *net.UDPConn
	wg          sync.WaitGroup

	mu             sync.Mutex
	client, server *net.UDPAddr
}

func newRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{
		front: listen(t, "127.0.0.1:0").(*net.UDPConn),
		back:  listen(t, "127.0.0.1:0").(*net.UDPConn),
	}
	r.wg.Go(func() {
		pump(r.front, r.back, func(from *net.UDPAddr) *net.UDPAddr { r.client = from; return r.server }, &r.mu)
	})
	r.wg.Go(func() { pump(r.back, r.front, func(*net.UDPAddr) *net.UDPAddr { return r.client }, &r.mu) })
	t.Cleanup(func() {
		_ = r.front.Close()
		_ = r.back.Close()
		r.wg.Wait()
	})
	return r
}

func pump(in, out *net.UDPConn, route func(from *net.UDPAddr) *net.UDPAddr, mu *sync.Mutex) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := in.ReadFromUDP(b)
		if err != nil {
			return
		}
		mu.Lock()
		to := route(from)
		mu.Unlock()
		if to != nil {
			_, _ = out.WriteToUDP(b[:n], to)
		}
	}
}

func (r *relay) port() int { return r.front.LocalAddr().(*net.UDPAddr).Port }

func (r *relay) forwardTo(addr string) {
	a, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		panic(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = a
}

// cut lets nothing through to the server any more.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.server = nil
}
