package client

import (
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"time"

	"quicprochat/core/opaque"
	"quicprochat/core/vault"
)

// Options says where a profile lives and how the client behaves.
type Options struct {
	// Dir is the profile's directory; one account on one device.
	Dir string
	// DeviceName is what people see of this device; it is cut to 64 bytes.
	// Register and Login use it, Open does not.
	DeviceName string
	// Logger gets events without names, ids or content; nil discards them.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Cost is what a guess at the password costs. It must be the same at
	// registration and at every later login. The zero value is DefaultCost.
	Cost Cost
}

// Cost holds the parameters of Argon2id.
type Cost struct {
	Passes    uint32
	MemoryKiB uint32
	Lanes     uint8
}

// DefaultCost is three passes over 64 MiB in four lanes.
func DefaultCost() Cost { return Cost(vault.DefaultKDF()) }

// CheapForTests protects nothing and costs nothing.
func CheapForTests() Cost { return Cost{Passes: 1, MemoryKiB: 8, Lanes: 1} }

func (c Cost) opaque() opaque.Config {
	o := opaque.DefaultConfig()
	o.KSF = opaque.Argon2id(c.Passes, c.MemoryKiB, c.Lanes)
	return o
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost()
	}
	return o
}

// vaultDir is where the vault is inside a profile; newVaultDir is where it is
// being made until the server has taken the account or device.
func (o Options) vaultDir() string    { return vaultDir(o.Dir) }
func (o Options) newVaultDir() string { return filepath.Join(o.Dir, "vault.new") }

func vaultDir(dir string) string { return filepath.Join(dir, "vault") }

func (o Options) vaultOptions() vault.Options { return vault.Options{KDF: vault.KDF(o.Cost)} }

// jitter is a random part of d, so that clients do not act in step.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
