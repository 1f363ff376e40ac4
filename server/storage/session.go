package storage

import "context"

// SessionID is one connection of a device, for as long as it is the newest.
// Random.
type SessionID [16]byte

// SessionStore tells the nodes of a server what they may have missed: which
// connection of a device is the newest, who is still there, and where something
// came in. Its look-ups take many at once and leave out what does not exist
// (any more).
type SessionStore interface {
	// ClaimSession makes a session the newest one of a device.
	// ErrUnknownDevice, ErrDeviceRevoked.
	ClaimSession(ctx context.Context, account, device [16]byte, session SessionID) error

	// NewestSessions gives the newest session of each device, which is zero
	// where none was claimed.
	NewestSessions(ctx context.Context, devices [][16]byte) (map[[16]byte]SessionID, error)

	// Records gives the OPAQUE record of each account.
	Records(ctx context.Context, accounts [][16]byte) (map[[16]byte][]byte, error)

	// LastSeqs gives the newest seq that was assigned in each queue.
	LastSeqs(ctx context.Context, queues []QueueID) (map[QueueID]uint64, error)
}
