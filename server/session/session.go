// Package session knows which account and which device is behind which
// connection. A device has one connection at a time: when it authenticates on
// another one, the old is told goodbye, and when it is revoked, too. An account
// may have any number, which end together where the account does.
package session

import (
	"crypto/ed25519"

	"quicprochat/core/identity"
	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// Device is what the server knows of the device behind a connection.
type Device struct {
	Account identity.AccountID
	ID      identity.DeviceID
	// AccountKey certified Key, the device's signature key.
	AccountKey, Key ed25519.PublicKey
	Queue           storage.QueueID
}

type deviceKey struct{}

var (
	errNoAccount = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection has not logged in.")
	errNoDevice  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection has not authenticated as a device.")
	errOther     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_WRONG_CONNECTION, "This connection belongs to another device.")
)

// AccountOf returns the account that p has proved, or a *wire.Error.
func AccountOf(p *wire.Peer) (identity.AccountID, error) {
	who, ok := p.Principal()
	if !ok {
		return identity.AccountID{}, errNoAccount
	}
	id, err := identity.ParseAccountID(who.Account)
	if err != nil {
		return identity.AccountID{}, errNoAccount
	}
	return id, nil
}

// DeviceOf returns the device that p has proved, or a *wire.Error.
func DeviceOf(p *wire.Peer) (Device, error) {
	d, ok := p.Value(deviceKey{}).(Device)
	if !ok {
		return Device{}, errNoDevice
	}
	return d, nil
}
