package storage

import "time"

// Account is a registered account.
type Account struct {
	ID   [16]byte
	Name string
	// Record is the OPAQUE registration record, 192 bytes.
	Record []byte
	// PublicKey is Ed25519, 32 bytes.
	PublicKey []byte
	// SealedKey is the account key, sealed by the client.
	SealedKey []byte
	// CreatedDay is in seconds since 1970, a multiple of a day.
	CreatedDay uint64
	Role       Role
	// Ban is the account's ban, nil where there is none. It may be over: see
	// Banned.
	Ban *Ban
}

// Banned tells whether the account is kept out at now: it must not log in, get
// tokens, or be invited.
func (a Account) Banned(now time.Time) bool { return a.Ban.InForce(now) }

// NewAccount asks for an account with its first device.
type NewAccount struct {
	ID        [16]byte
	Name      string
	Record    []byte
	PublicKey []byte
	SealedKey []byte
	// Role is that of the invite where there is one.
	Role Role
	// DeviceID and DeviceCertificate are of the first device.
	DeviceID          [16]byte
	DeviceCertificate []byte
	// NameHash is how Name is known once the account is deleted.
	NameHash NameHash
	// Invite is the one to consume; nil where registration is open.
	Invite *InviteHash
	Now    time.Time
}

// NameHash is a keyed hash of an account's name. It is all that is left of a
// deleted account.
type NameHash [32]byte

// PasswordChange replaces what a password opens.
type PasswordChange struct {
	Account [16]byte
	// Before is the record that the change is based on.
	Before []byte
	// Record and SealedKey are the new ones; see Account.
	Record, SealedKey []byte
}

// InviteHash is the SHA-256 of an invite's token. The store never sees the
// token.
type InviteHash [32]byte

// Invite allows to create accounts.
type Invite struct {
	Hash InviteHash
	// Uses is how many accounts can be created with it.
	Uses    int
	Expires time.Time
	// Role is what those accounts get.
	Role Role
}

// Device is a device of an account.
type Device struct {
	ID          [16]byte
	Account     [16]byte
	Certificate []byte
	// Queue is where the device's items wait. Random, made at enrolment.
	Queue QueueID
	// EnrolledDay is in seconds since 1970, a multiple of a day.
	EnrolledDay uint64
}

// NewDevice asks for a device.
type NewDevice struct {
	ID          [16]byte
	Account     [16]byte
	Certificate []byte
	Now         time.Time
}

// DayOf rounds a time down to the day, in seconds since 1970. Times before
// 1970 give 0.
func DayOf(t time.Time) uint64 {
	const day = 24 * 60 * 60
	return uint64(max(t.Unix(), 0)) / day * day
}
