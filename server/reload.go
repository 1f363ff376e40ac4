package server

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"quicprochat/server/config"
)

// live are the keys, or their beginnings, that take effect while the server
// runs. The log's level is its owner's to change.
var live = []string{"registration", "server_name", "log.level", "rates.", "limits.connections"}

func isLive(key string) bool {
	return slices.ContainsFunc(live, func(l string) bool { return key == l || strings.HasPrefix(key, l) })
}

// settings are what is in force now.
func (s *Server) settings() *Config { return s.inForce.Load() }

// Reload puts into force what of cfg can change while the server runs, and
// reads the files of its certificate again; connections stay. It returns the
// keys that differ and need a restart. After an error everything is as it was.
func (s *Server) Reload(cfg Config) (restart []string, err error) {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	if err := s.reload(cfg, &restart); err != nil {
		s.ReloadFailed(err)
		return nil, err
	}
	s.meters.reloads.Add(1, "ok")
	return restart, nil
}

// ReloadFailed notes that there is no configuration to reload, such as because
// its file cannot be read.
func (s *Server) ReloadFailed(err error) {
	s.meters.reloads.Add(1, "refused")
	s.log.Error("the configuration was not reloaded, the old one stays in force", "error", err)
}

func (s *Server) reload(cfg Config, restart *[]string) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	cert, err := s.certs.load(s.cfg, s.now())
	if err != nil {
		return err
	}
	old := s.settings()
	taken := []string{}
	for _, key := range config.Changed(*old, cfg) {
		if isLive(key) {
			taken = append(taken, key)
		} else {
			*restart = append(*restart, key)
		}
	}
	next := *old
	next.Registration, next.ServerName, next.Log.Level, next.Rates = cfg.Registration, cfg.ServerName, cfg.Log.Level, cfg.Rates
	next.Limits.Connections, next.Limits.ConnectionsPerAddress = cfg.Limits.Connections, cfg.Limits.ConnectionsPerAddress
	renewed := !bytes.Equal(s.certs.current.Swap(cert).Certificate[0], cert.Certificate[0])
	s.limiter.SetRates(callRates(next.Rates))
	s.logins.SetRates(loginRates(next.Rates))
	s.conns.SetLimits(next.Limits.Connections, next.Limits.ConnectionsPerAddress)
	s.inForce.Store(&next)
	attrs := []any{"changed", strings.Join(taken, ", ")}
	if renewed {
		attrs = append(attrs, "certificate_valid_until", s.certs.expiry().Format(time.DateOnly))
	}
	if len(*restart) > 0 {
		attrs = append(attrs, "needs_a_restart", strings.Join(*restart, ", "))
	}
	s.log.Info("configuration reloaded", attrs...)
	return nil
}
