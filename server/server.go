// Package server is the whole server in one value: New opens it, Start lets
// people in, Shutdown closes it. It touches nothing outside its data folder
// and its socket, so that several can live in one process, such as a desktop
// app that hosts one for its friends.
package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"quicprochat/core/version"
	"quicprochat/core/wire"
	"quicprochat/server/auth"
	"quicprochat/server/blob"
	"quicprochat/server/bus"
	"quicprochat/server/config"
	"quicprochat/server/mint"
	"quicprochat/server/moderation"
	"quicprochat/server/push"
	"quicprochat/server/queue"
	"quicprochat/server/ratelimit"
	"quicprochat/server/secrets"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Config is everything that can be set; see [config.Config].
type Config = config.Config

// DefaultConfig is a Config that lacks only DataDir.
func DefaultConfig() Config { return config.Default() }

// GCPercent is for programs that do nothing but serve, to be set with
// debug.SetGCPercent: what waits for collection is a good part of what an idle
// connection takes, and posts wait for the disk rather than for the collector.
const GCPercent = 40

// blobFolder holds blobs, in the data folder.
const blobFolder = blob.FolderName

// inviteTokenSize is in bytes.
const inviteTokenSize = 16

// ErrRunning is returned by Start where the server was started before.
var ErrRunning = errors.New("server: already started")

// ErrInviteTerms is returned by CreateInvite for an invite that nobody could
// use.
var ErrInviteTerms = errors.New("server: an invite needs at least one use and a time in which it is valid")

// ErrNoBucket is returned by Start where the configuration names a bucket for
// blobs and this program has opened none.
var ErrNoBucket = errors.New("server: blob_url is set, but this program keeps blobs in a folder only")

// Server is a server. Its methods are safe for concurrent use.
type Server struct {
	cfg   Config // as it was at the start; settings has what is in force
	log   *slog.Logger
	now   func() time.Time
	made  time.Time
	certs *certificates
	store storage.Store
	open  OpenStore // nil: there is only the file
	bus   bus.Bus

	openBus OpenBus // nil: there is only this node
	missed  chan struct{}
	pause   func() time.Duration // between looks for what the bus lost

	inForce   atomic.Pointer[Config]
	reloading sync.Mutex

	meters    *meters
	troubles  *troubles
	health    health
	clock     *wallClock
	leastFree int64 // bytes

	conns    *wire.Connections
	limiter  *ratelimit.Limiter // of calls
	logins   *ratelimit.Limiter
	sessions *session.Registry
	queues   *queue.Service
	objects  blob.Objects
	blobs    *blob.Service
	// moderation is also what commands on the server's files go through.
	moderation *moderation.Service
	pushes     *push.Service
	mint       *mint.Mint
	router     *wire.Router

	tasks sync.WaitGroup
	ended chan struct{}

	mu       sync.Mutex
	addr     net.Addr           // nil before Start
	stop     context.CancelFunc // nil before Start
	closed   bool
	serveErr error // why serving ended by itself
}

// Option changes what New takes for granted.
type Option func(*Server)

// WithClock makes the server take the time from now, which it believes whatever
// it says. Connections and TLS keep to the machine's clock.
func WithClock(now func() time.Time) Option {
	return func(s *Server) {
		began := now()
		s.now, s.clock = now, newWallClock(now, func() time.Duration { return now().Sub(began) })
	}
}

// WithObjects makes the server keep blobs in a bucket instead of its data
// folder, and close it when it is shut down.
func WithObjects(objects blob.Objects) Option { return func(s *Server) { s.objects = objects } }

// New opens the data folder of cfg, making it, its keys and its database where
// they do not exist. It lets nobody in; a Server that is never started must be
// shut down all the same. A nil log logs nothing.
//
// Errors say in words what is wrong with the configuration, the folder, the
// keys (see package secrets) or the database (see package storage).
func New(cfg Config, log *slog.Logger, options ...Option) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, now: time.Now, made: time.Now(), meters: newMeters(), leastFree: leastFree,
		missed: make(chan struct{}, 1), pause: pause, ended: make(chan struct{}),
	}
	s.clock = newWallClock(time.Now, uptime)
	s.inForce.Store(&cfg)
	for _, option := range options {
		option(s)
	}
	s.troubles = newTroubles(log, s.meters)
	s.log = slog.New(troubleHandler{log.Handler(), s.troubles})
	s.health.again = lookAgain
	if exists(filepath.Join(cfg.DataDir, secrets.RestoringName)) {
		return nil, ErrRestoring
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	keys, err := secrets.Load(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("server keys: %w", err)
	}
	if s.certs, err = newCertificates(cfg, s.now()); err != nil {
		return nil, fmt.Errorf("TLS certificate: %w", err)
	}
	if s.store, err = s.openStore(keys); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	if err := s.openObjects(); err != nil {
		return nil, errors.Join(fmt.Errorf("folder of blobs: %w", err), s.store.Close())
	}
	s.sessions = session.NewRegistry(s.store, relay{s})
	if err := s.connectBus(keys); err != nil {
		return nil, errors.Join(err, s.objects.Close(), s.store.Close())
	}
	if err := s.wire(keys, s.bus); err != nil {
		return nil, errors.Join(err, s.bus.Close(), s.objects.Close(), s.store.Close())
	}
	return s, nil
}

// openObjects opens the folder of blobs where there is no bucket.
func (s *Server) openObjects() (err error) {
	if s.objects != nil {
		return nil
	}
	s.objects, err = blob.OpenFolder(filepath.Join(s.cfg.DataDir, blobFolder))
	return err
}

// Start listens and serves until Shutdown. It returns when clients can
// connect.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil || s.closed {
		return ErrRunning
	}
	if _, folder := s.objects.(*blob.Folder); folder && s.cfg.BlobURL != "" {
		return ErrNoBucket
	}
	if s.cfg.Bus.URL != "" && s.openBus == nil {
		return ErrNoBus
	}
	if err := s.moderation.Prepare(context.Background()); err != nil {
		return err
	}
	socket, err := listen(s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", s.cfg.Listen, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.addr, s.stop = socket.LocalAddr(), stop
	s.tasks.Go(func() { s.serve(ctx, socket) })
	s.tasks.Go(func() { s.tidy(ctx) })
	s.tasks.Go(func() { s.pushes.Run(ctx) })
	publisher := s.publisher()
	s.tasks.Go(func() { publisher.Run(ctx) })
	s.tasks.Go(func() { s.catchUp(ctx) })
	s.tasks.Go(func() { s.moderation.Watch(ctx) })
	s.tasks.Go(func() { s.watch(ctx) })
	s.log.Info("server started", "listen", s.addr.String(), "version", version.Version, "registration", string(s.cfg.Registration))
	return nil
}

// listen tries for a second to get a port that is in use: "qpc-server check"
// takes it for a moment to see whether it is free, and a server that was just
// stopped may still have it.
func listen(addr string) (net.PacketConn, error) {
	for try := 0; ; try++ {
		socket, err := wire.Listen(addr)
		if try == 10 || !errors.Is(err, syscall.EADDRINUSE) {
			return socket, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *Server) serve(ctx context.Context, socket net.PacketConn) {
	defer close(s.ended)
	err := wire.Serve(ctx, socket, s.certs.tls(), s.router, s.serveOptions())
	if err == nil {
		return
	}
	s.log.Error("serving ended", "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serveErr = err
}

func (s *Server) serveOptions() wire.ServeOptions {
	return wire.ServeOptions{
		Logger:      s.log,
		Intercept:   s.admit,
		Operator:    s.moderation.Authorize,
		Explain:     s.explain,
		Observer:    s.meters.observer(),
		Connections: s.conns,
		ResetKey:    wire.ResetKey(s.certs.own),
	}
}

// Done is closed when a started server serves no more: because of Shutdown, or
// because its socket failed, which Shutdown then returns.
func (s *Server) Done() <-chan struct{} { return s.ended }

// Addr is the UDP address that the server listens on, nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Link is the link to this server, with a registration token where token is
// not empty.
func (s *Server) Link(token []byte) string {
	return wire.Link{Host: s.cfg.LinkHost(), Port: s.linkPort(), Pin: s.certs.pin(s.cfg), Token: token}.String()
}

// linkPort is the port in links; a server that took a free port knows it only
// when it has started.
func (s *Server) linkPort() int {
	port := s.cfg.LinkPort()
	if udp, ok := s.Addr().(*net.UDPAddr); ok && port == 0 {
		return udp.Port
	}
	return port
}

// CreateInvite makes an invite for so many accounts, valid for so long, and
// returns its link. The server need not be started; another process may have
// the same database open. ErrInviteTerms.
func (s *Server) CreateInvite(ctx context.Context, uses int, ttl time.Duration) (link string, err error) {
	return s.CreateRoleInvite(ctx, storage.RoleUser, uses, ttl)
}

// CreateRoleInvite is CreateInvite for accounts that get a role.
func (s *Server) CreateRoleInvite(ctx context.Context, role storage.Role, uses int, ttl time.Duration) (link string, err error) {
	if uses < 1 || ttl <= 0 {
		return "", ErrInviteTerms
	}
	token := make([]byte, inviteTokenSize)
	rand.Read(token)
	err = s.store.CreateInvite(ctx, storage.Invite{Hash: auth.HashInvite(token), Uses: uses, Expires: s.now().Add(ttl), Role: role})
	if err != nil {
		return "", fmt.Errorf("storing the invite: %w", err)
	}
	return s.Link(token), nil
}

// Moderation is for commands on accounts, which may work beside a server that
// another process runs on the same data.
func (s *Server) Moderation() *moderation.Service { return s.moderation }

// Shutdown says goodbye to everybody, lets calls under way finish, and closes
// the database and the bucket. When ctx ends first, it returns ctx's error and the rest goes
// on behind it. Shutting down again does nothing.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	stop, closed := s.stop, s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- s.close(stop) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stopping: %w", ctx.Err())
	}
}

func (s *Server) close(stop context.CancelFunc) error {
	if stop != nil {
		stop()
	}
	s.tasks.Wait()
	s.queues.Close()
	err := errors.Join(s.serveErr, s.bus.Close(), s.objects.Close(), s.store.Close())
	s.log.Info("server stopped")
	return err
}
