package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
)

// The labels of what an account key authorises. Each signature is good for one
// connection: it covers the 32 bytes of that connection's TLS exporter.
const (
	deletionLabel         = "qpc delete account v1"
	recoveryStoreLabel    = "qpc store recovery v1"
	recoveryDeletionLabel = "qpc delete recovery v1"
	recoveryLabel         = "qpc recover account v1"
)

// authorize signs for an account on the connection with the exporter.
func (k *AccountKey) authorize(label string, a AccountID, exporter []byte, more ...[]byte) []byte {
	return ed25519.Sign(k.private, labelled(label, append([][]byte{a[:], exporter}, more...)...))
}

func authorized(pub ed25519.PublicKey, label string, a AccountID, exporter, sig []byte, more ...[]byte) bool {
	if len(pub) != ed25519.PublicKeySize || len(exporter) != 32 {
		return false
	}
	return ed25519.Verify(pub, labelled(label, append([][]byte{a[:], exporter}, more...)...), sig)
}

func sha(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// SignDeletion asks, on the connection with this TLS exporter (32 bytes), to
// delete the account.
func (k *AccountKey) SignDeletion(a AccountID, exporter []byte) []byte {
	return k.authorize(deletionLabel, a, exporter)
}

// VerifyDeletion tells whether sig is what [AccountKey.SignDeletion] makes.
func VerifyDeletion(pub ed25519.PublicKey, a AccountID, exporter, sig []byte) bool {
	return authorized(pub, deletionLabel, a, exporter, sig)
}

// SignRecoveryStore asks to store a recovery bundle: the verifier of a code
// and what [RecoveryCode.Seal] made.
func (k *AccountKey) SignRecoveryStore(a AccountID, exporter []byte, verifier ed25519.PublicKey, sealed []byte) []byte {
	return k.authorize(recoveryStoreLabel, a, exporter, verifier, sha(sealed))
}

// VerifyRecoveryStore tells whether sig is what [AccountKey.SignRecoveryStore]
// makes.
func VerifyRecoveryStore(pub ed25519.PublicKey, a AccountID, exporter []byte, verifier ed25519.PublicKey, sealed, sig []byte) bool {
	return len(verifier) == ed25519.PublicKeySize && authorized(pub, recoveryStoreLabel, a, exporter, sig, verifier, sha(sealed))
}

// SignRecoveryDeletion asks to delete the account's recovery bundle.
func (k *AccountKey) SignRecoveryDeletion(a AccountID, exporter []byte) []byte {
	return k.authorize(recoveryDeletionLabel, a, exporter)
}

// VerifyRecoveryDeletion tells whether sig is what
// [AccountKey.SignRecoveryDeletion] makes.
func VerifyRecoveryDeletion(pub ed25519.PublicKey, a AccountID, exporter, sig []byte) bool {
	return authorized(pub, recoveryDeletionLabel, a, exporter, sig)
}

// RecoveredAccount is what a recovery gives an account: the OPAQUE record of
// its new password, its key sealed under it, and the bundle of a new code.
type RecoveredAccount struct {
	Record, SealedKey []byte
	Verifier          ed25519.PublicKey
	Bundle            []byte
}

func (r RecoveredAccount) parts() [][]byte {
	return [][]byte{sha(r.Record), sha(r.SealedKey), r.Verifier, sha(r.Bundle)}
}

// SignRecovery asks to give the account a new password and a new code.
func (k *AccountKey) SignRecovery(a AccountID, exporter []byte, r RecoveredAccount) []byte {
	return k.authorize(recoveryLabel, a, exporter, r.parts()...)
}

// VerifyRecovery tells whether sig is what [AccountKey.SignRecovery] makes.
func VerifyRecovery(pub ed25519.PublicKey, a AccountID, exporter []byte, r RecoveredAccount, sig []byte) bool {
	return len(r.Verifier) == ed25519.PublicKeySize && authorized(pub, recoveryLabel, a, exporter, sig, r.parts()...)
}
