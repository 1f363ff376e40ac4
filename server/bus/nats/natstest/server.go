// Package natstest runs a NATS in the process of a test.
package natstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Server is a NATS that can be stopped and started again.
type Server struct {
	t       testing.TB
	options server.Options
	running *server.Server
}

// New reserves an address for a NATS that does not run yet. change, where it is
// not nil, sets what a test wants to be different.
func New(t testing.TB, change func(*server.Options)) *Server {
	t.Helper()
	s := &Server{t: t, options: server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true}}
	if change != nil {
		change(&s.options)
	}
	s.Start()
	s.Stop()
	t.Cleanup(s.Stop)
	return s
}

// Run gives a NATS that runs until the test ends.
func Run(t testing.TB) *Server {
	t.Helper()
	s := New(t, nil)
	s.Start()
	return s
}

// URL is where it can be reached.
func (s *Server) URL() string { return fmt.Sprintf("nats://%s:%d", s.options.Host, s.options.Port) }

// Start starts it, at the same address as before.
func (s *Server) Start() {
	s.t.Helper()
	options := s.options
	running, err := server.NewServer(&options)
	if err != nil {
		s.t.Fatal(err)
	}
	running.Start()
	if !running.ReadyForConnections(30 * time.Second) {
		s.t.Fatal("NATS does not start")
	}
	if s.options.Port == server.RANDOM_PORT {
		s.options.Port = options.Port
	}
	s.running = running
}

// Stop ends it and every connection to it.
func (s *Server) Stop() {
	if s.running != nil {
		s.running.Shutdown()
		s.running.WaitForShutdown()
		s.running = nil
	}
}
