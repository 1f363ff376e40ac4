// Package user serves UserService: it finds accounts for connections that say
// nothing of who they are.
package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

var (
	errUnknown = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "Nobody here has this name.")
	errID      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "An account id has 16 bytes.")
)

// Store is what the service needs of the server's store.
type Store interface {
	AccountByName(ctx context.Context, name string) (storage.Account, error)
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
}

// Service implements UserService.
type Service struct {
	store Store
	now   func() time.Time
}

// New returns a Service.
func New(store Store, now func() time.Time) *Service { return &Service{store, now} }

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.resolveUser)
	wire.Handle(r, s.resolveAccount)
}

func (s *Service) resolveUser(ctx context.Context, _ *wire.Peer, req *qpcv1.ResolveUserRequest) (*qpcv1.ResolveUserResponse, error) {
	name := strings.ToLower(req.Name)
	if identity.CheckName(name) != nil {
		return nil, errUnknown
	}
	account, err := s.store.AccountByName(ctx, name)
	if err != nil {
		return nil, lookupError(err)
	}
	if account.Banned(s.now()) { // nobody can begin a conversation with it
		return nil, errUnknown
	}
	return &qpcv1.ResolveUserResponse{AccountId: account.ID[:], AccountPublicKey: account.PublicKey}, nil
}

func (s *Service) resolveAccount(ctx context.Context, _ *wire.Peer, req *qpcv1.ResolveAccountRequest) (*qpcv1.ResolveAccountResponse, error) {
	id, err := identity.ParseAccountID(req.AccountId)
	if err != nil {
		return nil, errID
	}
	account, err := s.store.Account(ctx, id)
	if err != nil {
		return nil, lookupError(err)
	}
	return &qpcv1.ResolveAccountResponse{Name: account.Name, AccountPublicKey: account.PublicKey}, nil
}

func lookupError(err error) error {
	if errors.Is(err, storage.ErrUnknownAccount) {
		return errUnknown
	}
	return fmt.Errorf("looking for an account: %w", err)
}
