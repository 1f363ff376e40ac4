package auth

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/exchange"
	"quicprochat/server/names"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

func (s *Service) loginStart(ctx context.Context, p *wire.Peer, req *qpcv1.LoginStartRequest) (*qpcv1.LoginStartResponse, error) {
	if err := unauthenticated(p); err != nil {
		return nil, err
	}
	if len(req.Ke1) != opaque.KE1Size {
		return nil, errMalformed
	}
	name := names.Canonical(req.Name)
	// Whoever has the answer can try a password on it. So this is what counts,
	// for names that nobody has too, before anything is known of them.
	if err := s.LimitLogin(name); err != nil {
		return nil, err
	}
	// Made up for every name, so that known and unknown ones cost the same.
	id := s.nobody(name)
	account, err := s.Store.AccountByName(ctx, name)
	switch {
	case err == nil:
		id = account.ID
	case errors.Is(err, storage.ErrUnknownAccount):
		account = storage.Account{}
	default:
		return nil, fmt.Errorf("looking for the name: %w", err)
	}
	// A nil record makes OPAQUE answer with a fake one.
	attempt, ke2, err := s.OPAQUE.StartLogin(req.Ke1, id[:], account.Record, nil, nil)
	if err != nil {
		return nil, errMalformed
	}
	exchange.Keep(p, &login{Begun: exchange.Begun{At: s.Now()}, account: account, opaque: attempt})
	return &qpcv1.LoginStartResponse{AccountId: id[:], Ke2: ke2}, nil
}

func (s *Service) loginFinish(ctx context.Context, p *wire.Peer, req *qpcv1.LoginFinishRequest) (*qpcv1.LoginFinishResponse, error) {
	if err := unauthenticated(p); err != nil {
		return nil, err
	}
	x, err := exchange.Take[*login](p, s.Now())
	if err != nil {
		return nil, err
	}
	sessionKey, err := x.opaque.Finish(req.Ke3)
	if err != nil || len(x.account.Record) == 0 {
		return nil, errLoginFailed
	}
	clear(sessionKey) // the TLS connection carries on by itself
	if err := s.Sessions.BindAccount(p, x.account.ID, x.account.Record); err != nil {
		return nil, err
	}
	// An end of the account between LoginStart and the binding found no
	// connection to end. It is found here.
	if reason, err := s.stillValid(ctx, x.account); err != nil {
		p.Close(reason)
		return nil, err
	}
	return &qpcv1.LoginFinishResponse{AccountPublicKey: x.account.PublicKey, SealedAccountKey: x.account.SealedKey}, nil
}

// stillValid tells whether the account is there with the record that was just
// proved, and not banned; if not, with which words the connection ends. Nobody
// learns of a ban without the password.
func (s *Service) stillValid(ctx context.Context, proved storage.Account) (qpcv1.Goodbye_Reason, error) {
	account, err := s.Store.Account(ctx, proved.ID)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return qpcv1.Goodbye_REASON_REVOKED, errLoginFailed
	case err != nil:
		return qpcv1.Goodbye_REASON_REVOKED, fmt.Errorf("reading the account: %w", err)
	case !bytes.Equal(account.Record, proved.Record):
		return qpcv1.Goodbye_REASON_REVOKED, errLoginFailed
	}
	if err := s.checkBan(account); err != nil {
		return qpcv1.Goodbye_REASON_BANNED, err
	}
	return 0, nil
}

// checkBan refuses an account that is banned now.
func (s *Service) checkBan(account storage.Account) error {
	if now := s.Now(); account.Banned(now) {
		return session.BannedError(account.Ban, now)
	}
	return nil
}
