package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"quicprochat/core/wire"
	"quicprochat/server/storage"
)

// Part is a part of the server in a plain sentence.
type Part struct {
	Name string `json:"part"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
}

const (
	// watchInterval is how often the server looks itself over.
	watchInterval = 10 * time.Second
	// lookTime bounds a look at one part.
	lookTime = 3 * time.Second
	// lookAgain is for how long what was found is not looked for again.
	lookAgain = time.Second
)

// health is what was found when the server was looked over last.
type health struct {
	looking sync.Mutex // held while somebody looks
	again   time.Duration

	mu    sync.Mutex
	at    time.Time
	parts []Part
	stuck map[string]bool // parts at which a look has not come back
}

// begin notes that a part is looked at, unless an earlier look has not come
// back.
func (h *health) begin(part string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stuck[part] {
		return false
	}
	if h.stuck == nil {
		h.stuck = make(map[string]bool)
	}
	h.stuck[part] = true
	return true
}

func (h *health) end(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.stuck, part)
}

func (h *health) last() (parts []Part, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.parts, h.at
}

// figures gives 1 for each part that can do its work and 0 for each that
// cannot.
func (h *health) figures() map[string]float64 {
	parts, _ := h.last()
	figures := make(map[string]float64, len(parts))
	for _, p := range parts {
		figures[p.Name] = 0
		if p.OK {
			figures[p.Name] = 1
		}
	}
	return figures
}

// errNotServing: clients cannot connect.
var errNotServing = errors.New("clients cannot connect: the server has not started, or has stopped")

// errStuck: a part was asked before and does not answer.
var errStuck = errors.New("it hangs: an earlier look has not come back")

// Ready looks the server over and says of each part whether it can do its
// work. It returns within a few seconds; findings of the last second are
// given again. To see whether the disk can be written to, it writes.
func (s *Server) Ready(ctx context.Context) []Part { return s.ready(ctx, true) }

// ready is Ready; unless write is set it writes to no disk that is in no
// trouble.
func (s *Server) ready(ctx context.Context, write bool) []Part {
	s.health.looking.Lock()
	defer s.health.looking.Unlock()
	if parts, at := s.health.last(); time.Since(at) < s.health.again {
		return parts
	}
	looks := s.looks(write)
	parts := make([]Part, len(looks))
	var wg sync.WaitGroup
	for i, l := range looks {
		wg.Go(func() { parts[i] = s.look(ctx, l) })
	}
	wg.Wait()
	if ctx.Err() != nil {
		return parts // they may say no more than that the caller had no time
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	s.health.parts, s.health.at = parts, time.Now()
	return parts
}

// look is one at a part: it gives an error, or what to say where all is well.
type look struct {
	part string
	do   func(context.Context) (fine string, err error)
}

func (s *Server) looks(write bool) []look {
	looks := []look{
		{partServing, func(context.Context) (string, error) { return "clients can connect", s.serving() }},
		{partStore, func(ctx context.Context) (string, error) { return "the database answers", s.store.Ping(ctx) }},
		{partBlobs, func(ctx context.Context) (string, error) { return "the store of files answers", s.objects.Check(ctx) }},
		{partClock, func(context.Context) (string, error) { return "the clock runs steadily", s.clock.check() }},
	}
	if s.cfg.Bus.URL != "" { // else there is nobody to tell
		looks = append(looks, look{partBus, func(context.Context) (string, error) { return "servers hear of each other's messages", s.BusHealth() }})
	}
	if s.cfg.Store.URL == "" || s.cfg.BlobURL == "" { // else the folder holds keys only
		write = write || s.troubles.of(partDisk) != nil || s.troubles.of(partStore) != nil
		looks = append(looks, look{partDisk, func(context.Context) (string, error) { return s.lookAtDisk(write) }})
	}
	return looks
}

func (s *Server) look(ctx context.Context, l look) Part {
	limited, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	fine, err := s.within(limited, l)
	switch {
	case ctx.Err() != nil:
		return Part{l.part, false, "there was no time to look"}
	case errors.Is(err, storage.ErrClosed): // it is being stopped
		return Part{l.part, false, err.Error()}
	case limited.Err() != nil && err != nil:
		err = fmt.Errorf("no answer within %v: %w", lookTime, err)
	}
	if err != nil {
		err = withoutPath(err)
		s.troubles.happened(l.part, err)
		return Part{l.part, false, err.Error()}
	}
	s.troubles.fine(l.part)
	if err := s.troubles.of(l.part); err != nil { // calls have failed a moment ago
		return Part{l.part, false, err.Error()}
	}
	return Part{l.part, true, fine}
}

// within does a look and comes back when ctx ends, even where the look does
// not: a write to a disk that hangs cannot be called off. Such a look goes on by
// itself, and there is no other at that part until it is over.
func (s *Server) within(ctx context.Context, l look) (fine string, err error) {
	if !s.health.begin(l.part) {
		return "", errStuck
	}
	done := make(chan struct{})
	var text string
	var failure error
	go func() {
		defer close(done)
		defer s.health.end(l.part)
		text, failure = l.do(ctx)
	}()
	select {
	case <-done:
		return text, failure
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (s *Server) serving() error {
	select {
	case <-s.ended:
		return errNotServing
	default:
	}
	if s.Addr() == nil {
		return errNotServing
	}
	return nil
}

// watch looks the server over until ctx ends, so that troubles are noticed
// where nobody asks. It keeps no sleeping disk awake.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		s.ready(ctx, false)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Alive tells whether the server still takes packets from the network and
// answers them.
func (s *Server) Alive(ctx context.Context) error {
	if err := s.serving(); err != nil {
		return err
	}
	udp, ok := s.Addr().(*net.UDPAddr)
	if !ok {
		return nil
	}
	to := udp.AddrPort()
	ip := to.Addr().Unmap()
	switch {
	case ip == netip.IPv6Unspecified(), ip == netip.IPv4Unspecified():
		// a socket for both families answers on IPv4, too; where there is no
		// IPv4, on the other
		err := wire.Probe(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port()))
		if err != nil && ip.Is6() {
			err = wire.Probe(ctx, netip.AddrPortFrom(netip.IPv6Loopback(), to.Port()))
		}
		return err
	}
	return wire.Probe(ctx, netip.AddrPortFrom(ip, to.Port()))
}
