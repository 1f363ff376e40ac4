// Package identity says who somebody is: accounts, their devices, the
// certificates that join the two, and the rules for names and passwords.
//
// An account is an immutable random id and an Ed25519 account key. A device
// has an Ed25519 key of its own, which is also its MLS signature key; a
// certificate by the account key says whose device it is. The account key
// travels only sealed under the export key of the password exchange.
//
// Everything that is parsed here is untrusted: a decoder accepts exactly one
// encoding of a value, checks each field and the signature, and never panics.
// Each signature covers a label of its own, so none can pass for another.
//
// The caller owes two things: time is not checked by ParseCertificate but by
// [Certificate.CheckTime], and the account key that signed a certificate must
// be compared with the one that is known for the account.
package identity
