// Package auth serves AuthService: it registers accounts, proves passwords by
// OPAQUE (RFC 9807) and lets devices in.
//
// Somebody who has no account and somebody who mistypes a password see the
// same: for a name that nobody has the service goes the way of a wrong
// password, with an account id that stays the same for that name.
package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"log/slog"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	"quicprochat/server/config"
	"quicprochat/server/names"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.AccountStore
	Device(ctx context.Context, account, device [16]byte) (storage.Device, error)
}

// Options are what a Service is made of; all are required.
type Options struct {
	Store  Store
	OPAQUE *opaque.Server
	// LoginKey makes up account ids for names that nobody has.
	LoginKey [32]byte
	Names    *names.Hasher
	// LimitLogin counts a password that is about to be tried for a canonical
	// name, and refuses it with a *wire.Error.
	LimitLogin func(name string) error
	// Registration tells who may register at the moment.
	Registration func() config.Registration
	Sessions     *session.Registry
	Now          func() time.Time
	Log          *slog.Logger
}

// Service implements AuthService.
type Service struct {
	Options
}

// New returns a Service.
func New(o Options) *Service { return &Service{o} }

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.registerStart)
	wire.Handle(r, s.registerFinish)
	wire.Handle(r, s.loginStart)
	wire.Handle(r, s.loginFinish)
	wire.Handle(r, s.authenticate)
}

// nobody is the account id for a name that no account has.
func (s *Service) nobody(name string) identity.AccountID {
	return s.hash("qpc unknown account v1", name)
}

// hash hashes a name for a purpose, so that nobody without the key finds the
// name.
func (s *Service) hash(purpose, name string) [16]byte {
	mac := hmac.New(sha256.New, s.LoginKey[:])
	mac.Write([]byte(purpose + "\x00"))
	mac.Write([]byte(name))
	return [16]byte(mac.Sum(nil))
}
