// Package device serves DeviceService: the devices of the calling account.
package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

var (
	errTooMany   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOO_MANY_DEVICES, "The account has as many devices as this server allows. Revoke one first.")
	errRevoked   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED, "This device was revoked and cannot come back. Enrol with a new key.")
	errElsewhere = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "This device key belongs to another account.")
	errID        = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A device id has 16 bytes.")
	errUnknown   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REFUSED, "The account has no such device.")
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.DeviceStore
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
}

// Service implements DeviceService.
type Service struct {
	store    Store
	sessions *session.Registry
	now      func() time.Time
}

// New returns a Service. It ends connections of revoked devices in sessions.
func New(store Store, sessions *session.Registry, now func() time.Time) *Service {
	return &Service{store: store, sessions: sessions, now: now}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.enrol)
	wire.Handle(r, s.list)
	wire.Handle(r, s.revoke)
}

func (s *Service) enrol(ctx context.Context, p *wire.Peer, req *qpcv1.EnrolDeviceRequest) (*qpcv1.EnrolDeviceResponse, error) {
	account, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	record, err := s.store.Account(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("reading the account: %w", err)
	}
	now := s.now()
	cert, err := CheckCertificate(req.DeviceCertificate, account, record.PublicKey, now)
	if err != nil {
		return nil, err
	}
	id := cert.DeviceID()
	_, err = s.store.AddDevice(ctx, storage.NewDevice{ID: id, Account: account, Certificate: cert.Raw, Now: now})
	switch {
	case errors.Is(err, storage.ErrTooManyDevices):
		return nil, errTooMany
	case errors.Is(err, storage.ErrDeviceRevoked):
		return nil, errRevoked
	case errors.Is(err, storage.ErrDeviceExists):
		return nil, errElsewhere
	case err != nil:
		return nil, fmt.Errorf("adding the device: %w", err)
	}
	return &qpcv1.EnrolDeviceResponse{DeviceId: id[:]}, nil
}

func (s *Service) list(ctx context.Context, p *wire.Peer, _ *qpcv1.ListDevicesRequest) (*qpcv1.ListDevicesResponse, error) {
	account, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	devices, err := s.store.Devices(ctx, account)
	if err != nil {
		return nil, fmt.Errorf("listing devices: %w", err)
	}
	resp := &qpcv1.ListDevicesResponse{Devices: make([]*qpcv1.Device, len(devices))}
	for i, d := range devices {
		resp.Devices[i] = &qpcv1.Device{DeviceId: d.ID[:], DeviceCertificate: d.Certificate, EnrolledDay: d.EnrolledDay}
	}
	return resp, nil
}

func (s *Service) revoke(ctx context.Context, p *wire.Peer, req *qpcv1.RevokeDeviceRequest) (*qpcv1.RevokeDeviceResponse, error) {
	account, err := session.AccountOf(p)
	if err != nil {
		return nil, err
	}
	id, err := identity.ParseDeviceID(req.DeviceId)
	if err != nil {
		return nil, errID
	}
	err = s.store.RevokeDevice(ctx, account, id)
	if errors.Is(err, storage.ErrUnknownDevice) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("revoking the device: %w", err)
	}
	s.sessions.End(id, qpcv1.Goodbye_REASON_REVOKED)
	return &qpcv1.RevokeDeviceResponse{}, nil
}
