package storage

import "context"

// NodeID is one run of one server process. Random.
type NodeID [16]byte

// SessionStore tells the nodes of a server what they may have missed: which
// node has the newest connection of a device, and who is still there. Its
// look-ups take many at once and leave out what does not exist (any more).
type SessionStore interface {
	// ClaimDevice notes that a node has the newest connection of a device, and
	// tells whether another node had it before. Claiming it again changes
	// nothing. ErrUnknownDevice, ErrDeviceRevoked.
	ClaimDevice(ctx context.Context, account, device [16]byte, node NodeID) (moved bool, err error)

	// DeviceNodes gives the node that claimed each device last, which is zero
	// where none has.
	DeviceNodes(ctx context.Context, devices [][16]byte) (map[[16]byte]NodeID, error)

	// Records gives the OPAQUE record of each account.
	Records(ctx context.Context, accounts [][16]byte) (map[[16]byte][]byte, error)
}
