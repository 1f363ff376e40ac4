// Package moderation serves ModerationService: it takes reports from people and
// lets operators, which are moderators and admins, act on them.
//
// A report proves what an account has sent (see core/franking) and says nothing
// else: not where it was sent, nor who else was there. It is sealed before it is
// stored, and does not say who reported.
//
// A ban is a row in the store. The node that makes it ends the account's
// connections everywhere; all nodes look for new bans every second besides
// ([Service.Watch]), so that one from a command line works as well.
package moderation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.ModerationStore
	AccountByName(ctx context.Context, name string) (storage.Account, error)
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
	Accounts(ctx context.Context, after string, limit int) ([]storage.Account, error)
	Device(ctx context.Context, account, device [16]byte) (storage.Device, error)
	Devices(ctx context.Context, account [16]byte) ([]storage.Device, error)
	DeletePushes(ctx context.Context, account [16]byte) error
}

// Options are what a Service is made of; all are required.
type Options struct {
	Store    Store
	Sessions *session.Registry
	// StorageKey seals reports and the reasons of bans, under keys derived
	// from it.
	StorageKey [32]byte
	Now        func() time.Time
	Log        *slog.Logger
}

// Service implements ModerationService.
type Service struct {
	Options
	sealer  *sealer
	lastBan atomic.Uint64 // the newest that Watch has applied
}

// New returns a Service.
func New(o Options) (*Service, error) {
	sealer, err := newSealer(o.StorageKey)
	if err != nil {
		return nil, fmt.Errorf("moderation keys: %w", err)
	}
	return &Service{Options: o, sealer: sealer}, nil
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.reportMessage)
	wire.Handle(r, s.listReports)
	wire.Handle(r, s.resolveReport)
	wire.Handle(r, s.banUser)
	wire.Handle(r, s.unbanUser)
	wire.Handle(r, s.listBanned)
	wire.Handle(r, s.getRole)
}

// Authorize tells whether an account may call the operators' methods now. It
// is asked before each call, so that a role taken away works at once. The error
// is a *wire.Error, or a failure of the store.
func (s *Service) Authorize(ctx context.Context, account []byte) error {
	id, err := identity.ParseAccountID(account)
	if err != nil {
		return errRole
	}
	a, err := s.Store.Account(ctx, id)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return errRole
	case err != nil:
		return fmt.Errorf("reading the account: %w", err)
	case !a.Role.Operates() || a.Banned(s.Now()):
		return errRole
	}
	return nil
}

var wireRoles = map[storage.Role]qpcv1.Role{
	storage.RoleUser:      qpcv1.Role_ROLE_USER,
	storage.RoleModerator: qpcv1.Role_ROLE_MODERATOR,
	storage.RoleAdmin:     qpcv1.Role_ROLE_ADMIN,
}

func (s *Service) getRole(ctx context.Context, p *wire.Peer, _ *qpcv1.GetRoleRequest) (*qpcv1.GetRoleResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	account, err := s.Store.Account(ctx, d.Account)
	if err != nil {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	return &qpcv1.GetRoleResponse{Role: wireRoles[account.Role]}, nil
}
