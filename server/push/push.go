// Package push wakes devices that have no connection, through push services
// that speak Web Push (RFC 8030), such as those of browsers and the
// distributors of UnifiedPush.
//
// What is sent is empty: one message of a fixed size, encrypted to the device
// (RFC 8291) and signed by this server (RFC 8292). The push service learns when
// something came for the holder of an endpoint, and neither from whom nor what.
// A device is woken once until it has fetched something or some minutes have
// passed.
//
// The endpoint is a URL that a stranger chose. It is dialled only where it
// leads to the public internet, which is checked on the address and not on the
// name; redirects are not followed, and requests are few and short. Nothing
// of this is in the way of a post: that only leaves a note.
package push

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

var (
	errDisabled = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_PUSH_DISABLED, "This server wakes no devices through push services.")
	errInvalid  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_PUSH_INVALID, "This is not a push registration that the server can use: the endpoint must be a public https URL, the key one for P-256, and the secret 16 bytes.")
	errRevoked  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED, "This device was revoked by its account.")
)

// Options are what a Service works with. All but Networks and Roots are
// required.
type Options struct {
	Store      storage.PushStore
	Presence   Presence
	StorageKey [32]byte
	// Disabled: nobody is woken, and nobody can register.
	Disabled bool
	// Contact is a mailto: or https: URL for the operators of push services, or
	// empty.
	Contact string
	// Networks may be reached although they are private.
	Networks []netip.Prefix
	// Roots are the issuers of push services' certificates; nil: the system's.
	Roots *x509.CertPool
	Now   func() time.Time
	Log   *slog.Logger
}

// Service implements the part of DeviceService that is about waking, and wakes.
type Service struct {
	*Notifier
	disabled bool
}

// New returns a Service. It wakes nobody before Run.
func New(o Options) (*Service, error) {
	signer, err := newSigner(o.StorageKey, o.Contact)
	if err != nil {
		return nil, err
	}
	vault, err := newVault(o.StorageKey)
	if err != nil {
		return nil, err
	}
	return &Service{disabled: o.Disabled, Notifier: &Notifier{
		store: o.Store, presence: o.Presence, vault: vault, allowed: o.Networks, now: o.Now, log: o.Log,
		sender:  newSender(signer, o.Networks, o.Roots, o.Now),
		start:   make(chan struct{}, 1),
		waiting: make(map[storage.QueueID]note),
		woken:   make(map[storage.QueueID]woken),
		held:    make(map[string]time.Time),
		busy:    make(map[string]int),
		sending: make(map[storage.QueueID]bool),
	}}, nil
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.register)
	wire.Handle(r, s.unregister)
}

// PublicKey is the server's at push services: P-256, uncompressed, 65 bytes; nil
// where nobody is woken.
func (s *Service) PublicKey() []byte {
	if s.disabled {
		return nil
	}
	return s.sender.signer.public
}

// Wake notes what came into queues, for devices that are not connected.
func (s *Service) Wake(appended ...storage.Appended) {
	if !s.disabled {
		s.Notifier.Wake(appended...)
	}
}

// Run wakes devices until ctx ends.
func (s *Service) Run(ctx context.Context) { s.run(ctx) }

func (s *Service) register(ctx context.Context, p *wire.Peer, req *qpcv1.RegisterPushRequest) (*qpcv1.RegisterPushResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if s.disabled {
		return nil, errDisabled
	}
	if _, err := parseRegistration(req, s.allowed); err != nil {
		return nil, errInvalid
	}
	sealed, err := s.vault.seal(d.Queue, req)
	if err != nil {
		return nil, err
	}
	switch err := s.store.PutPush(ctx, d.ID, sealed); {
	case errors.Is(err, storage.ErrDeviceRevoked), errors.Is(err, storage.ErrUnknownDevice):
		return nil, errRevoked
	case err != nil:
		return nil, fmt.Errorf("push store: %w", err)
	}
	s.forget(d.Queue)
	return &qpcv1.RegisterPushResponse{PushKey: s.PublicKey()}, nil
}

func (s *Service) unregister(ctx context.Context, p *wire.Peer, _ *qpcv1.UnregisterPushRequest) (*qpcv1.UnregisterPushResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if err := s.store.DeletePush(ctx, d.ID); err != nil {
		return nil, fmt.Errorf("push store: %w", err)
	}
	return &qpcv1.UnregisterPushResponse{}, nil
}

// forget forgets that the device of a queue was woken: at another endpoint it
// was not.
func (n *Notifier) forget(queue storage.QueueID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.woken, queue)
}
