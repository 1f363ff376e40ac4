// Package account serves AccountService: a new password, what an account's
// devices share, and the end of an account.
//
// A connection of the account is enough for what devices share. The password
// is changed by who proves the present one, on the same connection; the account
// is deleted by who signs with the account key, which only the password or a
// recovery code gives away.
package account

import (
	"context"
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
	errPassword  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_PASSWORD_WRONG, "The present password is wrong.")
	errChanged   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_CHANGED, "The password was changed elsewhere just now. Begin again.")
	errLastAdmin = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN, "This is the last admin of the server. Make somebody else an admin first.")
	errProof     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_PROOF, "The account key did not sign this for this connection.")
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.AccountStore
	storage.VaultStore
}

// Options are what a Service is made of; all are required.
type Options struct {
	Store    Store
	OPAQUE   *opaque.Server
	Names    *names.Hasher
	Sessions *session.Registry
	// LimitLogin counts a password that is about to be tried for a canonical
	// name, and refuses it with a *wire.Error.
	LimitLogin func(name string) error
	Now        func() time.Time
	Log        *slog.Logger
}

// Service implements AccountService.
type Service struct{ Options }

// New returns a Service.
func New(o Options) *Service { return &Service{o} }

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.changePasswordStart)
	wire.Handle(r, s.changePasswordFinish)
	wire.Handle(r, s.putVault)
	wire.Handle(r, s.getVault)
	wire.Handle(r, s.deleteAccount)
}

// of reads the account that p has proved, and refuses one that is banned.
func (s *Service) of(ctx context.Context, p *wire.Peer) (storage.Account, error) {
	id, err := session.AccountOf(p)
	if err != nil {
		return storage.Account{}, err
	}
	account, err := s.Store.Account(ctx, id)
	if err != nil {
		return storage.Account{}, gone(err)
	}
	if now := s.Now(); account.Banned(now) {
		return storage.Account{}, session.BannedError(account.Ban, now)
	}
	return account, nil
}

// gone says that an account which a connection has proved is not there any
// more.
func gone(err error) error {
	if errors.Is(err, storage.ErrUnknownAccount) {
		return errGone
	}
	return fmt.Errorf("reading the account: %w", err)
}

// deleteAccount deletes what names the account first, and then ends its
// connections: what they do in between finds no account.
func (s *Service) deleteAccount(ctx context.Context, p *wire.Peer, req *qpcv1.DeleteAccountRequest) (*qpcv1.DeleteAccountResponse, error) {
	account, err := s.of(ctx, p)
	if err != nil {
		return nil, err
	}
	exporter, err := p.Exporter()
	if err != nil {
		return nil, fmt.Errorf("the TLS exporter: %w", err)
	}
	if !identity.VerifyDeletion(account.PublicKey, account.ID, exporter, req.Signature) {
		return nil, errProof
	}
	if req.OnlyCheck {
		if err := s.Store.MayDeleteAccount(ctx, account.ID); err != nil {
			return nil, deletionError(err)
		}
		return &qpcv1.DeleteAccountResponse{}, nil
	}
	if err := s.Store.DeleteAccount(ctx, account.ID, s.Names.Deleted(account.Name)); err != nil {
		return nil, deletionError(err)
	}
	s.Sessions.EndAccount(account.ID, qpcv1.Goodbye_REASON_DELETED)
	s.Log.InfoContext(ctx, "account deleted")
	return &qpcv1.DeleteAccountResponse{}, nil
}

func deletionError(err error) error {
	if errors.Is(err, storage.ErrLastAdmin) {
		return errLastAdmin
	}
	return fmt.Errorf("deleting the account: %w", err)
}
