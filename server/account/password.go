package account

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/exchange"
	"quicprochat/server/storage"
)

// passwordChange is what ChangePasswordFinish needs of ChangePasswordStart.
type passwordChange struct {
	exchange.Begun
	account storage.Account
	opaque  *opaque.ServerLogin
}

func (s *Service) changePasswordStart(ctx context.Context, p *wire.Peer, req *qpcv1.ChangePasswordStartRequest) (*qpcv1.ChangePasswordStartResponse, error) {
	account, err := s.of(ctx, p)
	if err != nil {
		return nil, err
	}
	if len(req.Ke1) != opaque.KE1Size || len(req.OpaqueRequest) != opaque.RequestSize {
		return nil, errMalformed
	}
	// A device that somebody has found tells no more of the password than a
	// login would. The answer serves to try two: one by each of its halves.
	for range 2 {
		if err := s.LimitLogin(account.Name); err != nil {
			return nil, err
		}
	}
	response, err := s.OPAQUE.RegistrationResponse(req.OpaqueRequest, account.ID[:])
	if err != nil {
		return nil, errMalformed
	}
	attempt, ke2, err := s.OPAQUE.StartLogin(req.Ke1, account.ID[:], account.Record, nil, nil)
	if err != nil {
		return nil, errMalformed
	}
	exchange.Keep(p, &passwordChange{Begun: exchange.Begun{At: s.Now()}, account: account, opaque: attempt})
	return &qpcv1.ChangePasswordStartResponse{
		Ke2: ke2, OpaqueResponse: response,
		AccountPublicKey: account.PublicKey, SealedAccountKey: account.SealedKey,
	}, nil
}

// changePasswordFinish lets the devices connect anew: among the account's
// connections may be one that somebody else has opened with the old password.
func (s *Service) changePasswordFinish(ctx context.Context, p *wire.Peer, req *qpcv1.ChangePasswordFinishRequest) (*qpcv1.ChangePasswordFinishResponse, error) {
	x, err := exchange.Take[*passwordChange](p, s.Now())
	if err != nil {
		return nil, err
	}
	sessionKey, err := x.opaque.Finish(req.Ke3)
	if err != nil {
		return nil, errPassword
	}
	clear(sessionKey)
	if _, err := s.of(ctx, p); err != nil { // deleted or banned since
		return nil, err
	}
	if len(req.SealedAccountKey) != identity.SealedAccountKeySize || opaque.ValidateRecord(req.OpaqueRecord) != nil {
		return nil, errMalformed
	}
	err = s.Store.ChangePassword(ctx, storage.PasswordChange{
		Account: x.account.ID, Before: x.account.Record, Record: req.OpaqueRecord, SealedKey: req.SealedAccountKey,
	})
	switch {
	case errors.Is(err, storage.ErrAccountChanged):
		return nil, errChanged
	case errors.Is(err, storage.ErrUnknownAccount):
		return nil, errGone
	case err != nil:
		return nil, fmt.Errorf("changing the password: %w", err)
	}
	s.Sessions.EndAccount(x.account.ID, qpcv1.Goodbye_REASON_PASSWORD_CHANGED)
	s.Log.InfoContext(ctx, "password changed")
	return &qpcv1.ChangePasswordFinishResponse{}, nil
}
