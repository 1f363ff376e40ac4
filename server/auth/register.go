package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/opaque"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/config"
	"quicprochat/server/device"
	"quicprochat/server/exchange"
	"quicprochat/server/names"
	"quicprochat/server/storage"
)

// maxSealedKey bounds the sealed account key, in bytes. It has about 100.
const maxSealedKey = 1024

func (s *Service) registerStart(ctx context.Context, p *wire.Peer, req *qpcv1.RegisterStartRequest) (*qpcv1.RegisterStartResponse, error) {
	if err := unauthenticated(p); err != nil {
		return nil, err
	}
	name := names.Canonical(req.Name)
	if identity.CheckName(name) != nil {
		return nil, errName
	}
	taken, public, err := s.taken(ctx, name)
	if err != nil {
		return nil, err
	}
	if taken && public {
		return nil, errTaken
	}
	invite, err := s.checkInvite(ctx, req.InviteToken)
	if err != nil {
		return nil, err
	}
	if taken {
		return nil, errTaken
	}
	account := identity.NewAccountID()
	response, err := s.OPAQUE.RegistrationResponse(req.OpaqueRequest, account[:])
	if err != nil {
		return nil, errMalformed
	}
	exchange.Keep(p, &registration{Begun: exchange.Begun{At: s.Now()}, account: account, name: name, invite: invite})
	return &qpcv1.RegisterStartResponse{AccountId: account[:], OpaqueResponse: response}, nil
}

// taken tells whether somebody has the name, or ever had, and whether that is
// public: whose name a look-up does not find, because the account was deleted or
// is banned, is told to nobody who may not register.
func (s *Service) taken(ctx context.Context, name string) (taken, public bool, err error) {
	account, err := s.Store.AccountByName(ctx, name)
	if err == nil {
		return true, !account.Banned(s.Now()), nil
	}
	if !errors.Is(err, storage.ErrUnknownAccount) {
		return false, false, fmt.Errorf("looking for the name: %w", err)
	}
	if taken, err = s.Store.NameDeleted(ctx, s.Names.Deleted(name)); err != nil {
		return false, false, fmt.Errorf("looking for the name: %w", err)
	}
	return taken, false, nil
}

// checkInvite tells whether the token lets somebody in, and consumes nothing.
// Where registration is open, nobody needs one; one that is good is used all
// the same, for the role that it may give, and others do not matter.
func (s *Service) checkInvite(ctx context.Context, token []byte) (*storage.InviteHash, error) {
	mode := s.Registration()
	open := mode == config.RegistrationOpen
	switch {
	case !open && mode != config.RegistrationInvite:
		return nil, errClosed
	case len(token) == 0 && open:
		return nil, nil
	case len(token) == 0:
		return nil, errInviteRequired
	}
	hash := HashInvite(token)
	err := s.Store.CheckInvite(ctx, hash, s.Now())
	switch {
	case err == nil:
		return &hash, nil
	case open && isInviteError(err):
		return nil, nil
	default:
		return nil, registrationError(err)
	}
}

func isInviteError(err error) bool {
	return errors.Is(err, storage.ErrInviteUnknown) || errors.Is(err, storage.ErrInviteUsedUp) || errors.Is(err, storage.ErrInviteExpired)
}

// HashInvite gives what the store keeps of an invite's token.
func HashInvite(token []byte) storage.InviteHash { return sha256.Sum256(token) }

func (s *Service) registerFinish(ctx context.Context, p *wire.Peer, req *qpcv1.RegisterFinishRequest) (*qpcv1.RegisterFinishResponse, error) {
	if err := unauthenticated(p); err != nil {
		return nil, err
	}
	now := s.Now()
	x, err := exchange.Take[*registration](p, now)
	if err != nil {
		return nil, err
	}
	if len(req.AccountPublicKey) != ed25519.PublicKeySize || len(req.SealedAccountKey) == 0 || len(req.SealedAccountKey) > maxSealedKey {
		return nil, errMalformed
	}
	if err := opaque.ValidateRecord(req.OpaqueRecord); err != nil {
		return nil, errMalformed
	}
	cert, err := device.CheckCertificate(req.DeviceCertificate, x.account, req.AccountPublicKey, now)
	if err != nil {
		return nil, err
	}
	first, err := s.Store.CreateAccount(ctx, storage.NewAccount{
		ID:                x.account,
		Name:              x.name,
		NameHash:          s.Names.Deleted(x.name),
		Record:            req.OpaqueRecord,
		PublicKey:         req.AccountPublicKey,
		SealedKey:         req.SealedAccountKey,
		DeviceID:          cert.DeviceID(),
		DeviceCertificate: cert.Raw,
		Invite:            x.invite,
		Now:               now,
	})
	if err != nil {
		return nil, registrationError(err)
	}
	// Whoever just proved the account key vouches for the device.
	if err := s.Sessions.Bind(ctx, p, deviceOf(cert, first.Queue)); err != nil {
		return nil, deviceError(err)
	}
	s.Log.InfoContext(ctx, "account created")
	return &qpcv1.RegisterFinishResponse{}, nil
}

func registrationError(err error) error {
	switch {
	case errors.Is(err, storage.ErrInviteUnknown), errors.Is(err, storage.ErrInviteUsedUp):
		return errInviteInvalid
	case errors.Is(err, storage.ErrInviteExpired):
		return errInviteExpired
	case errors.Is(err, storage.ErrNameTaken):
		return errTaken
	case errors.Is(err, storage.ErrDeviceExists):
		return errDeviceTaken
	default:
		return fmt.Errorf("creating an account: %w", err)
	}
}
