// Package seal encrypts to a device that may be offline and has never been
// spoken to: HPKE in base mode (RFC 9180) with X-Wing, that is ML-KEM-768 and
// X25519 together, HKDF-SHA256 and ChaCha20-Poly1305, all of the standard
// library. It stays secret as long as either of the two key exchanges holds.
//
// A sealed message is the encapsulated key (1120 bytes) and the ciphertext of
// the padded plaintext. Padding is Padmé over a floor of 256 bytes, so the
// length tells little.
//
// Base mode says nothing about the sender. [SealFirstContact] puts the sender's
// certificate and signature inside, where the server cannot see them, and
// [PrivateKey.OpenFirstContact] returns nothing that it has not verified.
//
// The caller owes this: the public key must come verified (see
// identity.VerifyHybridKey); the info must name the purpose, and be the same on
// both sides; the account key in a sender's certificate must be compared with
// the one that is known for the account; a replayed message opens again, so
// what it holds must be good for one use (a KeyPackage is, a request's id is).
package seal
