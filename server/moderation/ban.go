package moderation

import (
	"context"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

const (
	maxBans = 100
	// maxTime is the end of the year 9999, in seconds since 1970.
	maxTime = 253402300799
)

func (s *Service) banUser(ctx context.Context, p *wire.Peer, req *qpcv1.BanUserRequest) (*qpcv1.BanUserResponse, error) {
	by, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	account, err := identity.ParseAccountID(req.AccountId)
	if err != nil {
		return nil, errID
	}
	var until time.Time
	if req.Until > 0 {
		until = time.Unix(int64(min(req.Until, maxTime)), 0)
	}
	if err := s.ban(ctx, account, (*[16]byte)(&by), until, req.Reason); err != nil {
		return nil, err
	}
	return &qpcv1.BanUserResponse{}, nil
}

// ban bans an account and ends its connections on all nodes.
func (s *Service) ban(ctx context.Context, account identity.AccountID, by *[16]byte, until time.Time, reason string) error {
	now := s.Now()
	switch {
	case !validNote(reason):
		return errNote
	case !until.IsZero() && !until.After(now):
		return errUntil
	}
	_, err := s.Store.BanAccount(ctx, storage.NewBan{
		Account: account, By: by, Until: until, Reason: s.sealer.sealReason(account, reason), Now: now,
	})
	if err != nil {
		return fmt.Errorf("banning: %w", banError(err))
	}
	s.Sessions.EndAccount(account, qpcv1.Goodbye_REASON_BANNED)
	if err := s.Store.DeletePushes(ctx, account); err != nil { // woken, a device could do nothing
		return fmt.Errorf("banned; deleting its push registrations: %w", err)
	}
	s.Log.InfoContext(ctx, "account banned")
	return nil
}

func (s *Service) unbanUser(ctx context.Context, p *wire.Peer, req *qpcv1.UnbanUserRequest) (*qpcv1.UnbanUserResponse, error) {
	by, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	account, err := identity.ParseAccountID(req.AccountId)
	if err != nil {
		return nil, errID
	}
	if err := s.Store.UnbanAccount(ctx, account, (*[16]byte)(&by), s.Now()); err != nil {
		return nil, fmt.Errorf("lifting a ban: %w", banError(err))
	}
	s.Log.InfoContext(ctx, "ban lifted")
	return &qpcv1.UnbanUserResponse{}, nil
}

func (s *Service) listBanned(ctx context.Context, _ *wire.Peer, req *qpcv1.ListBannedRequest) (*qpcv1.ListBannedResponse, error) {
	limit := pageLimit(req.Limit, maxBans)
	bans, err := s.Store.Bans(ctx, req.After, s.Now(), limit+1)
	if err != nil {
		return nil, fmt.Errorf("listing bans: %w", err)
	}
	resp := &qpcv1.ListBannedResponse{More: len(bans) > limit}
	for _, b := range bans[:min(len(bans), limit)] {
		reason, err := s.sealer.openReason(b.Account, b.Reason)
		if err != nil {
			return nil, err
		}
		u := &qpcv1.BannedUser{Number: b.Number, AccountId: b.Account[:], Name: b.Name, Reason: reason, Day: b.Day}
		if !b.Until.IsZero() {
			u.Until = uint64(b.Until.Unix())
		}
		resp.Banned = append(resp.Banned, u)
	}
	return resp, nil
}
