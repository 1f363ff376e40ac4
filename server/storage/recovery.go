package storage

// RecoveryTries is how many wrong recovery codes a name may be tried with on
// one day (UTC).
const RecoveryTries = 10

// Recovery is what opens an account without its password.
type Recovery struct {
	Account [16]byte
	// Verifier is the Ed25519 public key of the recovery code, 32 bytes.
	Verifier []byte
	// Sealed is the account key, sealed by the client under the code.
	Sealed []byte
}

// RecoveryChange gives an account a new password and a new recovery code.
type RecoveryChange struct {
	// Before is the verifier of the bundle that the change is based on.
	Before []byte
	// Record and SealedKey are the new ones; see Account.
	Record, SealedKey []byte
	// Next is the new bundle, of the account.
	Next Recovery
}

// RecoverySubject is a keyed hash of the name whose code is guessed, be there
// such an account or not.
type RecoverySubject [32]byte
