// Package recovery serves RecoveryService: bundles that open an account without
// its password, and the way back in with one.
//
// What makes or deletes a bundle is signed by the account key, so that a device
// that is stolen unlocked can neither replace nor destroy it. A bundle is given
// to who proves to have its code; a name without account or bundle is judged by
// a verifier of nobody's, and its guesses are counted all the same.
package recovery

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/names"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

var (
	errMalformed = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The request has a field that is out of range.")
	errGone      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "This account was deleted.")
	errProof     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF, "The account key did not sign this for this connection.")
	errFailed    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_RECOVERY_FAILED, "Wrong name or recovery code.")
	errChanged   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_CHANGED, "The recovery code was replaced just now. Begin again with the new one.")
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.RecoveryStore
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
	AccountByName(ctx context.Context, name string) (storage.Account, error)
}

// Options are what a Service is made of; all are required.
type Options struct {
	Store    Store
	OPAQUE   *opaque.Server
	Names    *names.Hasher
	Sessions *session.Registry
	Now      func() time.Time
	Log      *slog.Logger
}

// Service implements RecoveryService.
type Service struct {
	Options
	nobody ed25519.PublicKey // whose private key nobody has
}

// New returns a Service.
func New(o Options) (*Service, error) {
	nobody, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return &Service{Options: o, nobody: nobody}, nil
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.store)
	wire.Handle(r, s.fetch)
	wire.Handle(r, s.delete)
	wire.Handle(r, s.recoverStart)
	wire.Handle(r, s.recoverFinish)
}

// parseBundle checks the lengths of a bundle.
func parseBundle(account [16]byte, m *qpcv1.RecoveryBundle) (storage.Recovery, error) {
	if len(m.GetVerifier()) != ed25519.PublicKeySize || len(m.GetSealed()) != identity.SealedRecoverySize {
		return storage.Recovery{}, errMalformed
	}
	return storage.Recovery{Account: account, Verifier: m.Verifier, Sealed: m.Sealed}, nil
}

// of reads the account that p has proved, and p's exporter.
func (s *Service) of(ctx context.Context, p *wire.Peer) (account storage.Account, exporter []byte, err error) {
	id, err := session.AccountOf(p)
	if err != nil {
		return account, nil, err
	}
	account, err = s.Store.Account(ctx, id)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return account, nil, errGone
	case err != nil:
		return account, nil, fmt.Errorf("reading the account: %w", err)
	}
	if err := s.checkBan(account); err != nil {
		return account, nil, err
	}
	if exporter, err = p.Exporter(); err != nil {
		return account, nil, fmt.Errorf("the TLS exporter: %w", err)
	}
	return account, exporter, nil
}

// checkBan refuses an account that is banned now. Nobody learns of a ban who has
// not proved the account, or to have its code.
func (s *Service) checkBan(account storage.Account) error {
	if now := s.Now(); account.Banned(now) {
		return session.BannedError(account.Ban, now)
	}
	return nil
}

func (s *Service) store(ctx context.Context, p *wire.Peer, req *qpcv1.StoreBundleRequest) (*qpcv1.StoreBundleResponse, error) {
	account, exporter, err := s.of(ctx, p)
	if err != nil {
		return nil, err
	}
	bundle, err := parseBundle(account.ID, req.Bundle)
	if err != nil {
		return nil, err
	}
	if !identity.VerifyRecoveryStore(account.PublicKey, account.ID, exporter, bundle.Verifier, bundle.Sealed, req.Signature) {
		return nil, errProof
	}
	err = s.Store.PutRecovery(ctx, bundle)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("storing the bundle: %w", err)
	}
	return &qpcv1.StoreBundleResponse{}, nil
}

func (s *Service) delete(ctx context.Context, p *wire.Peer, req *qpcv1.DeleteBundleRequest) (*qpcv1.DeleteBundleResponse, error) {
	account, exporter, err := s.of(ctx, p)
	if err != nil {
		return nil, err
	}
	if !identity.VerifyRecoveryDeletion(account.PublicKey, account.ID, exporter, req.Signature) {
		return nil, errProof
	}
	if err := s.Store.DeleteRecovery(ctx, account.ID); err != nil {
		return nil, fmt.Errorf("deleting the bundle: %w", err)
	}
	return &qpcv1.DeleteBundleResponse{}, nil
}
