package auth

import (
	"context"
	"errors"
	"fmt"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/device"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

func (s *Service) authenticate(ctx context.Context, p *wire.Peer, req *qpcv1.AuthenticateRequest) (*qpcv1.AuthenticateResponse, error) {
	account, err := identity.ParseAccountID(req.AccountId)
	if err != nil {
		return nil, errMalformed
	}
	id, err := identity.ParseDeviceID(req.DeviceId)
	if err != nil {
		return nil, errMalformed
	}
	if bound, err := session.AccountOf(p); err == nil && bound != account {
		return nil, errOtherAccount
	}
	d, err := s.proveDevice(ctx, p, account, id, req.Signature)
	if err != nil {
		return nil, err
	}
	if err := s.notBanned(ctx, account); err != nil {
		return nil, err
	}
	if err := s.Sessions.Bind(ctx, p, d); err != nil {
		return nil, deviceError(err)
	}
	// A ban between the look-up and the binding found no connection to end. It
	// is found here.
	if err := s.notBanned(ctx, account); err != nil {
		// this connection alone: the device may have a newer one
		reason := qpcv1.Goodbye_REASON_REVOKED
		if wire.CodeOf(err) == qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED {
			reason = qpcv1.Goodbye_REASON_BANNED
		}
		p.Close(reason)
		return nil, err
	}
	return &qpcv1.AuthenticateResponse{}, nil
}

// notBanned refuses an account that is banned, or no longer there.
func (s *Service) notBanned(ctx context.Context, id identity.AccountID) error {
	account, err := s.Store.Account(ctx, id)
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return errDeviceRefused
	case err != nil:
		return fmt.Errorf("reading the account: %w", err)
	}
	return s.checkBan(account)
}

// proveDevice checks the signature over the exporter of p's TLS session
// against the certificate that the device was enrolled with.
func (s *Service) proveDevice(ctx context.Context, p *wire.Peer, account identity.AccountID, id identity.DeviceID, signature []byte) (session.Device, error) {
	stored, err := s.storedDevice(ctx, account, id)
	if err != nil {
		return session.Device{}, err
	}
	cert, err := identity.ParseCertificate(stored.Certificate)
	if err != nil {
		return session.Device{}, fmt.Errorf("a stored certificate: %w", err)
	}
	exporter, err := p.Exporter()
	if err != nil {
		return session.Device{}, fmt.Errorf("the TLS exporter: %w", err)
	}
	if !identity.VerifyDeviceAuth(cert.DeviceKey, account, id, exporter, signature) {
		return session.Device{}, errDeviceRefused
	}
	if _, err := device.CheckCertificate(stored.Certificate, account, cert.AccountKey, s.Now()); err != nil {
		return session.Device{}, err
	}
	return deviceOf(cert, stored.Queue), nil
}

func deviceOf(cert *identity.Certificate, queue storage.QueueID) session.Device {
	return session.Device{
		Account:    cert.AccountID,
		ID:         cert.DeviceID(),
		AccountKey: cert.AccountKey,
		Key:        cert.DeviceKey,
		Queue:      queue,
	}
}

func (s *Service) storedDevice(ctx context.Context, account identity.AccountID, id identity.DeviceID) (storage.Device, error) {
	stored, err := s.Store.Device(ctx, account, id)
	if err != nil {
		return storage.Device{}, deviceError(err)
	}
	return stored, nil
}

// deviceError puts what the store says of a device into the protocol's words.
func deviceError(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownDevice):
		return errDeviceRefused
	case errors.Is(err, storage.ErrDeviceRevoked):
		return errDeviceRevoked
	}
	return fmt.Errorf("looking for the device: %w", err)
}
