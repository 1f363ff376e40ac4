package storage

import "fmt"

// Vault is what the devices of an account share.
type Vault struct {
	Account [16]byte
	// Version is 0 where there is no vault.
	Version uint64
	// Sealed is sealed by the client.
	Sealed []byte
}

// MaxVaultVersion is the largest version that a vault can have.
const MaxVaultVersion = 1<<62 - 1

// VaultConflictError: the vault that is there is not the one before the one to
// be stored.
type VaultConflictError struct {
	// Current is the version that is there.
	Current uint64
}

func (e *VaultConflictError) Error() string {
	return fmt.Sprintf("vault conflict: version %d is there", e.Current)
}
