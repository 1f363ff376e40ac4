package fake

import (
	"context"
	"errors"
	"slices"
	"sync"

	"quicprochat/core/client"
	"quicprochat/ui/controller"
)

// SDK is a controller.SDK that hands out one session, or an error.
type SDK struct {
	Session *Session
	Profile bool
	Info    client.ServerInfo
	// Recovered makes Recover give a code although it fails.
	Recovered bool

	mu     sync.Mutex
	errs   map[string]error
	probes int
}

// Fail makes Probe, Register, Login or Open fail.
func (s *SDK) Fail(call string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.errs == nil {
		s.errs = map[string]error{}
	}
	s.errs[call] = err
}

// Probes is how often a server was asked.
func (s *SDK) Probes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.probes
}

// HasProfile implements controller.SDK.
func (s *SDK) HasProfile() bool { return s.Profile }

// Probe implements controller.SDK.
func (s *SDK) Probe(context.Context, client.Link) (client.ServerInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes++
	return s.Info, s.errs["Probe"]
}

// Register implements controller.SDK.
func (s *SDK) Register(_ context.Context, _ client.Link, name, _ string) (controller.Session, error) {
	return s.enter("Register", name)
}

// Login implements controller.SDK.
func (s *SDK) Login(_ context.Context, _ client.Link, name, _ string) (controller.Session, error) {
	return s.enter("Login", name)
}

// NextCode is the recovery code that Recover answers with.
const NextCode = "7ZQ6-75GG-TFVX-V084-BHGQ-TC4B-W5M3"

// Recover implements controller.SDK.
func (s *SDK) Recover(_ context.Context, _ client.Link, name, _, _ string) (controller.Session, string, error) {
	session, err := s.enter("Recover", name)
	if err != nil && !s.Recovered {
		return nil, "", err
	}
	return session, NextCode, err
}

// Open implements controller.SDK.
func (s *SDK) Open(context.Context, string) (controller.Session, error) { return s.enter("Open", "") }

func (s *SDK) enter(call, name string) (controller.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.errs[call]; err != nil {
		return nil, err
	}
	if name != "" {
		s.Session.Name = name
	}
	return s.Session, nil
}

// Host is a controller.Host that only counts.
type Host struct {
	Err error

	mu      sync.Mutex
	running bool
	links   int
}

// ErrHost is an error for Host.Err.
var ErrHost = errors.New("fake: the port is taken")

// Start implements controller.Host.
func (h *Host) Start(ctx context.Context) (string, error) {
	if err := h.Resume(ctx); err != nil {
		return "", err
	}
	return h.Invite(ctx)
}

// Resume implements controller.Host.
func (h *Host) Resume(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.Err != nil {
		return h.Err
	}
	h.running = true
	return nil
}

// Invite implements controller.Host.
func (h *Host) Invite(context.Context) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links++
	return Link(h.links), h.Err
}

// Running implements controller.Host.
func (h *Host) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running
}

// Link is a well-formed invite link; different numbers make different ones.
func Link(n int) string {
	return client.Link{Host: "192.168.1.20", Port: 4433, Pin: slices.Repeat([]byte{byte(n)}, 32), Token: slices.Repeat([]byte{7}, 16)}.String()
}
