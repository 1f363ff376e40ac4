// Package keys serves KeysService: it stores what others need to reach a
// device for the first time, and gives it out.
package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/address"
	"quicprochat/server/session"
	"quicprochat/server/storage"
)

// maxUpload is how many KeyPackages one call may bring.
const maxUpload = 100

// maxExcept is how many devices a claim may leave out.
const maxExcept = 1000

var (
	errTooMany   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "At most 100 KeyPackages can be uploaded at once.")
	errFull      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID, "The device has as many KeyPackages as this server allows.")
	errHybrid    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The hybrid key is malformed, or not signed by this device.")
	errID        = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "Account and device ids have 16 bytes.")
	errUnknown   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "There is no such account here.")
	errNone      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_NO_KEY_PACKAGE, "None of this person's devices can be reached at the moment.")
	errNoDevice  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "There is no such device here, or it cannot be reached.")
	errRevoked   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_DEVICE_REVOKED, "This device was revoked by its account.")
	errOversized = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_KEY_PACKAGE_INVALID, "A KeyPackage is too large.")
)

// Store is what the service needs of the server's store.
type Store interface {
	storage.KeyStore
	Account(ctx context.Context, id [16]byte) (storage.Account, error)
	Devices(ctx context.Context, account [16]byte) ([]storage.Device, error)
	Device(ctx context.Context, account, device [16]byte) (storage.Device, error)
}

// Service implements KeysService.
type Service struct {
	store  Store
	sealer *address.Sealer
	now    func() time.Time
}

// New returns a Service. The sealer opens the addresses inside KeyPackages.
func New(store Store, sealer *address.Sealer, now func() time.Time) *Service {
	return &Service{store: store, sealer: sealer, now: now}
}

// Register adds the service's methods to r.
func (s *Service) Register(r *wire.Router) {
	wire.Handle(r, s.upload)
	wire.Handle(r, s.count)
	wire.Handle(r, s.fetch)
	wire.Handle(r, s.uploadHybrid)
	wire.Handle(r, s.fetchHybrid)
}

func (s *Service) upload(ctx context.Context, p *wire.Peer, req *qpcv1.UploadKeyPackagesRequest) (*qpcv1.UploadKeyPackagesResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if len(req.KeyPackages) > maxUpload {
		return nil, errTooMany
	}
	now := s.now()
	put := storage.KeyPackageUpload{Device: d.ID, Now: now}
	for _, raw := range req.KeyPackages {
		kp, err := s.check(raw, d, now)
		if err != nil {
			return nil, err
		}
		put.SingleUse = append(put.SingleUse, stored(kp))
	}
	if len(req.LastResort) > 0 {
		kp, err := s.check(req.LastResort, d, now)
		if err != nil {
			return nil, err
		}
		if !kp.LastResort() {
			return nil, errNotLastResort
		}
		last := stored(kp)
		put.LastResort = &last
	}
	n, err := s.store.PutKeyPackages(ctx, put)
	if errors.Is(err, storage.ErrTooManyKeyPackages) {
		return nil, errFull
	}
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.UploadKeyPackagesResponse{Count: uint32(n)}, nil
}

func (s *Service) count(ctx context.Context, p *wire.Peer, _ *qpcv1.CountKeyPackagesRequest) (*qpcv1.CountKeyPackagesResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	n, lastResort, err := s.store.CountKeyPackages(ctx, d.ID, s.now())
	if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.CountKeyPackagesResponse{Count: uint32(n), HasLastResort: lastResort}, nil
}

func (s *Service) uploadHybrid(ctx context.Context, p *wire.Peer, req *qpcv1.UploadHybridKeyRequest) (*qpcv1.UploadHybridKeyResponse, error) {
	d, err := session.DeviceOf(p)
	if err != nil {
		return nil, err
	}
	if _, err := identity.VerifyHybridKey(d.Key, req.HybridKey); err != nil {
		return nil, errHybrid
	}
	if err := s.store.PutHybridKey(ctx, d.ID, req.HybridKey); err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.UploadHybridKeyResponse{}, nil
}

// fetchHybrid says of a revoked device what it says of one that never was.
func (s *Service) fetchHybrid(ctx context.Context, _ *wire.Peer, req *qpcv1.FetchHybridKeyRequest) (*qpcv1.FetchHybridKeyResponse, error) {
	account, err := identity.ParseAccountID(req.AccountId)
	if err != nil {
		return nil, errID
	}
	id, err := identity.ParseDeviceID(req.DeviceId)
	if err != nil {
		return nil, errID
	}
	device, err := s.store.Device(ctx, account, id)
	if errors.Is(err, storage.ErrUnknownDevice) || errors.Is(err, storage.ErrDeviceRevoked) {
		return nil, errNoDevice
	} else if err != nil {
		return nil, storeError(err)
	}
	if owner, err := s.store.Account(ctx, account); err != nil {
		return nil, storeError(err)
	} else if owner.Banned(s.now()) { // nobody can make contact with it
		return nil, errNoDevice
	}
	key, err := s.store.HybridKey(ctx, id)
	if errors.Is(err, storage.ErrUnknownDevice) {
		return nil, errNoDevice
	} else if err != nil {
		return nil, storeError(err)
	}
	return &qpcv1.FetchHybridKeyResponse{HybridKey: key, DeviceCertificate: device.Certificate}, nil
}

func (s *Service) fetch(ctx context.Context, _ *wire.Peer, req *qpcv1.FetchKeyPackageRequest) (*qpcv1.FetchKeyPackageResponse, error) {
	account, err := identity.ParseAccountID(req.AccountId)
	if err != nil || len(req.ExceptDeviceIds) > maxExcept {
		return nil, errID
	}
	except := make([][16]byte, len(req.ExceptDeviceIds))
	for i, raw := range req.ExceptDeviceIds {
		id, err := identity.ParseDeviceID(raw)
		if err != nil {
			return nil, errID
		}
		except[i] = id
	}
	claimed, err := s.store.ClaimKeyPackages(ctx, account, except, s.now())
	if err != nil {
		return nil, storeError(err)
	}
	if len(claimed) == 0 {
		if err := s.explainNone(ctx, account, except); err != nil {
			return nil, err
		}
	}
	resp := &qpcv1.FetchKeyPackageResponse{Devices: make([]*qpcv1.DeviceKeys, len(claimed))}
	for i, c := range claimed {
		resp.Devices[i] = &qpcv1.DeviceKeys{DeviceId: c.Device[:], KeyPackage: c.KeyPackage, HybridKey: c.HybridKey, LastResort: c.LastResort}
	}
	return resp, nil
}

// explainNone returns nil where the caller left out every device that there
// is, and NO_KEY_PACKAGE where one was meant and has nothing to give.
func (s *Service) explainNone(ctx context.Context, account identity.AccountID, except [][16]byte) error {
	if len(except) == 0 {
		return errNone
	}
	devices, err := s.store.Devices(ctx, account)
	if err != nil {
		return storeError(err)
	}
	excepted := make(map[[16]byte]bool, len(except))
	for _, id := range except {
		excepted[id] = true
	}
	for _, d := range devices {
		if !excepted[d.ID] {
			return errNone
		}
	}
	return nil
}

func storeError(err error) error {
	switch {
	case errors.Is(err, storage.ErrUnknownAccount):
		return errUnknown
	case errors.Is(err, storage.ErrUnknownDevice), errors.Is(err, storage.ErrDeviceRevoked):
		return errRevoked
	default:
		return fmt.Errorf("key store: %w", err)
	}
}
