package server

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"

	"quicprochat/server/bus"
	"quicprochat/server/config"
	"quicprochat/server/secrets"
	"quicprochat/server/session"
)

// OpenBus opens the bus that the configuration names. key is shared by the
// servers of a store; listener hears from the bus from now on.
type OpenBus func(cfg config.Bus, key [32]byte, listener bus.Listener, log *slog.Logger) (bus.Bus, error)

// WithBus makes the server open its bus by open where the configuration names
// one. Without it, as in a desktop app, a server is alone.
func WithBus(open OpenBus) Option { return func(s *Server) { s.openBus = open } }

// ErrNoBus: the configuration names a bus that this program cannot open.
var ErrNoBus = errors.New("this program runs one server alone: leave bus.url empty, or run qpc-server")

func (s *Server) connectBus(keys *secrets.Secrets) error {
	if s.cfg.Bus.URL == "" || s.openBus == nil {
		s.bus = bus.NewLocal()
		return nil
	}
	key, err := hkdf.Key(sha256.New, keys.Storage[:], nil, "qpc bus v1", 32)
	if err != nil {
		return fmt.Errorf("bus key: %w", err)
	}
	s.bus, err = s.openBus(s.cfg.Bus, [32]byte(key), listener{s}, s.log)
	return err
}

// BusHealth is nil while this server and those that share its store tell each
// other of new messages at once, and else says why they do not. A server that is
// alone is always well.
func (s *Server) BusHealth() error { return s.bus.Health() }

// relay gives endings to the bus, which is opened after those who need it.
type relay struct{ s *Server }

func (r relay) Relay(e session.Ending) { r.s.bus.Relay(e) }

// listener is what the bus tells the server.
type listener struct{ s *Server }

func (l listener) Ended(e session.Ending) { l.s.sessions.Ended(e) }

func (l listener) Missed() {
	select {
	case l.s.missed <- struct{}{}:
	default:
	}
}
