package opaque

import (
	"golang.org/x/crypto/argon2"
)

// KSF is a key-stretching function: what makes each guess at a stolen record
// expensive. It must be deterministic and the same at registration and login.
type KSF func(input []byte) []byte

const stretchedSize = 64

// Argon2id returns Argon2id (RFC 9106) with the time cost, the memory in KiB
// and the number of lanes, a salt of 16 zero bytes and 64 bytes of output; the
// OPRF makes the input unique to each user, so the salt need not be. It panics
// where time or threads is zero.
func Argon2id(time, memoryKiB uint32, threads uint8) KSF {
	if time == 0 || threads == 0 {
		panic("opaque: Argon2id needs a time cost and a lane")
	}
	return func(input []byte) []byte {
		var salt [16]byte
		return argon2.IDKey(input, salt[:], time, memoryKiB, threads, stretchedSize)
	}
}

// Config is what both sides must agree on.
type Config struct {
	// Context separates applications and their versions; at most 65535 bytes.
	Context []byte
	// KSF is needed by clients only.
	KSF KSF
}

// DefaultConfig returns quicprochat's parameters: context "quicprochat v1" and
// Argon2id with three passes over 64 MiB in four lanes.
func DefaultConfig() Config {
	return Config{Context: []byte("quicprochat v1"), KSF: Argon2id(3, 64*1024, 4)}
}

// checkClient tells whether a client can work with the Config.
func (c Config) checkClient(password []byte) error {
	if c.KSF == nil {
		return ErrNoKSF
	}
	if err := checkVector("context", c.Context); err != nil {
		return err
	}
	return checkVector("password", password)
}
