package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"quicprochat/server"
	"quicprochat/server/config"
)

// An invite handed out by the app serves a circle of friends.
const (
	inviteUses = 100
	inviteTTL  = 30 * 24 * time.Hour
)

var errNotRunning = errors.New("the server is not running")

// host runs the server inside the app. Its address is part of the links that
// people have, so the host and port chosen at first are kept for good.
type host struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	server *server.Server
	owner  *owner // nil until a profile is open
}

// newHost makes the host of a profile; its data lies beside the profile's.
func newHost(profile string, log *slog.Logger) *host {
	return &host{dir: filepath.Clean(profile) + "-server", log: log}
}

// Start implements controller.Host.
func (h *host) Start(ctx context.Context) (string, error) {
	if err := h.Resume(ctx); err != nil {
		return "", err
	}
	return h.Invite(ctx)
}

// Resume implements controller.Host.
func (h *host) Resume(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server != nil {
		return nil
	}
	address := h.address()
	s, err := h.listen(address)
	if err != nil && address == "" { // the usual port is taken: any other will do
		s, err = h.listen(net.JoinHostPort(config.GuessHost(), "0"))
	}
	if err != nil {
		return err
	}
	h.server = s
	h.promote(s)
	return nil
}

// Invite implements controller.Host.
func (h *host) Invite(ctx context.Context) (string, error) {
	h.mu.Lock()
	s := h.server
	h.mu.Unlock()
	if s == nil {
		return "", errNotRunning
	}
	link, err := s.CreateInvite(ctx, inviteUses, inviteTTL)
	if err != nil {
		return "", fmt.Errorf("make an invite: %w", err)
	}
	return link, nil
}

// Running implements controller.Host.
func (h *host) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.server != nil
}

// Shutdown stops the server, if it runs.
func (h *host) Shutdown(ctx context.Context) error {
	h.mu.Lock()
	s := h.server
	h.server = nil
	h.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.Shutdown(ctx)
}

// listen starts a server reachable at address, or at the default one where that
// is empty, and remembers the address.
func (h *host) listen(address string) (*server.Server, error) {
	cfg := server.DefaultConfig()
	cfg.DataDir = h.dir
	cfg.PublicHost = config.GuessHost()
	if name, err := os.Hostname(); err == nil {
		cfg.ServerName = name
	}
	if address != "" {
		public, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("the address of this server: %w", err)
		}
		cfg.PublicHost, cfg.Listen = public, ":"+port
	}
	s, err := server.New(cfg, h.log)
	if err != nil {
		return nil, fmt.Errorf("open the server: %w", err)
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server: %w", err), s.Shutdown(context.Background()))
	}
	return s, h.remember(cfg.PublicHost, s.Addr())
}

func (h *host) addressFile() string { return filepath.Join(h.dir, "address") }

// address is where the server was reachable when it first ran; empty before.
func (h *host) address() string {
	b, err := os.ReadFile(h.addressFile())
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (h *host) remember(public string, addr net.Addr) error {
	if h.address() != "" {
		return nil
	}
	port := config.DefaultPort
	if udp, ok := addr.(*net.UDPAddr); ok {
		port = udp.Port
	}
	if err := os.WriteFile(h.addressFile(), []byte(net.JoinHostPort(public, strconv.Itoa(port))+"\n"), 0o600); err != nil {
		return fmt.Errorf("remember the server's address: %w", err)
	}
	return nil
}
