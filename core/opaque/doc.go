// Package opaque is the password exchange of RFC 9807 (OPAQUE) with
// ristretto255-SHA512, 3DH, HKDF-SHA512 and HMAC-SHA512.
//
// A client proves its password to a server that never sees it, learns a fresh
// session key, and gets back an export key that only it knows and that is the
// same in each login. Whoever steals the server's records must still guess
// each password at the price of the key-stretching function.
//
// Registration takes two messages and a record, login three:
//
//	client                                     server
//	StartRegistration ── request 32 ────────▶  RegistrationResponse
//	Finish           ◀── response 64 ───────
//	                 ─── record 192 ────────▶  ValidateRecord, store
//
//	StartLogin       ─── KE1 96 ────────────▶  StartLogin
//	Finish           ◀── KE2 320 ───────────
//	                 ─── KE3 64 ────────────▶  Finish
//
// The server answers a login for an unknown user from a fake record, by the
// same path, at the same cost and with a message of the same distribution. On
// the client a wrong password, an unknown user and a lying server are all
// ErrAuthentication.
//
// The caller owes this: records and server keys are stored safely; the
// credential identifier is unique, never changes, and is stable for an unknown
// user as well (derived from what was asked for, not random), or two attempts
// would show that there is no such user; attempts are rate-limited, as OPAQUE
// does not stop online guessing; a session key is used only after Finish.
//
// Each exchange is good for one Finish, right or wrong, after which its secrets
// are wiped as far as the language allows. No type here shows a secret in logs
// or in fmt. A Server is safe for concurrent use; an exchange is not.
package opaque
