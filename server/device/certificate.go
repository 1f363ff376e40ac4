package device

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"time"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
)

var (
	errCertificate = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "The device certificate does not verify.")
	errNotAccount  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "The device certificate is not of this account.")
	errExpired     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "The device certificate has expired.")
	errNotYet      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CERTIFICATE_INVALID, "The device certificate is not valid yet: is the device's clock right?")
)

// CheckCertificate parses a device certificate and checks that it was issued
// by this account with this key and is valid at now. The error is a
// *wire.Error with ERROR_CODE_CERTIFICATE_INVALID.
func CheckCertificate(raw []byte, account identity.AccountID, accountKey ed25519.PublicKey, now time.Time) (*identity.Certificate, error) {
	cert, err := identity.ParseCertificate(raw)
	if err != nil {
		return nil, errCertificate
	}
	if cert.AccountID != account || !bytes.Equal(cert.AccountKey, accountKey) {
		return nil, errNotAccount
	}
	switch err := cert.CheckTime(now); {
	case errors.Is(err, identity.ErrCertificateExpired):
		return nil, errExpired
	case err != nil:
		return nil, errNotYet
	}
	return cert, nil
}
