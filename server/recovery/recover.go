package recovery

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/exchange"
	"quicprochat/server/names"
	"quicprochat/server/storage"
)

// opened is what RecoverAccountStart needs of FetchBundle: who proved to have
// which code.
type opened struct {
	exchange.Begun
	account  storage.Account
	verifier []byte
}

// recovering is what RecoverAccountFinish needs of RecoverAccountStart.
type recovering struct{ opened }

func (s *Service) fetch(ctx context.Context, p *wire.Peer, req *qpcv1.FetchBundleRequest) (*qpcv1.FetchBundleResponse, error) {
	name := names.Canonical(req.Name)
	if len(req.Proof) != ed25519.SignatureSize {
		return nil, errMalformed
	}
	if identity.CheckName(name) != nil {
		return nil, errFailed // nobody can have it
	}
	exporter, err := p.Exporter()
	if err != nil {
		return nil, fmt.Errorf("the TLS exporter: %w", err)
	}
	now, subject := s.Now(), s.Names.Guessed(name)
	// Counted before it is judged: guesses at the same time count too.
	err = s.Store.CountRecoveryTry(ctx, subject, now)
	switch {
	case errors.Is(err, storage.ErrTooManyTries):
		return nil, locked(now)
	case err != nil:
		return nil, fmt.Errorf("counting a guess: %w", err)
	}
	account, bundle, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	known := len(bundle.Verifier) > 0
	verifier := bundle.Verifier
	if !known {
		verifier = s.nobody
	}
	if right := identity.VerifyRecoveryProof(verifier, name, exporter, req.Proof); !right || !known {
		return nil, errFailed
	}
	if err := s.Store.ForgiveRecoveryTry(ctx, subject, now); err != nil {
		return nil, fmt.Errorf("taking back a guess: %w", err)
	}
	if err := s.checkBan(account); err != nil {
		return nil, err
	}
	exchange.Keep(p, &opened{Begun: exchange.Begun{At: now}, account: account, verifier: bundle.Verifier})
	return &qpcv1.FetchBundleResponse{AccountId: account.ID[:], AccountPublicKey: account.PublicKey, Sealed: bundle.Sealed}, nil
}

// find reads the account with the name, and its bundle. It asks the store as
// often where there is no such account.
func (s *Service) find(ctx context.Context, name string) (storage.Account, storage.Recovery, error) {
	account, err := s.Store.AccountByName(ctx, name)
	if err != nil && !errors.Is(err, storage.ErrUnknownAccount) {
		return account, storage.Recovery{}, fmt.Errorf("looking for the name: %w", err)
	}
	bundle, err := s.Store.Recovery(ctx, account.ID)
	if err != nil && !errors.Is(err, storage.ErrNoRecovery) {
		return account, bundle, fmt.Errorf("reading the bundle: %w", err)
	}
	return account, bundle, nil
}

// locked says that today's guesses are used up.
func locked(now time.Time) error {
	return &wire.Error{
		Code:       qpcv1.ErrorCode_ERROR_CODE_RECOVERY_LOCKED,
		Message:    "Too many wrong recovery codes for this name. Try again tomorrow.",
		RetryAfter: time.Unix(int64(storage.DayOf(now)), 0).Add(24 * time.Hour).Sub(now),
	}
}

func (s *Service) recoverStart(_ context.Context, p *wire.Peer, req *qpcv1.RecoverAccountStartRequest) (*qpcv1.RecoverAccountStartResponse, error) {
	x, err := exchange.Take[*opened](p, s.Now())
	if err != nil {
		return nil, err
	}
	response, err := s.OPAQUE.RegistrationResponse(req.OpaqueRequest, x.account.ID[:])
	if err != nil {
		return nil, errMalformed
	}
	x.At = s.Now()
	exchange.Keep(p, &recovering{*x})
	return &qpcv1.RecoverAccountStartResponse{OpaqueResponse: response}, nil
}

func (s *Service) recoverFinish(ctx context.Context, p *wire.Peer, req *qpcv1.RecoverAccountFinishRequest) (*qpcv1.RecoverAccountFinishResponse, error) {
	x, err := exchange.Take[*recovering](p, s.Now())
	if err != nil {
		return nil, err
	}
	next, err := s.checkRecovery(p, x, req)
	if err != nil {
		return nil, err
	}
	account, err := s.Store.Account(ctx, x.account.ID)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return nil, errFailed
	case err != nil:
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	if err := s.checkBan(account); err != nil { // since FetchBundle
		return nil, err
	}
	err = s.Store.RecoverAccount(ctx, storage.RecoveryChange{
		Before: x.verifier, Record: req.OpaqueRecord, SealedKey: req.SealedAccountKey, Next: next,
	})
	switch {
	case errors.Is(err, storage.ErrAccountChanged):
		return nil, errChanged
	case errors.Is(err, storage.ErrUnknownAccount):
		return nil, errFailed
	case err != nil:
		return nil, fmt.Errorf("recovering: %w", err)
	}
	s.Sessions.EndAccount(x.account.ID, qpcv1.Goodbye_REASON_PASSWORD_CHANGED)
	if err := s.enter(ctx, p, x.account.ID, req.OpaqueRecord); err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "account recovered")
	return &qpcv1.RecoverAccountFinishResponse{}, nil
}

func (s *Service) checkRecovery(p *wire.Peer, x *recovering, req *qpcv1.RecoverAccountFinishRequest) (storage.Recovery, error) {
	next, err := parseBundle(x.account.ID, req.Bundle)
	if err != nil {
		return next, err
	}
	if len(req.SealedAccountKey) != identity.SealedAccountKeySize || opaque.ValidateRecord(req.OpaqueRecord) != nil {
		return next, errMalformed
	}
	if bytes.Equal(next.Verifier, x.verifier) {
		return next, errMalformed // the code would not be spent
	}
	exporter, err := p.Exporter()
	if err != nil {
		return next, fmt.Errorf("the TLS exporter: %w", err)
	}
	if !identity.VerifyRecovery(x.account.PublicKey, x.account.ID, exporter, identity.RecoveredAccount{
		Record: req.OpaqueRecord, SealedKey: req.SealedAccountKey, Verifier: next.Verifier, Bundle: next.Sealed,
	}, req.Signature) {
		return next, errProof
	}
	return next, nil
}

// enter makes p a connection of the account, as if it had just proved the new
// password.
func (s *Service) enter(ctx context.Context, p *wire.Peer, id identity.AccountID, record []byte) error {
	if err := s.Sessions.BindAccount(p, id, record); err != nil {
		return err
	}
	// An end of the account before the binding found no connection to end. It
	// is found here.
	now, err := s.Store.Account(ctx, id)
	if err == nil && bytes.Equal(now.Record, record) {
		if err = s.checkBan(now); err != nil {
			p.Close(qpcv1.Goodbye_REASON_BANNED)
		}
		return err
	}
	p.Close(qpcv1.Goodbye_REASON_REVOKED)
	if err == nil || errors.Is(err, storage.ErrUnknownAccount) {
		return errChanged
	}
	return fmt.Errorf("reading the account: %w", err)
}
